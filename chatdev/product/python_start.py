"""Starts a Python product the way its user does, and watches it."""

import re
import shutil
from collections.abc import Mapping

from msgspec import structs

from chatdev.journal.events import ProductStarted
from chatdev.product import busy, python_run, sockets
from chatdev.product.output import is_sound
from chatdev.product.packages import distribution
from chatdev.sandbox.port import Sandbox

MAIN = "main.py"
DISPLAY = "display"
"""The ``lacks`` of a window program without a screen."""
# The last line of the error that a toolkit raises without a screen: tkinter's, pygame's, and pyglet's and arcade's.
_NO_DISPLAY = re.compile(
    r"(?:[\w.]*TclError: (?:no display name|couldn't connect to display)|[\w.]*error: No available video device"
    r"|[\w.]*error: video system not initialized|[\w.]*NoSuchDisplayException: Cannot connect to)[^\n]*\Z"
)
_SCREEN = "Xvfb"
_SCREEN_SECONDS = 10.0  # a virtual screen may take that long to start
_WHY = 1500


async def start_product(
    sandbox: Sandbox,
    files: Mapping[str, bytes],
    *,
    place: str = "",
    digest: str = "",
    watch: float = 5.0,
    python: str = "",
) -> ProductStarted:
    """Run ``main.py`` without any input for at most ``watch`` seconds of its own, with ``python`` if given.

    A window program gets a virtual screen if Xvfb is installed. Raises SandboxError.

    Only an uncaught exception, a signal, or a limit other than time counts as a crash. No word in the output does, and
    no exit status, since a program may exit because it got no arguments.
    """
    if MAIN not in files:
        return ProductStarted(place, digest, "missing", why=f"there is no {MAIN} to start")
    heard = await python_run.run(sandbox, files, "start", seconds=watch, hold_stdin=True, python=python)
    screen = shutil.which(_SCREEN) if _blind(heard) else None
    if screen:
        heard = await python_run.run(
            sandbox,
            files,
            "start",
            screen,
            seconds=watch + _SCREEN_SECONDS,
            hold_stdin=True,
            python=python,
            reads=(screen,),
            tells=_was_shown,
        )
    if heard.starved:
        return busy.start(place, digest, heard.outcome)
    crashes = heard.of("crash")
    missing = [module for *_, module in (*crashes, *heard.of("lacks"))]
    started = ProductStarted(
        place,
        digest,
        "exited",
        exit_status=heard.outcome.exit_status,
        needs=next(filter(None, (distribution(module, files) for module in missing)), ""),
        output=heard.normalise(heard.outcome.stderr),
        seconds=round(heard.outcome.seconds, 3),
        made=tuple(path for path, size, head in heard.of("made") if is_sound(path, int(size), bytes.fromhex(head))),
    )
    if crashes:
        lacks = DISPLAY if _blind(heard) else ""
        why = heard.normalise(crashes[0][0], _WHY)
        return sockets.of_start(sandbox, structs.replace(started, how="crashed", why=why, lacks=lacks))
    if heard.outcome.stopped == "time":
        return structs.replace(started, how="alive")
    if how := python_run.ending(heard.outcome):
        return structs.replace(started, how="crashed", why=how)
    return started


def _was_shown(heard: python_run.RunnerReports) -> bool:
    """Whether the screen started in time, so that the product was started at all."""
    return heard.outcome.stopped != "time" or bool(heard.of("running"))


def _blind(heard: python_run.RunnerReports) -> bool:
    """Whether it crashed because there is no screen."""
    return any(_NO_DISPLAY.search(crash.strip()) for crash, *_ in heard.of("crash"))
