"""Starts a product as its user does, many times in one sandbox, and returns what it printed.

Only input enters the sandbox: arguments and standard input. The expected output and the comparison stay in this
process, so a product that tries to cheat can neither read the one nor influence the other.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from chatdev.sandbox import fair, patience
from chatdev.sandbox.port import Job, Limits, Outcome, Sandbox, SandboxError

_BEGIN = "import sys; sys.path += sys.argv[1:3]; from runner import sessions; sessions.main()"
_RUNNER, _CLOCK = str(Path(__file__).parent), str(Path(fair.__file__).parent)
_BUILD_SECONDS = 60.0
_OUTPUT = 64 << 10
"""Bytes of each stream that are kept for a start."""
_ROOM = 8 << 20


class Invocation(msgspec.Struct, frozen=True):
    """One start of the product: its arguments, and all of its standard input."""

    args: tuple[str, ...] = ()
    stdin: str = ""


class Ended(msgspec.Struct, frozen=True):
    """The result of one start. ``status`` is the exit status, or minus a signal's number; None if a limit ended it, as
    named by ``stopped``. ``seconds`` of elapsed time, ``cpu`` seconds of processor time."""

    status: int | None
    stdout: str = ""
    stderr: str = ""
    stopped: str = ""
    seconds: float = 0.0
    cpu: float = 0.0


class _Report(Ended, frozen=True, kw_only=True):
    """What the driver reports on one start, or on a build step that ``failed``."""

    status: int | None = None
    session: int = -1
    call: int = -1
    failed: int | None = None


NOT_STARTED = Ended(None, stopped="not started")
"""The result of a start that never happened, since the sandbox ended before it."""


class BuildFailed(Exception):
    """The product cannot be built; the text is what the build's last step printed."""


class MachineTooBusy(Exception):
    """The machine was too busy to run the product, several times. That says nothing about the product."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("the machine was too busy")
        self.outcome = outcome


async def run_sessions(
    sandbox: Sandbox,
    files: Mapping[str, bytes],
    program: Sequence[str],
    sessions: Sequence[Sequence[Invocation]],
    *,
    build: Sequence[Sequence[str]] = (),
    seconds: float = 10.0,
    environment: Mapping[str, str] | None = None,
    reads: Sequence[str] = (),
) -> tuple[tuple[Ended, ...], ...]:
    """Start ``program`` for each call of each session, one after another; returns the results in the same shape.

    Each session has its own copy of ``files``, and its calls run there one after another. A start may take
    ``seconds``. Raises BuildFailed, Starved, and SandboxError if nothing can be run at all.
    """
    nonce = os.urandom(16).hex()
    calls = sum(map(len, sessions))
    order = {
        "build": [list(step) for step in build],
        "program": list(program),
        "sessions": sessions,
        "seconds": seconds,
        "output": _OUTPUT,
    }
    job = Job(
        argv=(sys.executable, "-I", "-S", "-B", "-c", _BEGIN, _RUNNER, _CLOCK),
        files=files,
        stdin=nonce.encode() + msgspec.json.encode(order),
        limits=Limits(seconds=seconds * calls + (_BUILD_SECONDS if build else 5.0), output=_ROOM),
        environment={**(environment or {})},
        reads=(_RUNNER, _CLOCK, *reads),
    )
    outcome = await patience.run(sandbox, job, lambda outcome: bool(_reports(outcome, nonce) or outcome.stderr))
    if outcome.stopped == "starved":
        raise MachineTooBusy(outcome)
    reports = _reports(outcome, nonce)
    if failed := next((report for report in reports if build and report.failed is not None), None):
        raise BuildFailed(outcome.stderr or f"step {failed.failed} ended with status {failed.status}")
    if not reports and not outcome.stopped:
        raise SandboxError(
            f"The product's driver did not start in the sandbox (exit status {outcome.exit_status}).",
            tried=outcome.stderr.splitlines()[-1:],
            do="Free some memory and processor time on this machine, and try again.",
        )
    found = {(report.session, report.call): report for report in reports}
    missing = Ended(None, stopped=outcome.stopped) if outcome.stopped else NOT_STARTED
    return tuple(
        tuple(_ended(found.get((number, turn)), missing) for turn in range(len(session)))
        for number, session in enumerate(sessions)
    )


def _ended(report: _Report | None, missing: Ended) -> Ended:
    if report is None:
        return missing
    return Ended(report.status, report.stdout, report.stderr, report.stopped, report.seconds, report.cpu)


def _reports(outcome: Outcome, nonce: str) -> list[_Report]:
    """The driver's reports, as far as they can be parsed: a product may find the nonce, and write reports itself."""
    reports: list[_Report] = []
    for line in outcome.stdout.split("\n"):
        if line.startswith(nonce):
            try:
                reports.append(msgspec.json.decode(line[len(nonce) :], type=_Report))
            except msgspec.DecodeError:
                continue  # cut by the output limit
    return reports
