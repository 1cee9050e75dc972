"""The system calls that a program may not make, as a seccomp filter: a small program for the kernel's BPF machine.

Refused are calls that no product needs and that sandbox escapes use: other processes' memory, new namespaces, mounts,
keys, kernel features with a history of vulnerabilities, sockets that no network namespace isolates. A refused call
fails with an error; it does not kill, so that a program that only tries (a JIT, a test framework) continues.

Numbers: arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h of Linux 6.18. The filter's format
is that of linux/filter.h and linux/seccomp.h.
"""

import functools
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from chatdev.sandbox.memory import LONGEST_SHARED

_EPERM, _ENOMEM, _ENOSYS, _EAFNOSUPPORT = 1, 12, 38, 97

# Operations: a class, a size or comparison, and whether the operand is a constant (linux/bpf_common.h).
_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000  # SECCOMP_RET_*
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data

_FIRST_UNKNOWN = 467
"""Calls from this number on are newer than this table: refused as not implemented, like x32 with its huge numbers."""

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # both insert characters into a terminal
_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOL_SOCKET, _SO_SNDBUF, _SO_RCVBUF, _SO_SNDBUFFORCE, _SO_RCVBUFFORCE = 1, 7, 8, 32, 33
_F_SETPIPE_SZ, _PR_SET_DUMPABLE = 1031, 4
_SHARED_ANONYMOUS, _MAP_KIND = 0x21, 0x2F  # MAP_SHARED | MAP_ANONYMOUS, and the bits that these are read from
_SOCK_STREAM, _SOCK_SEQPACKET, _SOCK_TYPE = 1, 5, 0xF


class _Machine(NamedTuple):
    """An architecture: its id in the kernel's audit, and its column in the table."""

    audit: int
    column: int


MACHINES = {"x86_64": _Machine(0xC000003E, 0), "aarch64": _Machine(0xC00000B7, 1)}
"""The architectures that a filter can be built for, as ``os.uname().machine`` names them."""

# name: (number on x86_64, on aarch64); None where the call does not exist.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # another process: its memory, its descriptors, its registers
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # namespaces and mounts
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "fsconfig": (431, 431),
    "fspick": (433, 433),
    "move_mount": (429, 429),
    "open_tree": (428, 428),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    # the kernel's key rings have no namespace of their own
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    # kernel features with a history of vulnerabilities
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "fanotify_init": (300, 262),
    "memfd_secret": (447, 447),
    "vmsplice": (278, 75),
    "modify_ldt": (154, None),
    # opening a file by its handle, past any folder
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    # the machine as a whole
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "iopl": (172, None),
    "ioperm": (173, None),
    "uselib": (134, None),
    "lookup_dcookie": (212, 18),
}

# Memory that no process is charged for. An engine's control group counts it, our supervisor cannot.
REFUSED_UNCOUNTED: dict[str, tuple[int | None, int | None]] = {
    "memfd_create": (319, 279),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
}

# Without separate namespaces these reach what other processes on the machine have created.
REFUSED_WITHOUT_NAMESPACES: dict[str, tuple[int | None, int | None]] = {
    "connect": (42, 203),
    "bind": (49, 200),
    "listen": (50, 201),
    "accept": (43, 202),
    "accept4": (288, 242),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    # System V objects are found by number, too
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    # Landlock restricts neither watching files nor changing their attributes and owners
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "inotify_add_watch": (254, 27),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "chown": (92, None),
    "lchown": (94, None),
    "fchownat": (260, 54),
}

_CLONE, _CLONE3, _IOCTL, _PRLIMIT, _PERSONALITY = (56, 220), (435, 435), (16, 29), (302, 261), (135, 92)
_SOCKET, _SOCKETPAIR, _SETSOCKOPT = (41, 198), (53, 199), (54, 208)
_MMAP, _FCNTL, _PRCTL = (9, 222), (72, 25), (157, 167)
_SCHEDULING = {
    "sched_setparam": (142, 118),
    "sched_setscheduler": (144, 119),
    "sched_setaffinity": (203, 122),
    "sched_setattr": (314, 274),
}


class _Step(NamedTuple):
    """One instruction; the jumps are how many of the following are skipped if it is true, and if not."""

    code: int
    operand: int
    jump_if: int = 0
    jump_else: int = 0

    def packed(self) -> bytes:
        return struct.pack("=HBBI", self.code, self.jump_if, self.jump_else, self.operand)


@functools.cache
def program(machine: str, *, sockets: bool, online: bool = False) -> bytes:
    """The filter for an architecture, one of ``MACHINES``, as an array of ``struct sock_filter``.

    With ``sockets`` a program may create internet and Unix sockets, since it has its own network namespace; without,
    only pairs that are connected to each other. ``online``: it shares the machine's network and may create internet
    sockets, but not Unix sockets, since some of these are found by name there.
    """
    audit, column = MACHINES[machine]
    steps = [
        _Step(_LOAD, _ARCHITECTURE),
        _Step(_EQUAL, audit, 1, 0),
        _Step(_RETURN, _KILL),  # a 32-bit call on a 64-bit machine has other numbers
        _Step(_LOAD, _NUMBER),
        _Step(_AT_LEAST, _FIRST_UNKNOWN, 0, 1),
        _error(_ENOSYS),
    ]
    refused = REFUSED | REFUSED_UNCOUNTED | ({} if sockets else REFUSED_WITHOUT_NAMESPACES)
    if online:
        refused.pop("connect", None)
    for numbers in refused.values():
        if (number := numbers[column]) is not None:
            steps += [_Step(_EQUAL, number, 0, 1), _error(_EPERM)]
    # A filter cannot read its flags, since they are in memory; after ENOSYS, libc uses clone.
    steps += [_Step(_EQUAL, _CLONE3[column], 0, 1), _error(_ENOSYS)]
    for call, body in _looked_into(sockets, online):
        steps += [_Step(_EQUAL, call[column], 0, len(body)), *body]
    steps.append(_Step(_RETURN, _ALLOW))
    return b"".join(step.packed() for step in steps)


