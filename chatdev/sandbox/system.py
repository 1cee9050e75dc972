"""Linux system calls that Python does not offer: what a sandbox is built with.

Runs standalone inside the sandbox, with the standard library only. Each function raises OSError as ``os`` does.

Functions of the C library are called through ``_ctypes``, the compiled part of ``ctypes``: importing the rest of it
takes 3.4 ms of CPU time, in each supervisor.
"""

import _ctypes
import os

_CLONE = {"x86_64": 56, "aarch64": 220}
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_CAPSET = {"x86_64": 126, "aarch64": 91}
_MOUNT_SETATTR = 442  # new calls have the same number on every architecture
_SIGCHLD = 17

# linux/prctl.h
SET_PDEATHSIG, SET_DUMPABLE, SET_SECCOMP, SET_SECUREBITS, SET_CHILD_SUBREAPER, SET_NO_NEW_PRIVS = 1, 4, 22, 28, 36, 38
_CAP_AMBIENT, _RAISE = 47, 2
# linux/mount.h
READ_ONLY, NO_SUID, NO_DEVICES, NO_EXECUTION = 0x1, 0x2, 0x4, 0x8
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000
_DETACH = 2
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
# linux/sockios.h, linux/if.h
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1

Argument = int | bytes | None


class _Long(_ctypes._SimpleCData):  # type: ignore[type-arg]  # no generic at run time
    _type_ = "l"


class _Pointer(_ctypes._SimpleCData):  # type: ignore[type-arg]
    _type_ = "z"


class _Function(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO


class _LockedFunction(_ctypes.CFuncPtr):
    _flags_ = _ctypes.FUNCFLAG_CDECL | _ctypes.FUNCFLAG_USE_ERRNO | _ctypes.FUNCFLAG_PYTHONAPI


def _address(name: str) -> int:
    return _ctypes.dlsym(_ctypes.dlopen(None, 0), name)  # type: ignore[arg-type]  # None is this process


def _libc(name: str, *arguments: "Argument | _ctypes.Array[_Long]", path: str | None = None) -> int:
    """Call a function of the C library whose arguments are all as wide as a pointer."""
    words = [_Long(word) if isinstance(word, int) else word for word in arguments]
    result: int = _Function(_address(name))(*words)
    if result < 0:
        number = _ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return result


def call(number: int, *arguments: "Argument | _ctypes.Array[_Long]", path: str | None = None) -> int:
    """Make the system call with that number."""
    return _libc("syscall", number, *arguments, path=path)


def prctl(option: int, *values: int) -> None:
    """Set a property of this process."""
    _libc("prctl", option, *values, *[0] * (4 - len(values)))


def default_signal(number: int) -> None:
    """Restore the default action of a signal: Python ignores some, and an executed program would inherit that."""
    _Function(_address("signal"))(number, None)  # SIG_DFL is the null pointer


def clone(flags: int) -> int:
    """Fork into the new namespaces that the flags name. Only for a process with one thread."""
    # It keeps the global interpreter lock, so that the child finds it as the parent left it.
    words = (_CLONE[os.uname().machine], flags | _SIGCHLD, 0, 0, 0, 0)
    process: int = _LockedFunction(_address("syscall"))(*map(_Long, words))
    if process < 0:
        raise OSError(_ctypes.get_errno(), os.strerror(_ctypes.get_errno()))
    return process


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    source_word, target_word, kind_word, data = map(os.fsencode, (source, target, kind, options))
    _libc("mount", source_word, target_word, kind_word or None, flags, data or None, path=target)


def restrict_mount(target: str, attributes: int, *, below: bool = True) -> None:
    """Add attributes (read-only and the like) to a mount and all mounts below it. Needs Linux 5.12."""
    wanted = (_Long * 4)(attributes, 0, 0, 0)  # struct mount_attr
    flags = _AT_RECURSIVE if below else 0
    call(_MOUNT_SETATTR, _AT_FDCWD, os.fsencode(target), flags, wanted, 32, path=target)


def enter_root(new: str) -> None:
    """Make a mount the root of this mount namespace and detach the old one."""
    os.chdir(new)
    call(_PIVOT_ROOT[os.uname().machine], b".", b".")
    _libc("umount2", b".", _DETACH)
    os.chdir("/")


def bring_loopback_up() -> None:
    """Bring up the loopback device, since it is down in a new network namespace."""
    socket = _libc("socket", 2, 2, 0)
    request = b"lo".ljust(16, b"\0") + _IFF_UP.to_bytes(2, "little") + bytes(22)  # struct ifreq
    _libc("ioctl", socket, _SIOCSIFFLAGS, request)
    os.close(socket)


def set_host_name(name: bytes) -> None:
    """Set the host name of this UTS namespace."""
    _libc("sethostname", name, len(name))


def keep_only_capability(number: int) -> None:
    """Drop every capability but one, and pass that one on to the executed program."""
    header = (0x20080522).to_bytes(8, "little")  # _LINUX_CAPABILITY_VERSION_3, this process
    mask = (1 << number).to_bytes(4, "little")
    call(_CAPSET[os.uname().machine], header, 3 * mask + bytes(12))
    prctl(_CAP_AMBIENT, _RAISE, number)


class _Filter(_ctypes.Structure):
    _fields_ = (("length", _Long), ("steps", _Pointer))  # struct sock_fprog, whose first field is an unsigned short


def filter_calls(program: bytes) -> None:
    """Load a seccomp filter, an array of ``struct sock_filter``, permanently."""
    function = _Function(_address("prctl"))
    if function(SET_SECCOMP, _Long(2), _ctypes.byref(_Filter(len(program) // 8, program)), _Long(0), _Long(0)) < 0:
        raise OSError(_ctypes.get_errno(), os.strerror(_ctypes.get_errno()))
