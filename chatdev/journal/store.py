"""The log as a file: append, sync, recover, read.

One record a line: ``{"n":7,"at":1764041267.123,"crc":"0a1b2c3d","event":{…}}``. ``n`` counts from 1 without a gap,
``at`` is the wall clock in seconds since 1970, ``crc`` is CRC-32 (hexadecimal) over the bytes ``n|at|event`` as they
stand in the line, so that a flipped bit, a lost line and a torn tail are all seen. What a repair cuts off is kept in
``events.jsonl.cut``.
"""

import asyncio
import contextlib
import errno
import functools
import os
import threading
import time
import zlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from chatdev.journal import events, lock
from chatdev.journal.lock import Busy as Busy
from chatdev.journal.lock import JournalError as JournalError

JUMP = 5.0
"""Seconds by which the wall clock must leave the process's own before that is recorded."""


class Damaged(JournalError):
    """A record in the middle of the log fails its checksum. What stands before it is untouched."""


class Newer(JournalError):
    """The log was written by a later version of ChatDev, in a form that this one does not know."""


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


def _record(line: bytes, n: int, path: Path) -> Record | None:
    """The record in ``line`` if it is whole and is number ``n``."""
    try:
        raw = _decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    at, event = bytes(raw.at), bytes(raw.event)
    if raw.n != n or raw.crc != _checksum(raw.n, at, event):
        return None
    _refuse_newer(event, path)
    try:
        return Record(n, float(at), _decode_event(event))
    except (msgspec.DecodeError, ValueError) as error:
        raise Newer(
            f"{path}: record {n} is whole, but this version of ChatDev cannot read it ({error}).",
            do="Update ChatDev to the version that wrote the run: the records attempt.started tell which.",
        ) from error


class _Written(msgspec.Struct):
    """What the first records say of their own form, whatever else has changed in it."""

    type: str
    schema: int = 1
    version: str = ""


def _refuse_newer(event: bytes, path: Path) -> None:
    if not event.startswith((b'{"type":"run.started"', b'{"type":"attempt.started"')):
        return
    written = msgspec.json.decode(event, type=_Written)
    if written.schema > events.SCHEMA:
        raise Newer(
            f"{path} was written by ChatDev {written.version or '(a later version)'}, in form {written.schema} of the "
            f"log; this version reads forms up to {events.SCHEMA}.",
            do="Update ChatDev, and resume the run with that. The log is as it was.",
        )


def _scan(data: bytes, path: Path, *, repair: bool = False) -> tuple[list[Record], int]:
    """All whole records up to the first that is not, and the number of bytes they take.

    Raises Damaged if others follow that one, unless they are to be cut off (``repair``), and Newer.
    """
    records: list[Record] = []
    good = 0
    while (end := data.find(b"\n", good)) >= 0:
        record = _record(data[good:end], len(records) + 1, path)
        if record is None:
            if data.find(b"\n", end + 1) >= 0 and not (repair and records):
                raise _damaged(path, len(records))
            break
        records.append(record)
        good = end + 1
    return records, good


def _damaged(path: Path, whole: int) -> Damaged:
    what = f"{path}: record {whole + 1} is damaged, and others follow it."
    if not whole:
        return Damaged(what, do="Nothing stands before it: begin the run anew, or restore a copy of the log.")
    return Damaged(
        what,
        do=f"The {whole} records before it are whole. Restore a copy of the log, or go on from those with: "
        f'chatdev resume "{path.parent.parent}" --repair',
    )


def read(path: Path) -> tuple[Record, ...]:
    """The whole records of a log, without its torn tail. Raises Damaged, Newer, and JournalError if there is no log."""
    return tuple(_scan(_bytes(path), path)[0])


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise JournalError(f"No log can be read at {path} ({error.strerror}).") from error


def whole(path: Path) -> bytes:
    """The bytes of a log's whole records, without its torn tail. Raises as ``read`` does."""
    data = _bytes(path)
    return data[: _scan(data, path)[1]]


def repair(path: Path) -> str:
    """Cut a damaged log after its last whole record; what was cut, in words, and empty if it was whole.

    Raises as ``Store`` does, and Damaged if not even the first record is whole.
    """
    store = Store(path, repair=True)
    store.close()
    return store.repaired


