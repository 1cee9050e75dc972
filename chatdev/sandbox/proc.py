"""What Linux tells of the processes below one of ours: who they are, what they hold, what they have used.

Runs alone, on the standard library, beside and inside the sandbox. Where there is no ``/proc``, nothing is told.
"""

import os

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICK = 1 / os.sysconf("SC_CLK_TCK")
_STATE, _PARENT, _USED, _THREADS = 0, 1, slice(11, 15), 17  # proc_pid_stat(5), counted from the state on
_WANTING = (b"R", b"D")  # runnable or running; waiting for a disk


def descendants(root: int) -> list[int]:
    """The ids of all living processes below ``root``; empty where the system has no ``/proc``."""
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
    """Every process of the machine under its parent: the slower way, where the kernel lists no children."""
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
    """The seconds of processor time that these processes and the children they have buried took so far, and whether
    one of their threads wants a processor or waits for a disk at this moment."""
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
    """Whether a signal has stopped a process, which then does nothing until another one."""
    return _stat(f"/proc/{pid}/stat")[:1] == [b"T"]


def _stat(path: str) -> list[bytes]:
    """The fields from the state on: the name before it may hold spaces and brackets. Empty if the process is gone."""
    text = read(path)
    return text[text.rindex(b")") + 1 :].split() if text else []


def resident(pid: int) -> int:
    """The bytes of memory that a process holds."""
    fields = read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * _PAGE if fields else 0


def read(path: str) -> bytes:
    """What a file of ``/proc`` says; nothing if its process is gone."""
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
