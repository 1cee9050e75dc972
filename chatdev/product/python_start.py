"""Starts a Python product the way its user does, and watches it."""

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from msgspec import structs

from chatdev.journal.events import ProductStarted
from chatdev.product import busy, python_layout, python_run, sockets, start_rules
from chatdev.product.output import is_sound
from chatdev.product.packages import distribution
from chatdev.product.runner.start import TERMINAL
from chatdev.sandbox import fair
from chatdev.sandbox.port import Sandbox

DISPLAY = "display"
"""The ``lacks`` of a window program without a screen."""
# The last line of the error that a toolkit raises without a screen: tkinter's, pygame's, and pyglet's and arcade's.
_NO_DISPLAY = re.compile(
    r"(?:[\w.]*TclError: (?:no display name|couldn't connect to display)|[\w.]*error: No available video device"
    r"|[\w.]*error: video system not initialized|[\w.]*NoSuchDisplayException: Cannot connect to)[^\n]*\Z"
)
# The same as a message of a program that then exits.
_SAYS_NO_DISPLAY = re.compile(
    r"^[^\n]*(?:(?:can(?:no|')t|could(?: not|n't)|unable to|failed to) (?:open|connect to|find|access)"
    r"[^\n]{0,20} display"
    r"|\bno (?:\w+ )?display\b|DISPLAY (?:environment )?(?:variable )?(?:is )?not set|no available video device)"
    r"[^\n]*\Z",
    re.I | re.M,
)
# The errors of curses, termios and terminal sizes on a pipe.
_NO_TERMINAL = re.compile(
    r"_curses\.error|curses\.error: |termios\.error: |Inappropriate ioctl for device|not a (?:tty|terminal)\b"
    r"|TERM environment variable not set|could not find terminal|no(?:t| )?(?:an )?interactive terminal",
    re.I,
)
SCREEN = "Xvfb"
_BEFORE = 5.0  # until the product begins, its watch has not
_SCREEN_SECONDS = 10.0  # a virtual screen may take that long to start
_WHY = 1500
_CLOCK = str(Path(fair.__file__).parent)


async def start_product(
    sandbox: Sandbox,
    files: Mapping[str, bytes],
    *,
    place: str = "",
    digest: str = "",
    watch: float = 5.0,
    python: str = "",
) -> ProductStarted:
    """Run the product without any input for at most ``watch`` seconds of its own, with ``python`` if given.

    A window program gets a virtual screen if Xvfb is installed, and one that needs a terminal gets a pseudo-terminal
    where the sandbox allows it. It has crashed if it raised an exception, a signal or a limit other than time ended it,
    or ``start_rules`` finds its exit status to be a failure. Raises SandboxError.
    """
    if not python_layout.entry(files):
        return ProductStarted(place, digest, "missing", why=f"there is no {python_layout.MAIN} to start")
    heard = await _run(sandbox, files, watch, python)
    screen = shutil.which(SCREEN) if _is_blind(heard) else None
    if screen:
        heard = await _run(sandbox, files, watch, python, screen)
    terminal = True
    if not screen and _wants_terminal(heard):
        shown = await _run(sandbox, files, watch, python, TERMINAL)
        terminal = not shown.of("unavailable")
        heard = shown if terminal else heard
    if heard.starved:
        return busy.start(place, digest, heard.outcome)
    crashes = heard.of("crash")
    missing = [module for *_, module in (*crashes, *heard.of("lacks"))]
    status = _status(heard)
    started = ProductStarted(
        place,
        digest,
        "exited",
        exit_status=status if status is None or status >= 0 else None,
        needs=next(filter(None, (distribution(module, files) for module in missing)), ""),
        output=heard.normalise(heard.outcome.stderr),
        seconds=round(heard.outcome.seconds, 3),
        made=tuple(path for path, size, head in heard.of("made") if is_sound(path, int(size), bytes.fromhex(head))),
    )
    if why := _failure(heard):
        lacks = DISPLAY if _is_blind(heard) else "" if terminal else TERMINAL
        why = heard.normalise(why, _WHY)
        return sockets.of_start(sandbox, structs.replace(started, how="crashed", why=why, lacks=lacks))
    return started if status is not None else structs.replace(started, how="alive")


async def _run(
    sandbox: Sandbox, files: Mapping[str, bytes], watch: float, python: str, shown_on: str = ""
) -> python_run.RunnerReports:
    return await python_run.run(
        sandbox,
        files,
        "start",
        f"{watch}",
        os.pathsep.join((python_run.FOLDER, _CLOCK)),
        python_layout.entry(files),
        *filter(None, [shown_on]),
        seconds=watch + _BEFORE + (_SCREEN_SECONDS if shown_on else 0),
        hold_stdin=True,
        python=python,
        reads=(_CLOCK, *([shown_on] if shown_on.startswith("/") else [])),
        conclusive=_was_begun,
    )


def _status(heard: python_run.RunnerReports) -> int | None:
    """The product's exit status, or minus its signal; None if it did not end by itself."""
    return next((int(status) for (status,) in heard.of("ended")), None)


def _failure(heard: python_run.RunnerReports) -> str:
    """Why it did not start; empty if it did."""
    if crashes := heard.of("crash"):
        return crashes[0][0]
    if heard.of("alive"):
        return ""
    if (status := _status(heard)) is not None:
        return start_rules.failure(status, heard.outcome.stderr)
    if heard.outcome.stopped == "time":  # it is running, and has stopped the process that watches it
        return ""
    return python_run.ending(heard.outcome) or "it ended the process that watched it"


def _was_begun(heard: python_run.RunnerReports) -> bool:
    """Whether the runner and the screen were ready in time, so that the product was started at all."""
    return heard.outcome.stopped != "time" or bool(heard.of("running")) or bool(heard.of("unavailable"))


def _is_blind(heard: python_run.RunnerReports) -> bool:
    """Whether it failed because there is no screen."""
    if crashes := heard.of("crash"):
        return any(_NO_DISPLAY.search(crash.strip()) for crash, *_ in crashes)
    return bool(_status(heard)) and _SAYS_NO_DISPLAY.search(heard.outcome.stderr.strip()) is not None


def _wants_terminal(heard: python_run.RunnerReports) -> bool:
    """Whether it failed because its input or output is no terminal, or because the kind of terminal is not known."""
    text = "\n".join([*(crash for crash, *_ in heard.of("crash")), heard.outcome.stderr])
    return bool(_failure(heard)) and _NO_TERMINAL.search(text) is not None
