"""What the commands share: printing errors, the folder of the runs, and running a coroutine until Ctrl-C."""

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import sys
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from chatdev.errors import ChatDevError, UserError
from chatdev.redaction import Redactor
from chatdev.settings import Settings
from chatdev.views.text import clean

T = TypeVar("T")

WAREHOUSE = Path("WareHouse")
INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 plus the signal's number, the shell convention."""


def say(text: str) -> None:
    """Print a line to standard error, safe for any locale and any content. A closed terminal is ignored."""
    encoding = sys.stderr.encoding or "utf-8"
    with contextlib.suppress(OSError, ValueError):
        click.echo(clean(text).encode(encoding, "replace").decode(encoding), err=True)


def of_system(error: Exception) -> ChatDevError:
    """An error of the operating system as a plain message."""
    name, code = getattr(error, "filename", None), getattr(error, "errno", None)
    return ChatDevError(
        f"Operating system error: {getattr(error, 'strerror', None) or error}{f' ({name})' if name else ''}.",
        do=_MORE_FILES
        if code in (errno.EMFILE, errno.ENFILE)
        else "Check free disk space and permissions, then try again.",
    )


_MORE_FILES = "Allow more open files, for example with: ulimit -n 1024"
FEWEST_FILES = 256
"""Open files that a run needs: the runner of the tests reports by a descriptor with a high number."""


def _check_files() -> None:
    """Raise UserError if this process may have too few open files for a run."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < FEWEST_FILES:
        raise UserError(f"Only {soft} files may be open here, and ChatDev needs {FEWEST_FILES}.", do=_MORE_FILES)


def fail(error: ChatDevError, log: Path | None = None) -> NoReturn:
    """Print an error and exit with its status."""
    say(f"Error: {error}")
    if log is not None:
        say(f"The log is {log}.")
    sys.exit(error.exit_status)


@contextlib.contextmanager
def redacting(settings: Settings) -> Iterator[None]:
    """Remove keys from errors that pass through: servers may quote what they were sent."""
    try:
        yield
    except ChatDevError as error:
        Redactor(settings.secrets).error(error)
        raise


def program() -> str:
    """How the user calls the commands from this folder: the installed script, or this clone with this interpreter."""
    if Path(sys.argv[0]).name == "chatdev":
        return "chatdev"
    found = shutil.which("python3")
    same = found is not None and Path(found).parent == Path(sys.executable).parent
    root = Path(__file__).resolve().parents[2]
    elsewhere = (root / "run.py").exists() and root != Path.cwd()
    return f"{f'PYTHONPATH={root} ' if elsewhere else ''}{'python3' if same else sys.executable} -m chatdev"


def echo(text: str) -> None:
    """Print a line to standard output without what could drive a terminal, safe for any locale and for names of files
    that are not UTF-8."""
    shown = clean(text.encode("utf-8", "replace").decode("utf-8"))
    click.echo(shown.encode(sys.stdout.encoding or "utf-8", "replace"))


def conclude(text: str) -> None:
    """Print the final text to standard output. A closed output is ignored."""
    try:
        click.echo(clean(text))
    except OSError:  # text that is still buffered must not fail at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _ignored() -> set[signal.Signals]:
    return {number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_IGN}


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. Ctrl-C, SIGTERM and a closed terminal cancel it, and the process exits with 130.

    Under ``nohup``, closing the terminal does not stop it. Raises UserError if too few files may be open.
    """
    try:
        _check_files()
    except UserError:
        coroutine.close()
        raise

    async def watched() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in {signal.SIGTERM, signal.SIGHUP} - _ignored():
            loop.add_signal_handler(number, task.cancel)
        return await coroutine

    try:
        return asyncio.run(watched())
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
