"""Starts a Python product the way its user does, and watches it."""

from collections.abc import Mapping

from msgspec import structs

from chatdev.journal.events import ProductStarted
from chatdev.project import python_run
from chatdev.project.packages import distribution
from chatdev.sandbox.port import Sandbox

MAIN = "main.py"
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
    """Run ``main.py`` with a silent user before it, for at most ``watch`` seconds, by ``python`` if given. Raises
    SandboxError.

    Only an exception that nobody caught, a signal, or a limit other than time counts as a crash: never a word in the
    output, and no exit status, since a program may well end itself for want of arguments.
    """
    if MAIN not in files:
        return ProductStarted(place, digest, "missing", why=f"there is no {MAIN} to start")
    heard = await python_run.run(sandbox, files, "start", seconds=watch, hold_stdin=True, python=python)
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
    )
    if crashes:
        return structs.replace(started, how="crashed", why=heard.normalise(crashes[0][0], _WHY))
    if heard.outcome.stopped == "time":
        return structs.replace(started, how="alive")
    if how := python_run.ending(heard.outcome):
        return structs.replace(started, how="crashed", why=how)
    return started
