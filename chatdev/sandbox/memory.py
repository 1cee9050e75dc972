"""Counts the memory that a confined program holds outside its processes' resident sets.

Runs standalone beside the supervisor, with the standard library only. The kernel attributes such memory to no process,
so it is counted as the most that the program's objects can hold. The system call filter keeps that bounded: it refuses
objects that cannot be counted, and buffers of more than the usual size (see ``seccomp``).
"""

import os

from . import proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SCRATCH = ("/tmp", "/dev/shm")
_TERMINALS = "/dev/pts"
_TERMINAL = (
    64 << 10
)  # bytes of a pseudo-terminal: two of struct tty_struct, n_tty_data and buffers of 8 KiB, rounded up
_INODE = 1 << 10  # bytes of an empty file in memory: struct shmem_inode_info and struct dentry, approximately
_MAPPING = 256  # bytes of struct vm_area_struct and its place in the tree, approximately
_SHARED = (b"/dev/zero (deleted)", b"/memfd:", b"/SYSV")  # as /proc/PID/maps names shared memory without a path
LONGEST_SHARED = 16 << 20
"""The bytes of a shared anonymous mapping that the filter allows. Its pages stay until all of it is unmapped, so a
program can hold them in no resident set."""
_USUAL_SEGMENTS, _USUAL_SOCKETS, _USUAL_DESCRIPTORS = 4, 64, 8
"""What most programs have: counted as what can be seen of it, rather than as the most that it can hold."""
_TCP_BUFFERS = 10 << 20  # the usual maxima of tcp_rmem and tcp_wmem together: Documentation/networking/ip-sysctl.rst
_PIPE, _LARGE_PIPES, _SMALL_PIPE = 64 << 10, 1024, 8 << 10
"""A user's pipes hold 64 KiB each, and two pages after 16384 pages: pipe(7), ``pipe-user-pages-soft``."""


class Meter:
    """Counts for one program. ``alone``: it has IPC, mount and network namespaces of its own."""

    def __init__(self, *, alone: bool, online: bool) -> None:
        self._alone, self._own_network = alone, alone and not online
        self._scratch: list[int] = []
        self._terminals: list[int] = []
        # A sender may exceed its buffer by one message, of half its size at most.
        self._buffer = int(proc.read("/proc/sys/net/core/wmem_default") or 212992) * 3 // 2

    def count(self, members: list[int]) -> tuple[int, int]:
        """The bytes of files in memory and of memory that processes share without a file; and those that the kernel
        holds for the program's mappings, sockets, pipes and pseudo-terminals."""
        segments: dict[bytes, int] = {}
        mappings = sum(_add_segments(pid, segments) for pid in members)
        hidden = max(0, len(segments) - _USUAL_SEGMENTS) * LONGEST_SHARED
        if self._alone and not self._scratch:
            self._scratch = _opened(members, _SCRATCH)
            self._terminals = _opened(members, (_TERMINALS,))
        files = sum(map(_used, self._scratch)) + max(sum(segments.values()), hidden)
        terminals = sum(map(_entries, self._terminals))  # one of them is that which makes the others
        return files, mappings * _MAPPING + self._buffers(members) + terminals * _TERMINAL

    def _buffers(self, members: list[int]) -> int:
        links = {link for pid in members for link in _descriptors(pid)}
        pipes = sum(link.startswith("pipe:") for link in links)
        sockets, internet = len(links) - pipes, 0
        if self._own_network and members:
            sockets, internet = _network(members[0])
        large = min(pipes, _LARGE_PIPES)
        in_pipes = large * _PIPE + (pipes - large) * _SMALL_PIPE
        return max(0, sockets - _USUAL_SOCKETS) * self._buffer + internet + in_pipes


def _add_segments(pid: int, segments: dict[bytes, int]) -> int:
    """Add the shared memory that a process has mapped, as inode and bytes; how many mappings it has in all."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            text = file.read()
    except OSError:
        return 0
    if any(name in text for name in _SHARED):
        found: dict[bytes, int] = {}
        for line in text.splitlines():
            fields = line.split(None, 5)
            if len(fields) == 6 and fields[1].endswith(b"s") and fields[5].startswith(_SHARED):
                start, _, end = fields[0].partition(b"-")
                found[fields[4]] = found.get(fields[4], 0) + int(end, 16) - int(start, 16)
        for inode, size in found.items():
            segments[inode] = max(size, segments.get(inode, 0))
    return text.count(b"\n")


def _opened(members: list[int], paths: tuple[str, ...]) -> list[int]:
    """Descriptors of these folders of the program, found through one of its processes."""
    found = []
    for pid in members[:1]:
        for path in paths:
            try:
                found.append(os.open(f"/proc/{pid}/root{path}", os.O_PATH | os.O_CLOEXEC))
            except OSError:
                continue
    return found


def _used(folder: int) -> int:
    state = os.fstatvfs(folder)
    return (state.f_blocks - state.f_bfree) * state.f_frsize + (state.f_files - state.f_ffree) * _INODE


def _entries(folder: int) -> int:
    try:
        return len(os.listdir(f"/proc/self/fd/{folder}"))
    except OSError:
        return 0


def _descriptors(pid: int) -> "Iterator[str]":
    """The sockets and pipes that a process has open, unless it has few descriptors; each has a name of its own."""
    folder = f"/proc/{pid}/fd"
    try:
        if 0 < os.stat(folder).st_size <= _USUAL_DESCRIPTORS:  # their number, since Linux 6.2
            return
        for name in os.listdir(folder):
            link = os.readlink(f"{folder}/{name}")
            if link.startswith(("socket:", "pipe:")):
                yield link
    except OSError:
        return


def _network(pid: int) -> tuple[int, int]:
    """How many sockets the network namespace of a process has, also those without a descriptor, and the bytes that
    TCP and UDP hold for them. The kernel counts the latter for the machine, so they are limited by the sockets."""
    numbers: dict[bytes, dict[bytes, int]] = {}
    for line in proc.read(f"/proc/{pid}/net/sockstat").splitlines():
        name, *words = line.split()
        numbers[name] = dict(zip(words[::2], map(int, words[1::2]), strict=False))
    sockets = numbers.get(b"sockets:", {}).get(b"used", 0)
    internet = 0
    for protocol in (b"TCP:", b"UDP:"):
        found = numbers.get(protocol, {})
        held = found.get(b"mem", 0) * os.sysconf("SC_PAGE_SIZE")
        internet += min(held, found.get(b"inuse", 0) * _TCP_BUFFERS)
    return sockets, internet
