"""Linux system calls that Python does not offer, through ctypes: what a sandbox is built with.

Runs standalone inside the sandbox, with the standard library only. Each function raises OSError as ``os`` does.
"""

import ctypes
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_LIBC = ctypes.CDLL(None, use_errno=True)
_CLONE = {"x86_64": 56, "aarch64": 220}
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_MOUNT_SETATTR = 442  # new calls have the same number on every architecture
_SIGCHLD = 17

# linux/prctl.h
SET_PDEATHSIG, SET_DUMPABLE, SET_SECCOMP, SET_SECUREBITS, SET_NO_NEW_PRIVS = 1, 4, 22, 28, 38
_CAP_AMBIENT, _RAISE = 47, 2
# linux/mount.h
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXECUTION = 0x1, 0x2, 0x4, 0x8
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000
_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
# linux/sockios.h, linux/if.h
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1

Argument = int | bytes | None


def call(number: int, *arguments: "Argument | ctypes.Array[ctypes.c_char]") -> int:
    """Make the system call with that number."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    return _checked(_LIBC.syscall, ctypes.c_long(number), *words)


def _checked(function: "Callable[..., int]", *arguments: object, name: str | None = None) -> int:
    result = function(*arguments)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return result


def prctl(option: int, *values: "int | ctypes.Structure") -> None:
    """Set a property of this process."""
    words = [ctypes.c_ulong(value) if isinstance(value, int) else ctypes.byref(value) for value in values]
    _checked(_LIBC.prctl, option, *words, *[ctypes.c_ulong(0)] * (4 - len(words)))


def default_signal(number: int) -> None:
    """Restore the default action of a signal: Python ignores some, and an executed program would inherit that."""
    _LIBC.signal(number, None)  # SIG_DFL is the null pointer


def clone(flags: int) -> int:
    """Fork into the new namespaces that the flags name. Only for a process with one thread."""
    # PyDLL keeps the global interpreter lock, so that the child finds it as the parent left it.
    fork = ctypes.PyDLL(None, use_errno=True).syscall
    zeros = [ctypes.c_long(0)] * 4
    return _checked(fork, ctypes.c_long(_CLONE[os.uname().machine]), ctypes.c_long(flags | _SIGCHLD), *zeros)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    words = (os.fsencode(word) for word in (source, target, kind, options))
    source_word, target_word, kind_word, data = words
    _checked(_LIBC.mount, source_word, target_word, kind_word or None, ctypes.c_ulong(flags), data or None, name=target)


def restrict_mount(target: str, attributes: int, *, below: bool = True) -> None:
    """Add attributes (read-only and the like) to a mount and all mounts below it. Needs Linux 5.12."""
    wanted = (ctypes.c_uint64 * 4)(attributes, 0, 0, 0)  # struct mount_attr
    number = _MOUNT_SETATTR
    path = os.fsencode(target)
    flags = _AT_RECURSIVE if below else 0
    words = (ctypes.c_long(number), ctypes.c_long(_AT_FDCWD), path, ctypes.c_long(flags), wanted, ctypes.c_long(32))
    _checked(_LIBC.syscall, *words, name=target)


def enter_root(new: str) -> None:
    """Make a mount the root of this mount namespace and detach the old one."""
    os.chdir(new)
    call(_PIVOT_ROOT[os.uname().machine], b".", b".")
    _checked(_LIBC.umount2, b".", _DETACH)
    os.chdir("/")


def bring_loopback_up() -> None:
    """Bring up the loopback device, since it is down in a new network namespace."""
    socket = _checked(_LIBC.socket, 2, 2, 0)
    request = b"lo".ljust(16, b"\0") + _IFF_UP.to_bytes(2, "little") + bytes(22)  # struct ifreq
    _checked(_LIBC.ioctl, socket, ctypes.c_ulong(_SIOCSIFFLAGS), request)
    os.close(socket)


def set_host_name(name: bytes) -> None:
    """Set the host name of this UTS namespace."""
    _checked(_LIBC.sethostname, name, ctypes.c_size_t(len(name)))


def keep_only_capability(number: int) -> None:
    """Drop every capability but one, and pass that one on to the executed program."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # _LINUX_CAPABILITY_VERSION_3, this process
    mask = 1 << number
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)
    _checked(_LIBC.syscall, ctypes.c_long(_CAPSET[os.uname().machine]), header, sets)
    prctl(_CAP_AMBIENT, _RAISE, number)


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("steps", ctypes.c_char_p))  # struct sock_fprog


def filter_calls(program: bytes) -> None:
    """Load a seccomp filter, an array of ``struct sock_filter``, permanently."""
    prctl(SET_SECCOMP, 2, _Filter(len(program) // 8, program))