def profile() -> bytes:
    """The same with ``sockets``, as JSON for container engines: see config-linux.md of the OCI runtime specification,
    "Seccomp"."""

    def refused(*names: str, error: int = _EPERM, args: Sequence[tuple[int, str, int, int]] = ()) -> dict[str, object]:
        tests = [{"index": index, "op": op, "value": value, "valueTwo": two} for index, op, value, two in args]
        return {"names": names, "action": "SCMP_ACT_ERRNO", "errnoRet": error, "args": tests}

    bits = [1 << bit for bit in range(32) if _NEW_NAMESPACES >> bit & 1]
    families = [(0, "SCMP_CMP_NE", family, 0) for family in (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK)]
    rules = [
        refused(*REFUSED),
        refused("clone3", error=_ENOSYS),
        *(refused("clone", args=[(0, "SCMP_CMP_MASKED_EQ", bit, bit)]) for bit in bits),
        *(refused("ioctl", args=[(1, "SCMP_CMP_EQ", request, 0)]) for request in (_TIOCSTI, _TIOCLINUX)),
        refused("prlimit64", args=[(0, "SCMP_CMP_NE", 0, 0)]),
        refused("personality", args=[(0, "SCMP_CMP_NE", value, 0) for value in (0, 0xFFFFFFFF)]),
        refused("socket", error=_EAFNOSUPPORT, args=families),
    ]
    return msgspec.json.encode({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules})


def _looked_into(sockets: bool, online: bool) -> Iterator[tuple[tuple[int, int], Sequence[_Step]]]:
    """The calls that are allowed or refused by their arguments, with the deciding steps; these end with a return."""
    yield _CLONE, [_argument(0), _Step(_ANY_BIT, _NEW_NAMESPACES, 0, 1), _error(_EPERM), _Step(_RETURN, _ALLOW)]
    yield _IOCTL, _none_of(1, (_TIOCSTI, _TIOCLINUX))
    yield _PRLIMIT, _only(0, (0,), _EPERM)  # the same user id is enough to set another process's limits
    yield _PERSONALITY, _only(0, (0, 0xFFFFFFFF), _EPERM)
    yield from _bounded()
    if online:
        yield _SOCKET, _only(0, (_AF_INET, _AF_INET6, _AF_NETLINK), _EAFNOSUPPORT)
    elif sockets:
        # VSOCK, packets, Bluetooth etc. are not isolated by a network namespace, or have a history of vulnerabilities.
        yield _SOCKET, _only(0, (_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK), _EAFNOSUPPORT)
    else:
        yield _SOCKET, [_error(_EAFNOSUPPORT)]
    if not sockets:
        for call in _SCHEDULING.values():
            yield call, _only(0, (0,), _EPERM)  # 0 is the calling thread; other numbers may be another process
        # A pair of datagram sockets could still send to any address; pairs of these kinds only to each other.
        kinds = (_SOCK_STREAM, _SOCK_SEQPACKET)
        yield _SOCKETPAIR, [_argument(1), _Step(_AND, _SOCK_TYPE), *_accumulated(kinds, _EPERM)]


def _bounded() -> Iterator[tuple[tuple[int, int], Sequence[_Step]]]:
    """What keeps the memory that ``memory.Meter`` estimates within its estimates."""
    allow = _Step(_RETURN, _ALLOW)
    shared = [_argument(3), _Step(_AND, _MAP_KIND), _Step(_EQUAL, _SHARED_ANONYMOUS, 1, 0), allow]
    length = [
        _argument(1, high=True),
        _Step(_EQUAL, 0, 0, 2),
        _argument(1),
        _Step(_AT_LEAST, LONGEST_SHARED + 1, 0, 1),
    ]
    yield _MMAP, [*shared, *length, _error(_ENOMEM), allow]
    # Succeeds without effect: a larger buffer is a wish that the kernel itself may cut down.
    sizes = (_SO_SNDBUF, _SO_RCVBUF, _SO_SNDBUFFORCE, _SO_RCVBUFFORCE)
    level = [_argument(1), _Step(_EQUAL, _SOL_SOCKET, 1, 0), allow]
    yield _SETSOCKOPT, [*level, *_none_of(2, sizes, error=0)]
    yield _FCNTL, _none_of(1, (_F_SETPIPE_SZ,))
    yield _PRCTL, _none_of(0, (_PR_SET_DUMPABLE,))  # a process that is not dumpable hides what it has open and mapped


def _argument(index: int, *, high: bool = False) -> _Step:
    """Load the low half of an argument: both architectures store it first, and of most the kernel reads no more."""
    return _Step(_LOAD, _ARGUMENTS + 8 * index + 4 * high)


def _error(number: int) -> _Step:
    return _Step(_RETURN, _ERROR | number)


def _only(index: int, values: Sequence[int], error: int) -> list[_Step]:
    return [_argument(index), *_accumulated(values, error)]


def _accumulated(values: Sequence[int], error: int) -> list[_Step]:
    """Allow if the loaded value is one of these, else fail."""
    tests = [_Step(_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)]
    return [*tests, _error(error), _Step(_RETURN, _ALLOW)]


def _none_of(index: int, values: Sequence[int], error: int = _EPERM) -> list[_Step]:
    tests = [_Step(_EQUAL, value, len(values) - place, 0) for place, value in enumerate(values)]
    return [_argument(index), *tests, _Step(_RETURN, _ALLOW), _error(error)]
