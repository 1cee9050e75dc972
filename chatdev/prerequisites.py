"""What ChatDev needs before its first import. An older Python must be able to read this file."""

import sys


def check_python() -> None:
    """Exit with status 2 and a plain message if this Python is too old."""
    if sys.version_info < (3, 11):
        sys.stderr.write("ChatDev needs Python 3.11 or newer; this is %d.%d.\n" % sys.version_info[:2])
        sys.stderr.write("Run it with a newer Python.\n")
        sys.exit(2)


def report_missing(error: ModuleNotFoundError) -> None:
    """Exit with status 2 and the command that installs what is missing, if ``error`` is about a package of others."""
    if error.name is None or error.name.split(".")[0] in ("chatdev", "camel"):
        return
    sys.stderr.write("Error: the package %s is not installed here.\n" % error.name)
    sys.stderr.write("Install what ChatDev needs with: %s -m pip install -r requirements.txt\n" % sys.executable)
    sys.exit(2)
