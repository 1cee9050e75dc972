"""The levels of the sandbox, strongest first, and the choice of the best that is usable on this machine.

A level counts as usable only when a program of ours, run at it, has tried to escape and failed, and not because a
tool or a kernel option exists.
"""

import asyncio
import ctypes
import functools
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from chatdev.errors import UserError
from chatdev.sandbox import selftest
from chatdev.sandbox.port import Sandbox, SandboxError

LEVELS = ("bubblewrap", "namespaces", "landlock")
"""The levels that isolate programs; see SECURITY.md."""
ENGINES = ("docker", "podman")
"""Container engines, used only on request."""
UNSAFE = "process group"
"""The level without any of them: limits, but no isolation."""
_PR_SET_DUMPABLE = 4


def at(level: str, within: Path | None = None) -> Sandbox:
    """The sandbox of a level, one of ``LEVELS``, ``ENGINES`` or ``UNSAFE``, whether or not it is usable here."""
    # Not at the top: Windows lacks what they need, and its users should get a message that says so.
    from chatdev.sandbox.container import ContainerSandbox
    from chatdev.sandbox.isolated import IsolatedSandbox
    from chatdev.sandbox.local import LocalSandbox

    if level in ENGINES:
        return ContainerSandbox(level, within)
    if level not in (*LEVELS, UNSAFE):
        raise ValueError(f"{level} is not a level of the sandbox.")
    return LocalSandbox(within) if level == UNSAFE else IsolatedSandbox(level, within)


class LevelCheck(msgspec.Struct, frozen=True):
    """The result of trying a level: ``why`` it is not usable; empty if it is."""

    level: str
    why: str = ""


@functools.cache
def tried(level: str) -> LevelCheck:
    """Try a level on this machine, once per process; it takes as long as a short program."""
    if sys.platform != "linux" and level not in ENGINES:
        return LevelCheck(level, "it needs Linux")
    try:
        return LevelCheck(level, asyncio.run(_shown(level)))
    except SandboxError as error:
        return LevelCheck(level, "; ".join(filter(None, (error.what, *error.tried, error.do))))


async def _shown(level: str) -> str:
    """Why a level is not usable; empty if it is. Raises SandboxError."""
    from chatdev.sandbox.container import ContainerSandbox

    sandbox = at(level)
    if isinstance(sandbox, ContainerSandbox):
        # Our supervisor enforces the limits of the other levels; an engine may be unable to and only warn.
        return await selftest.ways_out(sandbox) or await selftest.limits_passed(sandbox)
    return await selftest.ways_out(sandbox)


async def best(try_level: Callable[[str], LevelCheck] = tried) -> Sandbox:
    """The strongest level that is usable here. Raises UserError with the reasons and advice if none is."""
    findings = []
    for level in LEVELS:
        finding = await asyncio.to_thread(try_level, level)
        if not finding.why:
            return at(level)
        findings.append(finding)
    raise UserError(
        "No sandbox level is usable on this machine, so generated code is not run.",
        tried=[f"{finding.level}: {finding.why}" for finding in findings],
        do=_ADVICE.get(sys.platform, _ADVICE["linux"]),
    )


async def chosen(*, unsafe: bool, engine: str = "") -> Sandbox:
    """What a run uses: the best level, the requested ``engine``, or with ``unsafe`` none of them. From now on no other
    process of this user can read ours, since it holds keys. Raises UserError."""
    hide_memory()
    if engine:
        return await _contained(engine)
    return at(UNSAFE) if unsafe else await best()


async def _contained(engine: str) -> Sandbox:
    finding = await asyncio.to_thread(tried, engine)
    if finding.why:
        raise UserError(
            f"Generated code cannot run in {engine} containers on this machine.",
            tried=[finding.why],
            do=f"Fix that, or run without --sandbox {engine}: chatdev sandbox check shows which levels are usable.",
        )
    return at(engine)


def hide_memory() -> None:
    """Keep other processes of this user from reading our environment and memory through /proc, and from tracing us."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


_OTHERS = "Or run ChatDev with --unsafe-no-sandbox in a disposable virtual machine or container."
_ADVICE = {
    "linux": "Install bubblewrap, allow user namespaces (sysctl user.max_user_namespaces, "
    f"kernel.apparmor_restrict_unprivileged_userns=0), or use a kernel with Landlock. {_OTHERS}",
    "darwin": f"Run ChatDev in a Linux virtual machine (Docker Desktop, Lima, OrbStack). {_OTHERS}",
    "win32": f"Run ChatDev inside WSL 2. {_OTHERS}",
}
