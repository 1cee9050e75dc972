"""What a sandbox takes and gives, whatever its level."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from chatdev.errors import ChatDevError

Stopped = Literal["", "time", "memory", "processes", "output", "disk"]
"""Which limit ended a program; empty when it ended by itself."""


class SandboxError(ChatDevError):
    """A program could not be run at all: its files cannot be laid out here, or no process can be started."""


class Refused(SandboxError):
    """This level of the sandbox cannot be had on this machine; nothing was run."""


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one run. Sizes in bytes, times in seconds; memory is the resident set of all its processes."""

    seconds: float = 30.0
    memory: int = 1 << 30
    processes: int = 64
    output: int = 1 << 20
    file_size: int = 64 << 20


class Job(msgspec.Struct, frozen=True):
    """One program to run, in a disposable folder made of ``files`` (relative path to content).

    ``stdin`` is fed and closed; with ``hold_stdin`` it stays open afterwards, so that a program that waits for its
    user waits instead of meeting an end of file. ``environment`` is added to the clean one. ``reads`` are paths of this
    machine that the program needs besides the system's, our interpreter and what ``argv`` begins with. ``writes`` are
    folders that it may write to, for good; they are there already. ``online`` grants the machine's network. Both are
    for programs of our own choice, such as pip, and never for what a model wrote.
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes]
    stdin: bytes = b""
    hold_stdin: bool = False
    limits: Limits = Limits()
    environment: Mapping[str, str] = {}
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    online: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """How a program ended. ``exit_status`` is None where a signal or a limit ended it.

    ``stdout`` and ``stderr`` are decoded without ever raising and hold at most the output limit; ``memory`` is the
    highest resident set seen, in bytes.
    """

    exit_status: int | None
    signal: int | None = None
    stopped: Stopped = ""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    memory: int = 0


class Sandbox(Protocol):
    """Runs programs that a model wrote."""

    @property
    def level(self) -> str:
        """What this sandbox promises, in one word for the report."""
        ...

    async def run(self, job: Job) -> Outcome:
        """Run the job and leave nothing of it behind: no process, no file. Raises SandboxError."""
        ...
