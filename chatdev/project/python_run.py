"""Python in the sandbox: starts the runner there, and believes only what it says under its nonce."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from chatdev.project.acceptance import Launch
from chatdev.project.output import normalise
from chatdev.sandbox import patience
from chatdev.sandbox.port import Job, Limits, Outcome, Sandbox, SandboxError
from chatdev.sandbox.view import installation

# The runner is imported from here, so that its compiled form is used; it takes itself off the path again.
_BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); import runner; runner.main(sys.argv[2:])"
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # sets print in the same order each time
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
}
_LENGTHS = {"begin": 4, "file": 5, "running": 2, "result": 5, "trouble": 2, "end": 1, "crash": 3, "lacks": 2, "made": 4}


class Heard(msgspec.Struct, frozen=True):
    """How the runner's process ended, and its reports in order: each a list of strings, as the runner lists them."""

    outcome: Outcome
    reports: tuple[list[str], ...]

    @property
    def starved(self) -> bool:
        """Whether the machine had no time for it, so that nothing is known."""
        return self.outcome.stopped == "starved"

    def of(self, kind: str) -> list[list[str]]:
        """The reports of one kind, without that word."""
        return [report[1:] for report in self.reports if report[0] == kind]

    def normalise(self, text: str, limit: int = 4000) -> str:
        """``text`` of this run without what differs in the next, as ``output.normalise`` does it."""
        folder, home, temporary = self.of("begin")[0]
        return normalise(text, folder=folder, home=home, temporary=temporary, limit=limit)


def _all_tell(heard: Heard) -> bool:
    return True


async def run(
    sandbox: Sandbox,
    files: Mapping[str, bytes],
    *arguments: str,
    seconds: float,
    hold_stdin: bool = False,
    python: str = "",
    reads: tuple[str, ...] = (),
    tells: Callable[[Heard], bool] = _all_tell,
) -> Heard:
    """Run the runner on a copy of the product, by our own interpreter or ``python``; it may read ``reads``, too.

    Where the machine had no time for that, or what was heard ``tells`` nothing for want of time, it is run again, and
    is ``starved`` in the end. Raises SandboxError if Python itself does not come up for another reason.
    """
    nonce = os.urandom(16).hex()
    job = Job(
        argv=(python or sys.executable, "-s", "-P", "-B", "-c", _BEGIN, str(Path(__file__).parent), *arguments),
        files=files,
        stdin=nonce.encode(),
        hold_stdin=hold_stdin,
        limits=Limits(seconds=seconds),
        environment=_ENVIRONMENT,
        reads=(str(Path(__file__).parent), *reads),
    )

    def read(outcome: Outcome) -> Heard:
        return Heard(outcome, tuple(_reports(outcome.stdout, nonce)))

    def told(outcome: Outcome) -> bool:
        heard = read(outcome)
        return (outcome.stopped != "time" or bool(heard.of("begin"))) and tells(heard)

    heard = read(outcome := await patience.run(sandbox, job, told))
    if not heard.of("begin") and not heard.starved:
        state = f"stopped by the {outcome.stopped} limit" if outcome.stopped else f"exit status {outcome.exit_status}"
        raise SandboxError(
            f"Python did not come up in the sandbox ({state}).",
            tried=outcome.stderr.splitlines()[-1:],
            do="Free some memory on this machine, and try again.",
        )
    return heard


def launch(python: str = "") -> Launch:
    """How ``main.py`` is started as its user does: by our own interpreter, or by ``python``."""
    reads = tuple(installation(python)) if python else ()
    return Launch((python or sys.executable, "-s", "-B", "main.py"), environment=_ENVIRONMENT, reads=reads)


def _reports(stdout: str, nonce: str) -> Iterator[list[str]]:
    for line in stdout.split("\n"):
        leader, *report = line.split("\x1f")
        if leader == nonce and report and len(report) == _LENGTHS.get(report[0], len(report)):
            yield [field.replace("\x1e", "\n") for field in report]


def ending(outcome: Outcome) -> str:
    """How a process ended if it did not exit, in a few words; empty if it did."""
    if outcome.stopped:
        return f"stopped by the {outcome.stopped} limit"
    return f"killed by signal {outcome.signal}" if outcome.signal is not None else ""
