"""The sandbox levels that isolate a program: what it may access, by the level's name."""

import os
import sys
from pathlib import Path

from chatdev.sandbox import bubblewrap, view
from chatdev.sandbox.inside import Confinement
from chatdev.sandbox.local import LocalSandbox
from chatdev.sandbox.port import Job, Refused
from chatdev.sandbox.seccomp import MACHINES, program

_SCRATCH = 64 << 20


class IsolatedSandbox(LocalSandbox):
    """Runs a program in a file tree of its own or, at level landlock, with restricted access to ours."""

    def __init__(self, level: str, within: Path | None = None) -> None:
        super().__init__(within)
        self._level = level
        self._bwrap = bubblewrap.executable() if level == "bubblewrap" else None

    @property
    def level(self) -> str:
        """One of ``levels.LEVELS``."""
        return self._level

    def confinement(self, job: Job, folder: Path) -> Confinement | None:
        """What the program may access. Raises SandboxError."""
        reads = view.reads(job.argv, (*job.reads, str(bubblewrap.HERE), *(view.online() if job.online else ())))
        alone = self._level != "landlock"
        plain = Confinement(
            self._level,
            reads if alone else (*reads, *view.shared()),
            view.links(),
            program(_machine(), sockets=alone, online=job.online),
            _SCRATCH,
            tuple(str(Path(place).resolve()) for place in job.writes),
            job.online,
        )
        return self._wrapped(plain, str(folder)) if self._level == "bubblewrap" else plain

    def _wrapped(self, plain: Confinement, folder: str) -> Confinement:
        if self._bwrap is None:
            raise Refused("bwrap was not found on PATH.", do="Install bubblewrap, for example: apt install bubblewrap.")
        made, writes = plain.made(folder), plain.writes(folder)
        command = bubblewrap.command(
            self._bwrap, plain.reads, plain.links, made, writes, plain.scratch, online=plain.online
        )
        plain.wrap = command
        return plain


def _machine() -> str:
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in MACHINES:
        raise Refused(f"There is no system call filter for {sys.platform} on {machine}.")
    return machine
