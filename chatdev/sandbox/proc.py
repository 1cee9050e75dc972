"""Reads the descendants of a process from ``/proc``: their ids, the memory they hold, the CPU time they have used.

Runs standalone beside and inside the sandbox, with the standard library only. Without ``/proc``, results are empty.
"""

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from . import memory
    from .inside import Confinement

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_STATE, _PARENT, _USED, _THREADS = 0, 1, slice(11, 15), 17  # proc_pid_stat(5), counted from the state field
_COUNT_AFTER, _COUNT_SHARE = 0.1, 20  # seconds to the first count and between two; one may use a 20th of the time
_HELD = (b"\nVmRSS:", b"\nVmPTE:", b"\nVmSwap:", b"\nHugetlbPages:")  # proc_pid_status(5)
_WANTING = (b"R", b"D")  # runnable or running; waiting for a disk


def descendants(root: int) -> list[int]:
    """The ids of all living processes below ``root``; empty if the system has no ``/proc``."""
    by_parent = {} if os.path.exists(children_file(root, root)) else _all_by_parent()
    found: list[int] = []
    pending = [root]
    while pending:
        pid = pending.pop()
        children = by_parent.get(pid, []) if by_parent else _listed_children(pid)
        found += children
        pending += children
    return found


def children_file(pid: int, thread: int | str) -> str:
    """The file in which the kernel lists the children of a thread."""
    return f"/proc/{pid}/task/{thread}/children"  # proc(5); only with CONFIG_PROC_CHILDREN


def _listed_children(pid: int) -> list[int]:
    return [int(child) for thread in _threads(pid) for child in read(children_file(pid, thread)).split()]


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


def held(pid: int) -> tuple[int, int]:
    """The memory of a process in bytes: resident, swapped out, in huge pages and in page tables, without what it shares
    with others; and its resident part of that. Of processes that share pages of a file, each counts them."""
    text = read(f"/proc/{pid}/status")
    shared = _kilobytes(text, b"\nRssShmem:")
    return sum(_kilobytes(text, name) for name in _HELD) - shared, shared


class Memory:
    """The memory that a program's processes hold, in bytes. What is in no resident set takes longer to count: it is
    counted less often, and only for a confined program."""

    def __init__(self, confinement: "Confinement | None") -> None:
        self._confinement = confinement
        self._meter: memory.Meter | None = None
        self._next = time.monotonic() + _COUNT_AFTER
        self._files = self._others = 0

    def held(self, members: list[int], now: float) -> int:
        """Count these processes ``now``."""
        own, shared = 0, 0
        for pid in members:
            one, other = held(pid)
            own, shared = own + one, shared + other
        if now >= self._next and self._confinement:
            self._count(members, self._confinement)
            self._next = (done := time.monotonic()) + max(_COUNT_AFTER, _COUNT_SHARE * (done - now))
        return own + max(shared, self._files) + self._others

    def _count(self, members: list[int], confinement: "Confinement") -> None:
        if self._meter is None:
            from . import memory  # most programs end before it is needed

            self._meter = memory.Meter(alone=confinement.alone, online=confinement.online)
        self._files, self._others = self._meter.count(members)


def _kilobytes(status: bytes, name: bytes) -> int:
    """A line of ``/proc/PID/status``, in bytes. A process that has ended has none of them."""
    at = status.find(name)
    return int(status[at + len(name) : status.index(b"kB", at)]) << 10 if at >= 0 else 0


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
