"""The command line. Each command has a module that only parses and prints."""

import os
import sys


def ensure_utf8() -> None:
    """Restart in UTF-8 mode (PEP 540) if the locale has another encoding: names, tasks and output are UTF-8."""
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - ourselves
