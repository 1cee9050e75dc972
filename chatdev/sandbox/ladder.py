"""The levels of the sandbox, the strongest first, and the best of them that holds on this machine.

A level is believed when a program of ours, run at it, has tried the ways out and found them shut; not because a tool
or a kernel's option is there.
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
"""The levels that hold what they promise; see SECURITY.md."""
ENGINES = ("docker", "podman")
"""Container engines, whose walls are used where their user asks for them."""
UNSAFE = "process group"
"""What is left without them: limits, and no walls."""
_PR_SET_DUMPABLE = 4


def at(level: str, within: Path | None = None) -> Sandbox:
    """The sandbox of a level, one of ``LEVELS``, ``ENGINES`` or ``UNSAFE``, whether or not it holds here."""
    # Not above: Windows has none of what they are made of, and is to be told so in words.
    from chatdev.sandbox.container import ContainerSandbox
    from chatdev.sandbox.local import LocalSandbox
    from chatdev.sandbox.walled import WalledSandbox

    if level in ENGINES:
        return ContainerSandbox(level, within)
    if level not in (*LEVELS, UNSAFE):
        raise ValueError(f"{level} is no level of the sandbox.")
    return LocalSandbox(within) if level == UNSAFE else WalledSandbox(level, within)


class Finding(msgspec.Struct, frozen=True):
    """What trying a level has shown: ``why`` it does not hold; empty if it does."""

    level: str
    why: str = ""


@functools.cache
def tried(level: str) -> Finding:
    """Try a level on this machine, once in this process; it takes as long as a short program."""
    if sys.platform != "linux" and level not in ENGINES:
        return Finding(level, "it needs Linux")
    try:
        return Finding(level, asyncio.run(_shown(level)))
    except SandboxError as error:
        return Finding(level, "; ".join(filter(None, (error.what, *error.tried, error.do))))


async def _shown(level: str) -> str:
    """Why a level does not hold. Raises SandboxError."""
    from chatdev.sandbox.container import ContainerSandbox

    sandbox = at(level)
    if isinstance(sandbox, ContainerSandbox):
        # Our supervisor keeps the limits of the other levels; an engine may be unable to, and only warns of it.
        return await selftest.ways_out(sandbox) or await selftest.limits_passed(sandbox)
    return await selftest.ways_out(sandbox)


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


async def chosen(*, unsafe: bool, engine: str = "") -> Sandbox:
    """What a run uses: the best level, or the ``engine`` that was asked for, or with ``unsafe`` none of them. From now
    on no other process of this user may look into ours, which holds keys. Raises UserError."""
    hide_memory()
    if engine:
        return await _contained(engine)
    return at(UNSAFE) if unsafe else await best()


async def _contained(engine: str) -> Sandbox:
    finding = await asyncio.to_thread(tried, engine)
    if finding.why:
        raise UserError(
            f"Programs cannot be run in containers of {engine} here.",
            tried=[finding.why],
            do=f"Mend that, or leave --sandbox {engine} out: chatdev sandbox check says what else holds here.",
        )
    return at(engine)


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
