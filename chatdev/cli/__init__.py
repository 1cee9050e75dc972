"""The command line: one module per command, which parses and prints and nothing else."""

import os
import sys


def ensure_utf8() -> None:
    """Start over in UTF-8 mode (PEP 540) where the locale has another encoding: names, tasks and output are UTF-8."""
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - ourselves
