"""ChatDev's own files in folders that a stranger may have made: a run or a batch that was copied, unpacked or shared.

A link planted there would make us write, cut or show a file somewhere else. So our files are opened by these functions
only: the last name may not be a link, nor may a folder below ``.chatdev`` or ``.batch`` (or these themselves), and a
file that is written may not have a second name (a hard link). Whatever is above belongs to the user, links included.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from chatdev.errors import UserError

PRIVATE = 0o600
"""The mode of files that hold text of the log: tasks, prompts, answers, programs' output."""
SHARED = 0o666
"""The mode of the others, before the process's mask."""

_HIDDEN = (".chatdev", ".batch")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class LinkRefused(UserError):
    """One of our files, or the folder that it is in, is a link or no regular file."""


def handle(path: Path, flags: int, mode: int = SHARED) -> int:
    """Open a file; ``flags`` and ``mode`` as for ``os.open``. Raises LinkRefused and OSError.

    With O_TRUNC, the file is emptied after it was checked.
    """
    with _folder(path) as folder:
        try:
            # Without O_NONBLOCK, opening a named pipe would wait for its other end.
            safe = (flags & ~os.O_TRUNC) | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            opened = os.open(path.name, safe, mode, dir_fd=folder)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EMLINK) or _kind(path.name, folder) not in (None, stat.S_IFREG):
                raise _refused(path, _kind(path.name, folder)) from None
            raise
    try:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, stat.S_IFMT(status.st_mode))
        if flags & (os.O_WRONLY | os.O_RDWR):
            if status.st_nlink > 1:
                raise LinkRefused(
                    f"{path} has a second name (a hard link), so that ChatDev would change another file, too.",
                    do="Find out who made it. If it is yours, replace it with a copy of itself.",
                )
            if flags & os.O_TRUNC:
                os.ftruncate(opened, 0)
        os.set_blocking(opened, True)
    except BaseException:
        os.close(opened)
        raise
    return opened


def read(path: Path) -> bytes:
    """The content of a file. Raises LinkRefused and OSError."""
    with os.fdopen(handle(path, os.O_RDONLY), "rb") as file:
        return file.read()


def appending(path: Path, mode: int = SHARED) -> IO[bytes]:
    """A file opened to append to it, unbuffered; created if it does not exist. Raises LinkRefused and OSError."""
    return os.fdopen(handle(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, mode), "ab", buffering=0)


def write(path: Path, data: bytes, mode: int = SHARED, *, sync: bool = False) -> None:
    """Replace a file atomically. With ``sync``, its content is on the disk before it has its name. Raises LinkRefused
    and OSError."""
    with _folder(path) as folder:
        if (kind := _kind(path.name, folder)) not in (None, stat.S_IFREG):
            raise _refused(path, kind)
        temporary = f".{path.name[:100]}.{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(temporary, flags, mode, dir_fd=folder), "wb") as file:
                file.write(data)
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise


def refuse_link(path: Path) -> None:
    """Raise LinkRefused if a path is a link: for a folder or a file that other functions write to."""
    if path.is_symlink():
        raise _refused(path, stat.S_IFLNK)


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[int]:
    """The folder of a file. From ``.chatdev`` or ``.batch`` on, no link is followed. Raises LinkRefused and OSError."""
    parts = path.parent.parts
    hidden = max((number for number, part in enumerate(parts) if part in _HIDDEN), default=len(parts))
    folder = os.open(Path(*parts[:hidden]), _FOLDER)
    try:
        for number, part in enumerate(parts[hidden:], hidden):
            try:
                inner = os.open(part, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
            except OSError:
                if _kind(part, folder) == stat.S_IFLNK:
                    raise _refused(Path(*parts[: number + 1]), stat.S_IFLNK) from None
                raise
            os.close(folder)
            folder = inner
        yield folder
    finally:
        os.close(folder)


def _kind(name: str, folder: int) -> int | None:
    """The type of a file, as in ``stat.S_IFMT``; None if it does not exist."""
    try:
        return stat.S_IFMT(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return None


def _refused(path: Path, kind: int | None) -> Exception:
    if kind == stat.S_IFDIR:
        return IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if kind != stat.S_IFLNK:
        return LinkRefused(f"{path} is not a regular file.", do="Delete it, and try again.")
    try:
        target = f" to {path.readlink()}"
    except OSError:
        target = ""
    return LinkRefused(
        f"{path} is a link{target}: ChatDev does not follow links to its own files.",
        do="Find out who made it. If it is yours, replace it with what it points to.",
    )
