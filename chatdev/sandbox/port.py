"""The interface of a sandbox, whatever its level."""

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

from chatdev.errors import ChatDevError
from chatdev.sandbox import fair

Stopped = Literal["", "time", "starved", "memory", "processes", "output", "disk"]
"""Which limit ended a program; empty if it ended by itself. ``starved``: it was stopped before it had had its time,
since the machine was too busy. That says nothing about the program."""


class SandboxError(ChatDevError):
    """A program could not be run at all: its files cannot be written, or no process can be started."""


class Refused(SandboxError):
    """This sandbox level is not usable on this machine; nothing was run."""


class Limits(msgspec.Struct, frozen=True):
    """Limits of one run. Sizes in bytes, times in seconds. ``memory`` is the resident set of all its
    processes; isolated, also what it holds in page tables, files in memory, shared mappings, sockets and pipes.

    ``seconds`` are counted from the program's own start, as ``fair.Clock`` counts them: its CPU time, and the time in
    which it needed none. On a machine that is slow now they are extended. ``patience`` is how many times as long it may
    take in wall time before it is stopped.
    """

    seconds: float = 30.0
    memory: int = 1 << 30
    processes: int = 64
    output: int = 1 << 20
    file_size: int = 64 << 20
    patience: float = fair.PATIENCE

    @property
    def longest(self) -> float:
        """The wall time in seconds after which a run ends in any case."""
        return fair.longest(self.seconds, self.patience)


class Job(msgspec.Struct, frozen=True):
    """One program to run, in a disposable folder made of ``files`` (relative path to content).

    ``stdin`` is fed and closed; with ``hold_stdin`` it stays open afterwards, so that a program that waits for its
    user keeps waiting instead of reading an end of file. ``environment`` is added to the clean one. ``reads`` are paths
    of this machine that the program needs besides the system's, our interpreter and the command. ``writes`` are
    existing folders that it may change permanently. ``online`` grants the machine's network. Both are for programs that
    we choose, such as pip, and never for what a model wrote. ``temporary`` are folders of this process, removed if it
    dies during the run.
    """

    argv: tuple[str, ...]
    files: Mapping[str, bytes]
    stdin: bytes = b""
    hold_stdin: bool = False
    limits: Limits = Limits()
    environment: Mapping[str, str] = {}
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    temporary: tuple[str, ...] = ()
    online: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """How a program ended. ``exit_status`` is None if a signal or a limit ended it.

    ``stdout`` and ``stderr`` are decoded without ever raising, up to the output limit; ``memory`` is the most
    that was counted, in bytes, as ``Limits`` says. ``seconds`` is the wall time; for ``waited`` of them it had to wait,
    since the machine was busy.
    """

    exit_status: int | None
    signal: int | None = None
    stopped: Stopped = ""
    stdout: str = ""
    stderr: str = ""
    seconds: float = 0.0
    memory: int = 0
    waited: float = 0.0


class Sandbox(Protocol):
    """Runs programs that a model wrote."""

    @property
    def level(self) -> str:
        """The name of this sandbox level, for the report."""
        ...

    async def run(self, job: Job) -> Outcome:
        """Run the job and leave nothing of it behind: no process, no file. Raises SandboxError."""
        ...
