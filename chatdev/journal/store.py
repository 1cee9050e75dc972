"""The log as a file: append, sync, recover, read.

One record a line: ``{"n":7,"at":1764041267.123,"crc":"0a1b2c3d","event":{…}}``. ``n`` counts from 1 without a gap,
``at`` is the wall clock in seconds since 1970, ``crc`` is CRC-32 (hexadecimal) over the bytes ``n|at|event`` as they
stand in the line, so that a flipped bit, a lost line and a torn tail are all seen.
"""

import asyncio
import fcntl
import os
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import msgspec

from chatdev.errors import ChatDevError
from chatdev.journal import events


class JournalError(ChatDevError):
    """The log cannot be written or believed; the message names the file and what to do."""


class Damaged(JournalError):
    """A record in the middle of the log fails its checksum. What stands before it is untouched."""


class Busy(JournalError):
    """Another process holds this run; the message names it. Exit status 2."""

    exit_status = 2


class Record(msgspec.Struct, frozen=True):
    """One line of the log."""

    n: int
    at: float
    event: events.Any


class _Line(msgspec.Struct):
    n: int
    at: msgspec.Raw
    crc: str
    event: msgspec.Raw


_encode = msgspec.json.Encoder().encode
_decode_line = msgspec.json.Decoder(_Line).decode
_decode_event = msgspec.json.Decoder(events.Any).decode


def _checksum(n: int, at: bytes, event: bytes) -> str:
    return f"{zlib.crc32(b'%d|%s|%s' % (n, at, event)):08x}"


def _record(line: bytes, n: int) -> Record | None:
    """The record in ``line`` if it is whole and is number ``n``."""
    try:
        raw = _decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    at, event = bytes(raw.at), bytes(raw.event)
    if raw.n != n or raw.crc != _checksum(raw.n, at, event):
        return None
    try:
        return Record(n, float(at), _decode_event(event))
    except (msgspec.DecodeError, ValueError) as error:
        raise JournalError(
            f"Record {n} is whole but this version of ChatDev cannot read it ({error}).",
            do="Open the run with the version that wrote it; its number stands in the first record.",
        ) from error


def _scan(data: bytes, path: Path) -> tuple[list[Record], int]:
    """All whole records and the number of bytes they take; raises Damaged if a whole line follows a broken one."""
    records: list[Record] = []
    good = 0
    while (end := data.find(b"\n", good)) >= 0:
        record = _record(data[good:end], len(records) + 1)
        if record is None:
            if data.find(b"\n", end + 1) >= 0:
                raise Damaged(
                    f"{path}: record {len(records) + 1} is damaged, and others follow it.",
                    do=f"The {len(records)} records before it are whole. Copy them to a new run folder to go on from.",
                )
            break
        records.append(record)
        good = end + 1
    return records, good


def read(path: Path) -> tuple[Record, ...]:
    """The whole records of a log, without its torn tail. Raises Damaged, and JournalError if there is no log."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JournalError(f"No log can be read at {path} ({error.strerror}).") from error
    return tuple(_scan(data, path)[0])


class Store:
    """The append-only log of one run, held by one process.

    Opening takes the lock, cuts a torn tail and gives what is there in ``records``. Listeners see each record after it
    was appended (not yet synced). After a failed write or sync nothing more is accepted: a later sync could claim
    success for data that is gone.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listeners: list[Callable[[Record], None]] = []
        self._broken = ""
        self.redact: Callable[[events.Any], events.Any] = lambda event: event
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = _take_lock(path.with_name("lock"))
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            data = path.read_bytes()
            self.records, whole = _scan(data, path)
            if whole < len(data):
                os.ftruncate(self._file, whole)
                os.fsync(self._file)
            _sync_folder(path.parent)
        except BaseException:
            self._lock.close()
            raise

    def listen(self, listener: Callable[[Record], None]) -> None:
        """Call ``listener`` with every record appended from now on."""
        self._listeners.append(listener)

    def append(self, event: events.Any) -> Record:
        """Write one event, as ``redact`` leaves it; it is safe only after the next ``sync``. Raises JournalError."""
        self._refuse_if_broken()
        event = self.redact(event)
        n, now = len(self.records) + 1, time.time()
        at, body = b"%.3f" % now, _encode(event)
        line = b'{"n":%d,"at":%s,"crc":"%s","event":%s}\n' % (n, at, _checksum(n, at, body).encode(), body)
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(28, "no space left on device")
        except OSError as error:
            raise self._break(error) from error
        record = Record(n, float(at), event)
        self.records.append(record)
        for listener in self._listeners:
            listener(record)
        return record

    async def sync(self) -> None:
        """Return once all that was appended is on the disk. Raises JournalError."""
        self._refuse_if_broken()
        try:
            await asyncio.to_thread(os.fdatasync, self._file)
        except OSError as error:
            raise self._break(error) from error

    def close(self) -> None:
        """Sync what is there, and let go of the lock."""
        try:
            if not self._broken:
                os.fdatasync(self._file)
        finally:
            os.close(self._file)
            self._lock.close()

    def _refuse_if_broken(self) -> None:
        if self._broken:
            raise JournalError(f"The log {self.path} took a write error earlier ({self._broken}) and is closed.")

    def _break(self, error: OSError) -> JournalError:
        self._broken = error.strerror or str(error)
        return JournalError(
            f"The log {self.path} cannot be written: {self._broken}.",
            do="Nothing acknowledged is lost. Free space or mend the disk, then resume the run.",
        )

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)


def _take_lock(path: Path) -> IO[str]:
    """Hold an advisory lock on ``path``; the kernel lets go of it when the process dies. Raises Busy."""
    lock = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        owner = lock.read().strip() or "another process"
        lock.close()
        raise Busy(
            f"The run in {path.parent.parent} is being worked on by {owner}.",
            do="Wait for it, or stop that process first.",
        ) from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    lock.flush()
    return lock


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
