"""Reads the descendants of a process from ``/proc``: their ids, the memory they hold, the CPU time they have used.

Runs standalone beside and inside the sandbox, with the standard library only. Without ``/proc``, results are empty.
"""

import os

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_STATE, _PARENT, _USED, _THREADS = 0, 1, slice(11, 15), 17  # proc_pid_stat(5), counted from the state field
_WANTING = (b"R", b"D")  # runnable or running; waiting for a disk


def descendants(root: int) -> list[int]:
    """The ids of all living processes below ``root``; empty if the system has no ``/proc``."""
    by_parent = {} if os.path.exists(_list_of_children(root, root)) else _all_by_parent()
    found: list[int] = []
    pending = [root]
    while pending:
        pid = pending.pop()
        children = by_parent.get(pid, []) if by_parent else _listed_children(pid)
        found += children
        pending += children
    return found


def _list_of_children(pid: int, thread: int | str) -> str:
    return f"/proc/{pid}/task/{thread}/children"  # proc(5); only with CONFIG_PROC_CHILDREN


def _listed_children(pid: int) -> list[int]:
    return [int(child) for thread in _threads(pid) for child in read(_list_of_children(pid, thread)).split()]


def _threads(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _all_by_parent() -> dict[int, list[int]]:
    """All processes of the machine by their parents: the slower way, if the kernel does not list children."""
    by_parent: dict[int, list[int]] = {}
    try:
        pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return {}
    for pid in pids:
        if fields := _stat(f"/proc/{pid}/stat"):
            by_parent.setdefault(int(fields[_PARENT]), []).append(pid)
    return by_parent


def usage(pids: list[int]) -> tuple[float, bool]:
    """The CPU time in seconds that these processes and their reaped children have used so far, and whether one of
    their threads wants a CPU or waits for a disk at this moment."""
    ticks, wants = 0, False
    for pid in pids:
        fields = _stat(f"/proc/{pid}/stat")
        if not fields:
            continue
        ticks += sum(map(int, fields[_USED]))
        wants = wants or fields[_STATE] in _WANTING or (int(fields[_THREADS]) > 1 and _a_thread_wants(pid))
    return ticks * _TICK, wants


def _a_thread_wants(pid: int) -> bool:
    return any(_stat(f"/proc/{pid}/task/{thread}/stat")[:1] in ([b"R"], [b"D"]) for thread in _threads(pid))


def is_stopped(pid: int) -> bool:
    """Whether a signal has suspended a process."""
    return _stat(f"/proc/{pid}/stat")[:1] == [b"T"]


def _stat(path: str) -> list[bytes]:
    """The fields from the state on: the name before it may hold spaces and brackets. Empty if the process is gone."""
    text = read(path)
    return text[text.rindex(b")") + 1 :].split() if text else []


def resident(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    fields = read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def read(path: str) -> bytes:
    """The content of a file in ``/proc``; empty if its process is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
