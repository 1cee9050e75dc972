"""One process per run: an advisory lock that the kernel releases when its owner ends, with the owner's name in it.

If the lock alone does not decide (a file system without locks, a shared folder that another machine writes to), the
name does: a process is identified by its process id *and* its start time, so that a reused id is not mistaken for the
owner.
"""

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import IO

import msgspec

from chatdev import ownfile
from chatdev.errors import ChatDevError


class JournalError(ChatDevError):
    """The log cannot be written or trusted; the message names the file and what to do."""


class Busy(JournalError):
    """Another process works on this run; the message names it. Exit status 2."""

    exit_status = 2


class Owner(msgspec.Struct, frozen=True):
    """A process, uniquely identified. ``boot`` is the id of the host's last boot, ``began`` is when the process
    started, in clock ticks since then; both are empty if the system does not provide them."""

    pid: int
    host: str
    boot: str = ""
    began: str = ""


_SHARED = frozenset("afs ceph cifs fuse.ceph fuse.glusterfs fuse.sshfs gpfs lustre nfs nfs4 smb3 smbfs".split())
"""File systems that several machines may have mounted. A lock on them may apply to one machine only."""


def myself() -> Owner:
    """This process."""
    return Owner(os.getpid(), socket.gethostname(), _boot(), start_of(os.getpid()))


def acquire(path: Path) -> IO[str]:
    """Hold the lock on ``path`` until the file is closed, best with ``release``. Raises Busy, JournalError and
    LinkRefused."""
    try:
        lock = os.fdopen(ownfile.handle(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+", encoding="utf-8")
    except OSError as error:
        raise JournalError(
            f"{path} cannot be written ({error.strerror}), so the run cannot be locked.",
            do="Fix the folder's permissions, or free disk space, then resume the run.",
        ) from error
    try:
        held = _locked(lock)
        lock.seek(0)
        owner = _owner(lock.read(4096))
        if held is False or (owner and _at_work(owner, path, kernel_decided=held is not None)):
            raise _busy(path, owner)
        lock.truncate(0)
        os.write(lock.fileno(), msgspec.json.encode(myself()))  # a buffer that cannot be written fails at close, too
    except OSError as error:
        lock.close()
        raise JournalError(
            f"{path} cannot be written ({error.strerror}).", do="Free disk space, then resume the run."
        ) from error
    except BaseException:
        lock.close()
        raise
    return lock


def release(lock: IO[str]) -> None:
    """Release the lock and remove the owner's name."""
    try:
        os.ftruncate(lock.fileno(), 0)
    except OSError:  # the name alone does no harm
        pass
    finally:
        lock.close()


def _locked(lock: IO[str]) -> bool | None:
    """Whether the kernel grants the lock; None if the file system has no locks."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EACCES) else None
    return True


def _owner(text: str) -> Owner | None:
    try:
        return msgspec.json.decode(text, type=Owner)
    except msgspec.DecodeError:
        return None


def _at_work(owner: Owner, path: Path, *, kernel_decided: bool) -> bool:
    """Whether the owner still works on the run. The last argument: the kernel granted the lock, so it could decide."""
    me = myself()
    if owner.host != me.host:
        return not kernel_decided or file_system(path) in _SHARED
    if owner.boot != me.boot or owner.pid == me.pid:
        return False
    return bool(owner.began) and start_of(owner.pid) == owner.began


def _busy(path: Path, owner: Owner | None) -> Busy:
    who = f"process {owner.pid} on {owner.host}" if owner else "another process"
    elsewhere = owner is not None and owner.host != socket.gethostname()
    return Busy(
        f"The run in {path.parent.parent} is in use by {who}.",
        do=f"Wait for that process or stop it. If its machine is gone, delete {path} and resume the run."
        if elsewhere
        else "Wait for that process or stop it.",
    )


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def start_of(pid: int) -> str:
    """When a process started; empty if there is no process with this id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # field 22; the second, a name in parentheses, may hold spaces


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The type of the file system that holds ``path``, such as ``ext4``; empty if the system does not provide it."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    whole, found = path.resolve(), (-1, "")
    for line in lines:
        place, _, kind = line.partition(" - ")
        point = Path(place.split()[4].replace("\\040", " "))
        if whole.is_relative_to(point) and len(point.parts) >= found[0]:
            found = len(point.parts), kind.split()[0]
    return found[1]
