"""The levels of the sandbox, the strongest first, and the best of them that holds on this machine.

A level is believed when a program of ours, run at it, has tried the ways out and found them shut; not because a tool
or a kernel's option is there.
"""

import asyncio
import ctypes
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from chatdev.errors import UserError
from chatdev.sandbox import bubblewrap, selftest, view
from chatdev.sandbox.inside import Confinement
from chatdev.sandbox.local import LocalSandbox
from chatdev.sandbox.port import Job, Refused, Sandbox, SandboxError
from chatdev.sandbox.seccomp import MACHINES, program

LEVELS = ("bubblewrap", "namespaces", "landlock")
"""The levels that hold what they promise; see SECURITY.md."""
UNSAFE = "process group"
"""What is left without them: limits, and no walls."""
_SCRATCH = 64 << 20
_PR_SET_DUMPABLE = 4


class WalledSandbox(LocalSandbox):
    """A program of a user's own in a tree of files of its own, or at level landlock in what it may reach of ours."""

    def __init__(self, level: str, within: Path | None = None) -> None:
        super().__init__(within)
        self._level = level
        self._bwrap = bubblewrap.executable() if level == "bubblewrap" else None

    @property
    def level(self) -> str:
        """One of ``LEVELS``."""
        return self._level

    def walls(self, job: Job, folder: Path) -> Confinement | None:
        """What the program may reach. Raises SandboxError."""
        reads = view.reads(job.argv, (*job.reads, str(bubblewrap.HERE)))
        alone = self._level != "landlock"
        plain = Confinement(
            self._level,
            reads if alone else (*reads, *view.shared()),
            view.links(),
            program(_machine(), sockets=alone),
            _SCRATCH,
        )
        return self._wrapped(plain, str(folder)) if self._level == "bubblewrap" else plain

    def _wrapped(self, plain: Confinement, folder: str) -> Confinement:
        if self._bwrap is None:
            raise Refused("There is no bwrap here.", do="Install it: apt install bubblewrap, or your system's like.")
        made, writes = plain.made(folder), plain.writes(folder)
        command = bubblewrap.command(self._bwrap, plain.reads, plain.links, made, writes, plain.scratch)
        return Confinement(plain.level, plain.reads, plain.links, plain.calls, plain.scratch, command)


def _machine() -> str:
    machine = os.uname().machine
    if sys.platform != "linux" or machine not in MACHINES:
        raise Refused(f"There is no filter of system calls for {sys.platform} on {machine}.")
    return machine


def at(level: str, within: Path | None = None) -> Sandbox:
    """The sandbox of a level, one of ``LEVELS`` or ``UNSAFE``, whether or not it holds here."""
    return LocalSandbox(within) if level == UNSAFE else WalledSandbox(level, within)


class Finding(msgspec.Struct, frozen=True):
    """What trying a level has shown: ``why`` it does not hold; empty if it does."""

    level: str
    why: str = ""


@functools.cache
def tried(level: str) -> Finding:
    """Try a level on this machine, once in this process; it takes as long as a short program."""
    if sys.platform != "linux":
        return Finding(level, "it needs Linux")
    try:
        return Finding(level, asyncio.run(selftest.ways_out(WalledSandbox(level))))
    except SandboxError as error:
        return Finding(level, "; ".join((error.what, *error.tried)))


async def best(try_level: Callable[[str], Finding] = tried) -> Sandbox:
    """The strongest level that holds here. Raises UserError with the reasons and advice if none does."""
    findings = []
    for level in LEVELS:
        finding = await asyncio.to_thread(try_level, level)
        if not finding.why:
            return at(level)
        findings.append(finding)
    raise UserError(
        "No sandbox on this machine holds, so programs that a model wrote are not run.",
        tried=[f"{finding.level}: {finding.why}" for finding in findings],
        do=_ADVICE.get(sys.platform, _ADVICE["linux"]),
    )


async def chosen(*, unsafe: bool) -> Sandbox:
    """What a run uses: the best level, or with ``unsafe`` none of them. From now on no other process of this user may
    look into ours, which holds keys. Raises UserError."""
    hide_memory()
    return LocalSandbox() if unsafe else await best()


def hide_memory() -> None:
    """Let no other process of this user read our environment and memory through /proc, nor trace us."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


_OTHERS = "Or run ChatDev in a virtual machine or container that you can lose, with --unsafe-no-sandbox."
_ADVICE = {
    "linux": "Install bubblewrap, allow user namespaces (sysctl user.max_user_namespaces, "
    f"kernel.apparmor_restrict_unprivileged_userns=0), or use a kernel with Landlock. {_OTHERS}",
    "darwin": f"Run ChatDev in a Linux virtual machine (Docker Desktop, Lima, OrbStack). {_OTHERS}",
    "win32": f"Run ChatDev inside WSL 2. {_OTHERS}",
}
