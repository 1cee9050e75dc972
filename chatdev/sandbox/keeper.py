"""Ends what a program has started if its supervisor is killed.

Runs standalone, with the standard library only. In a process namespace the kernel does this. Elsewhere it ends the
program with its supervisor, but not the program's children. There the supervisor is the child of a process that only
waits for it: orphans become that process's children.
"""

import os
import select
import sys

from . import proc, system, trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_SIGKILL = 9


def separate(status: int, lifeline: int, folder: str, temporary: "Sequence[str]") -> None:
    """Return in a child of this process. This process waits for it, ends all that it leaves behind if it is killed or
    suspended, removes ``folder`` in that case, and ``temporary`` folders if no process reads ``status``. Then it exits.
    """
    if sys.platform == "linux":
        system.prctl(system.SET_CHILD_SUBREAPER, 1)
    supervisor = os.fork()
    if supervisor == 0:
        report(status, f"kept {os.getpid()}")
        return
    os.close(lifeline)
    for stream in range(3):
        os.close(stream)
    _, result = os.waitpid(supervisor, os.WUNTRACED)
    if os.WIFEXITED(result):
        os._exit(os.WEXITSTATUS(result))
    if os.WIFSTOPPED(result):  # only its program has a reason to do that
        os.kill(supervisor, _SIGKILL)
    end_all()
    if not report(status, f"signal {_SIGKILL} 0 0 0"):
        trees.remove_all(temporary)
    trees.remove_tree(folder)
    os._exit(1)


def report(status: int, line: str) -> bool:
    """Write to the process that requested the run. False if that has died: then only the cleanup is left to do."""
    try:
        os.write(status, f"{line}\n".encode())
    except BrokenPipeError:
        return False
    return True


def end_all(group: int = 0) -> None:
    """Kill a process group, then all descendants of this process, until none is left. One call kills a whole group, so
    that no fork outruns it; new groups are killed next."""
    ours = os.getpgrp()
    if group:
        _kill_group(group)
    while _reap():
        for pid in proc.descendants(os.getpid()):
            try:
                group = os.getpgid(pid)
                os.kill(pid, _SIGKILL)
            except (ProcessLookupError, PermissionError):
                continue
            if group != ours:
                _kill_group(group)
        select.poll().poll(1)


def _reap() -> bool:
    """Reap the dead. False if no child is left."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            continue
    except ChildProcessError:
        return False
    return True


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, _SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
