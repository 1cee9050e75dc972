"""One process at a run: an advisory lock that the kernel lets go of with its owner, and the owner's name in it.

Where the kernel does not tell (a file system without locks, a shared folder that another machine writes to), the name
decides: a process is known again by its number *and* the time of its start, so that a number that was given to another
process since is not taken for the owner.
"""

import errno
import fcntl
import os
import socket
from pathlib import Path
from typing import IO

import msgspec

from chatdev.errors import ChatDevError


class JournalError(ChatDevError):
    """The log cannot be written or believed; the message names the file and what to do."""


class Busy(JournalError):
    """Another process holds this run; the message names it. Exit status 2."""

    exit_status = 2


class Owner(msgspec.Struct, frozen=True):
    """A process, told apart from all others. ``boot`` names the host's last start, ``began`` is when the process
    started, in clock ticks since then; both are empty where the system does not tell."""

    pid: int
    host: str
    boot: str = ""
    began: str = ""


_SHARED = frozenset("afs ceph cifs fuse.ceph fuse.glusterfs fuse.sshfs gpfs lustre nfs nfs4 smb3 smbfs".split())
"""File systems that several machines may have mounted, on which a lock may hold on one machine alone."""


def myself() -> Owner:
    """This process."""
    return Owner(os.getpid(), socket.gethostname(), _boot(), _began(os.getpid()))


def take(path: Path) -> IO[str]:
    """Hold the lock on ``path`` until the file is closed, best with ``release``. Raises Busy and JournalError."""
    try:
        lock = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise JournalError(
            f"{path} cannot be written ({error.strerror}), so the run cannot be worked on.",
            do="Mend the folder's permissions, or make room, and resume the run.",
        ) from error
    try:
        held = _locked(lock)
        lock.seek(0)
        owner = _owner(lock.read(4096))
        if held is False or (owner and _at_work(owner, path, told=held is not None)):
            raise _busy(path, owner)
        lock.truncate(0)
        lock.write(msgspec.json.encode(myself()).decode())
        lock.flush()
    except OSError as error:
        lock.close()
        raise JournalError(
            f"{path} cannot be written ({error.strerror}).", do="Make room, and resume the run."
        ) from error
    except BaseException:
        lock.close()
        raise
    return lock


def release(lock: IO[str]) -> None:
    """Let go of the lock, and take the owner's name away."""
    try:
        os.ftruncate(lock.fileno(), 0)
    except OSError:  # the name alone harms nobody
        pass
    finally:
        lock.close()


def _locked(lock: IO[str]) -> bool | None:
    """Whether the kernel gives us the lock; None where the file system knows none."""
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


def _at_work(owner: Owner, path: Path, *, told: bool) -> bool:
    """Whether the owner still works on the run although the kernel gave us the lock, or has none to give (``told``)."""
    me = myself()
    if owner.host != me.host:
        return not told or file_system(path) in _SHARED
    if owner.boot != me.boot or owner.pid == me.pid:
        return False
    return bool(owner.began) and _began(owner.pid) == owner.began


def _busy(path: Path, owner: Owner | None) -> Busy:
    who = f"process {owner.pid} on {owner.host}" if owner else "another process"
    elsewhere = owner is not None and owner.host != socket.gethostname()
    return Busy(
        f"The run in {path.parent.parent} is being worked on by {who}.",
        do=f"Wait for it, or stop that process first. If that machine is gone, delete {path} and resume the run."
        if elsewhere
        else "Wait for it, or stop that process first.",
    )


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When a process started; empty if there is none of that number."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]  # field 22; the second, a name in parentheses, may hold spaces


def file_system(path: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str:
    """The kind of file system that ``path`` lies on, such as ``ext4``; empty where the system does not tell."""
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
