"""What the commands share: how errors are said, where runs lie, and how a coroutine is run until Ctrl-C."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from chatdev.errors import ChatDevError

T = TypeVar("T")

WAREHOUSE = Path("WareHouse")
INTERRUPTED = 130
"""Exit status after Ctrl-C: 128 and the signal's number, as shells count."""


def say(text: str) -> None:
    """Print a line to standard error, whatever the locale can encode."""
    click.echo(text.encode(sys.stderr.encoding or "utf-8", "replace").decode(sys.stderr.encoding or "utf-8"), err=True)


def fail(error: ChatDevError, log: Path | None = None) -> NoReturn:
    """Say an error in plain words and leave with its exit status."""
    say(f"Error: {error}")
    if log is not None:
        say(f"The log is {log}.")
    sys.exit(error.exit_status)


def program() -> str:
    """How the user calls the commands: the installed script, or this clone."""
    return "chatdev" if Path(sys.argv[0]).name == "chatdev" else "python3 -m chatdev"


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end. Ctrl-C, SIGTERM and a closed terminal cancel it, and the process leaves with 130."""

    async def watched() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
        return await coroutine

    try:
        return asyncio.run(watched())
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
