"""The command line. Each command has a module that only parses and prints."""

import contextlib
import os
import sys
from collections.abc import Iterator

from chatdev import prerequisites


def prepare() -> None:
    """Make this process able to work in any environment: standard streams that exist, names and output in UTF-8, and as
    many open files as the system allows without asking."""
    _open_streams()
    _ensure_utf8()
    _raise_limit()


def _open_streams() -> None:
    """Open standard streams that the caller closed, for nothing. Otherwise the next file that is opened gets the number
    of one of them, and what is printed would be written into that file."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _ensure_utf8() -> None:
    """Restart in UTF-8 mode (PEP 540) if the locale has another encoding: names, tasks and output are UTF-8."""
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # noqa: S606 - ourselves


_FILES = 1024


def _raise_limit() -> None:
    """Raise a low limit of open files, as on macOS, as far as this process may."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


@contextlib.contextmanager
def plain_errors() -> Iterator[None]:
    """A plain message for an error that no command expects, such as output that cannot be written, or a package that is
    imported only now and is not installed."""
    from chatdev.errors import ChatDevError

    try:
        yield
    except ModuleNotFoundError as missing:
        prerequisites.report_missing(missing)
        raise
    except (ChatDevError, OSError) as error:
        from chatdev.cli import common

        if isinstance(error, ChatDevError):
            common.fail(error)
        with contextlib.suppress(OSError):
            sys.stdout.flush()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is still buffered must not fail again at exit
        common.fail(common.of_system(error))