class Store:
    """The append-only log of one run, held by one process.

    Opening takes the lock, cuts a torn tail and gives what is there in ``records``; ``repaired`` says what was cut.
    With ``repair``, damaged records and all that follow them are cut, too. Listeners see each record after it was
    appended (not yet synced). After a failed write or sync nothing more is accepted: a later sync could claim success
    for data that is gone. ``wall`` is the clock of the records, in seconds since 1970; ``alive`` one that stands still
    while the machine sleeps. ``aside`` calls a function beside the event loop, since a sync takes its time: a thread
    for each, or one for many logs.
    """

    def __init__(
        self,
        path: Path,
        *,
        repair: bool = False,
        wall: Callable[[], float] = time.time,
        alive: Callable[[], float] = time.monotonic,
        aside: Callable[[Callable[[], None]], Awaitable[None]] = asyncio.to_thread,
    ) -> None:
        self.path = path
        self._aside = aside
        self.repaired = ""
        self._listeners: list[Callable[[Record], None]] = []
        self._broken: JournalError | None = None
        self._settling = threading.Lock()
        self._wall, self._alive = wall, alive
        self._lived = wall() - alive()
        self.redact: Callable[[events.Any], events.Any] = lambda event: event
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"The folder {path.parent} cannot be made ({error.strerror}).") from error
        self._lock, self._file = lock.take(path.with_name("lock")), -1
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            self._identity = _identity(os.fstat(self._file))
            self.records = self._opened(repair)
        except OSError as error:
            self._let_go()
            raise self._break(error) from error
        except BaseException:
            self._let_go()
            raise
        self._settled, self._size = len(self.records), os.fstat(self._file).st_size
        self._safe = self._size

    def _opened(self, repair: bool) -> list[Record]:
        """The records of the file, and nothing else left in it."""
        data = self.path.read_bytes()
        records, whole = _scan(data, self.path, repair=repair)
        if whole < len(data):
            kept = self.path.with_name(f"{self.path.name}.cut")
            with kept.open("ab") as file:
                file.write(data[whole:] + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.ftruncate(self._file, whole)
            os.fsync(self._file)
            torn = data.find(b"\n", whole) < 0
            self.repaired = (
                f"The log ended in the middle of record {len(records) + 1}, which nobody had been told of; it was cut."
                if torn
                else f"Record {len(records) + 1} of the log was damaged: it was cut, with all that followed, and kept "
                f"in {kept.name}. What it told is done again."
            )
        if not records:  # else it was synced before the first of them
            sync_path(self.path.parent)
        return records

    @property
    def broken(self) -> bool:
        """Whether a write or a sync has failed, so that nothing more can be recorded."""
        return self._broken is not None

    def listen(self, listener: Callable[[Record], None]) -> None:
        """Call ``listener`` with every record appended from now on."""
        self._listeners.append(listener)

    def append(self, event: events.Any) -> Record:
        """Write one event, as ``redact`` leaves it; it is safe only after the next ``sync``. Raises JournalError."""
        self._refuse_if_broken()
        now = self._wall()
        lived = now - self._alive()
        jumped, self._lived = lived - self._lived, lived
        if abs(jumped) > JUMP:
            self._write(events.ClockJumped(round(jumped, 3)), now)
        return self._write(self.redact(event), now)

    def _write(self, event: events.Any, now: float) -> Record:
        n = len(self.records) + 1
        at, body = b"%.3f" % now, _encode(event)
        line = b'{"n":%d,"at":%s,"crc":"%s","event":%s}\n' % (n, at, _checksum(n, at, body).encode(), body)
        try:
            written = os.write(self._file, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise self._break(error) from error
        self._size += len(line)
        record = Record(n, float(at), event)
        self.records.append(record)
        for listener in self._listeners:
            listener(record)
        return record

    async def sync(self) -> None:
        """Return once all that was appended is on the disk. Raises JournalError."""
        self._refuse_if_broken()
        await self._aside(functools.partial(self._settle, len(self.records)))

    def _settle(self, upto: int) -> None:
        """One sync at a time: the kernel tells of a failure once, and whoever syncs beside that must hear of it."""
        with self._settling:
            self._refuse_if_broken()
            if self._settled >= upto:
                return
            written, size = len(self.records), self._size
            try:
                os.fdatasync(self._file)
            except OSError as error:
                # The kernel may go on showing what never reached the disk, and a resume would believe it.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._safe)
                raise self._break(error) from error
            try:
                if _identity(self.path.stat()) != self._identity:
                    raise FileNotFoundError(errno.ENOENT, "another file stands in its place")
            except OSError as error:
                raise self._break(error) from error
            self._settled, self._safe = written, size

    def close(self) -> None:
        """Sync what is there, and let go of the lock. Raises JournalError."""
        try:
            if self._broken is None:
                self._settle(len(self.records))
        finally:
            with self._settling:  # a cancelled sync may still be under way
                self._let_go()

    def _let_go(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        lock.release(self._lock)

    def _refuse_if_broken(self) -> None:
        """Whoever comes after a failure hears of it in the same words: of several that wait, any may be heard first."""
        if self._broken is not None:
            raise JournalError(self._broken.what, do=self._broken.do)

    def _break(self, error: OSError) -> JournalError:
        if isinstance(error, FileNotFoundError):
            self._broken = JournalError(
                f"The log {self.path} is not there any more: its folder was moved or deleted during the run.",
                do="If it was moved, all that was acknowledged moved with it: resume the run where it is now.",
            )
        else:
            self._broken = JournalError(
                f"The log {self.path} cannot be written: {error.strerror or error}.",
                do="Nothing acknowledged is lost. Free space or mend the disk, then resume the run.",
            )
        return self._broken

    def __iter__(self) -> Iterator[Record]:
        return iter(self.records)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def sync_path(path: Path) -> None:
    """Return once a file, or a folder's own entries, are on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
