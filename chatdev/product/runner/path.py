"""From which further folder a product's packages are imported."""

import os
import sys


def import_also(folder: str) -> None:
    """Import from this folder after the first one, here and in every interpreter that the product starts."""
    sys.path.insert(1, folder)
    os.environ["PYTHONPATH"] = folder
