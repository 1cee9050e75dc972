"""The levels of the sandbox that have walls: what a program may reach, by the level's name."""

import os
import sys
from pathlib import Path

from chatdev.sandbox import bubblewrap, view
from chatdev.sandbox.inside import Confinement
from chatdev.sandbox.local import LocalSandbox
from chatdev.sandbox.port import Job, Refused
from chatdev.sandbox.seccomp import MACHINES, program

_SCRATCH = 64 << 20


class WalledSandbox(LocalSandbox):
    """A program of a user's own in a tree of files of its own, or at level landlock in what it may reach of ours."""

    def __init__(self, level: str, within: Path | None = None) -> None:
        super().__init__(within)
        self._level = level
        self._bwrap = bubblewrap.executable() if level == "bubblewrap" else None

    @property
    def level(self) -> str:
        """One of ``ladder.LEVELS``."""
        return self._level

    def walls(self, job: Job, folder: Path) -> Confinement | None:
        """What the program may reach. Raises SandboxError."""
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
            raise Refused("There is no bwrap here.", do="Install it: apt install bubblewrap, or your system's like.")
        made, writes = plain.made(folder), plain.writes(folder)
        command = bubblewrap.command(
            self._bwrap, plain.reads, plain.links, made, writes, plain.scratch, online=plain.online
        )
        plain.wrap = command
        return plain


def _machine() -> str:
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in MACHINES:
        raise Refused(f"There is no filter of system calls for {sys.platform} on {machine}.")
    return machine
