"""Helpers that run as programs of their own: ``python -m helpers.NAME``."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """The environment of this process, in which ``chatdev`` and ``helpers`` can be imported."""
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
