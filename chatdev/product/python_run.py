"""Runs Python in the sandbox: starts the runner there, and accepts only lines that begin with its nonce."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from chatdev.product import python_layout
from chatdev.product.acceptance import Launch
from chatdev.product.output import normalise
from chatdev.sandbox import patience
from chatdev.sandbox.port import Job, Limits, Outcome, Sandbox, SandboxError
from chatdev.sandbox.view import installation

# The runner is imported from this folder, so that its bytecode is used; it removes the folder from the path again.
_BEGIN = "import sys; sys.path.insert(0, sys.argv[1]); import runner; runner.main(sys.argv[2:])"
USER = {"LOGNAME": "user", "USER": "user"}
"""Who runs a program: no account of this machine, so that ``getpass.getuser`` has an answer at every level."""
FOLDER = str(Path(__file__).parent)
"""Where the runner is imported from."""
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",  # sets print in the same order each time
    "PYTHONUTF8": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    **USER,
}
_LENGTHS = {
    "begin": 4, "file": 5, "running": 2, "result": 5, "trouble": 2, "end": 1, "crash": 3, "lacks": 2, "made": 4,
    "ended": 2, "alive": 1, "unavailable": 1,
}  # fmt: skip


class RunnerReports(msgspec.Struct, frozen=True):
    """How the runner's process ended, and its reports in order: each a list of strings, as the runner lists them."""

    outcome: Outcome
    reports: tuple[list[str], ...]

    @property
    def starved(self) -> bool:
        """Whether the machine had no time to run it, so that there is no result."""
        return self.outcome.stopped == "starved"

    def of(self, kind: str) -> list[list[str]]:
        """The reports of one kind, without the name of the kind."""
        return [report[1:] for report in self.reports if report[0] == kind]

    def normalise(self, text: str, limit: int = 4000) -> str:
        """``text`` without what differs from run to run; see ``output.normalise``."""
        folder, home, temporary = self.of("begin")[0]
        return normalise(text, folder=folder, home=home, temporary=temporary, limit=limit)


def _always(heard: RunnerReports) -> bool:
    return True


async def run(
    sandbox: Sandbox,
    files: Mapping[str, bytes],
    *arguments: str,
    seconds: float,
    hold_stdin: bool = False,
    python: str = "",
    reads: tuple[str, ...] = (),
    conclusive: Callable[[RunnerReports], bool] = _always,
) -> RunnerReports:
    """Run the runner on a copy of the product, with our own interpreter or ``python``; it may read ``reads``, too.

    If the machine had no time to run it, or ``conclusive`` rejects its reports, it is run again; after the last
    try the result is ``starved``. Raises SandboxError if Python itself does not start for another reason.
    """
    nonce = os.urandom(16).hex()
    job = Job(
        argv=(python or sys.executable, "-s", "-P", "-B", "-c", _BEGIN, FOLDER, *arguments),
        files=files,
        stdin=nonce.encode(),
        hold_stdin=hold_stdin,
        limits=Limits(seconds=seconds),
        environment=_ENVIRONMENT,
        reads=(FOLDER, *reads),
    )

    def read(outcome: Outcome) -> RunnerReports:
        return RunnerReports(outcome, tuple(_reports(outcome.stdout, nonce)))

    def is_conclusive(outcome: Outcome) -> bool:
        heard = read(outcome)
        return (outcome.stopped != "time" or bool(heard.of("begin"))) and conclusive(heard)

    heard = read(outcome := await patience.run(sandbox, job, is_conclusive))
    if not heard.of("begin") and not heard.starved:
        state = f"stopped by the {outcome.stopped} limit" if outcome.stopped else f"exit status {outcome.exit_status}"
        raise SandboxError(
            f"Python did not start in the sandbox ({state}).",
            tried=outcome.stderr.splitlines()[-1:],
            do="Free some memory on this machine, and try again.",
        )
    return heard


def launch(files: Mapping[str, bytes], python: str = "") -> Launch:
    """How to start the product as its user does: with our own interpreter, or with ``python``."""
    reads = tuple(installation(python)) if python else ()
    words = python_layout.words(python_layout.entry(files))
    source = python_layout.source(files) if words[0] == "-m" else ""
    environment = _ENVIRONMENT | {"PYTHONPATH": source} if source else _ENVIRONMENT
    return Launch((python or sys.executable, "-s", "-B", *words), environment=environment, reads=reads)


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
