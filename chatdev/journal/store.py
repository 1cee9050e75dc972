"""The log as a file: append, sync, recover. ``reading.py`` describes its lines.

What opening or a repair cuts off is kept in ``events.jsonl.cut``.
"""

import asyncio
import contextlib
import errno
import functools
import os
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from chatdev import ownfile
from chatdev.journal import events, lock, torn
from chatdev.journal.lock import Busy as Busy
from chatdev.journal.lock import JournalError as JournalError
from chatdev.journal.reading import Damaged as Damaged
from chatdev.journal.reading import NewerVersion as NewerVersion
from chatdev.journal.reading import Record as Record
from chatdev.journal.reading import checksum, scan
from chatdev.journal.reading import follow as follow
from chatdev.journal.reading import read as read
from chatdev.journal.reading import whole as whole

JUMP = 5.0
"""A jump is recorded when the system clock moves this many seconds away from the process's own clock."""

_encode = msgspec.json.Encoder().encode


def repair(path: Path) -> str:
    """Cut a damaged log after its last intact record. Returns a sentence that says what was cut; empty if nothing was.

    Raises as ``Store`` does, and Damaged if not even the first record is intact.
    """
    store = Store(path, repair=True)
    store.close()
    return store.repaired


class Store:
    """The append-only log of one run, held by one process.

    Opening takes the lock, cuts a torn tail and puts the existing records in ``records``; ``repaired`` says what was
    cut. With ``repair``, a damaged record and all that follow it are cut, too. Listeners get each record after it was
    appended (not yet synced). After a failed write or sync nothing more is accepted: a later sync could claim success
    for data that is gone. The first clock is that of the records, in seconds since 1970; ``alive`` is one that stops
    while the machine sleeps. ``aside`` calls a function outside the event loop, since a sync takes time: in a thread
    for each call, or in one for many logs.
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
        self._appending = threading.Lock()
        self._wall, self._alive = wall, alive
        self._lived = wall() - alive()
        self.redact: Callable[[events.Any], events.Any] = lambda event: event
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise JournalError(f"The folder {path.parent} cannot be created ({error.strerror}).") from error
        self._lock, self._file = lock.acquire(path.with_name("lock")), -1
        try:
            self._file = ownfile.handle(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, ownfile.PRIVATE)
            self._identity = _identity(os.fstat(self._file))
            self.records = self._opened(repair)
        except OSError as error:
            self._release()
            raise self._break(error) from error
        except BaseException:
            self._release()
            raise
        self._settled, self._size = len(self.records), os.fstat(self._file).st_size
        self._safe = self._size

    def _opened(self, repair: bool) -> list[Record]:
        """The intact records of the file; anything else in it is cut."""
        with open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            data = file.read()
        scanned = scan(data, self.path, repair=repair)
        if scanned.rest:
            torn.cut(self.path, self._file, scanned.rest)
            number = len(scanned.records) + 1
            self.repaired = (
                f"Record {number} of the log was damaged: it and all later records were moved to "
                f"{self.path.name}.cut. Their work is done again."
                if scanned.damaged
                else torn.dropped(scanned.rest, number, "the log")
            )
        if not scanned.records:  # else the folder was synced before the first of them
            sync_path(self.path.parent)
        return scanned.records

    @property
    def broken(self) -> bool:
        """Whether a write or a sync has failed. Nothing more can be recorded then."""
        return self._broken is not None

    def listen(self, listener: Callable[[Record], None]) -> None:
        """Call ``listener`` with every record appended from now on."""
        self._listeners.append(listener)

    def append(self, event: events.Any) -> Record:
        """Write one event after ``redact``; it is durable only after the next ``sync``. Raises JournalError."""
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
        line = b'{"n":%d,"at":%s,"crc":"%s","event":%s}\n' % (n, at, checksum(n, at, body).encode(), body)
        with self._appending:
            self._refuse_if_broken()  # a sync in another thread may have failed meanwhile
            try:
                torn.append(self._file, line)
            except OSError as error:
                raise self._break(error) from error
        self._size += len(line)
        record = Record(n, float(at), event)
        self.records.append(record)
        for listener in self._listeners:
            listener(record)
        return record

    async def sync(self) -> None:
        """Return once everything appended is on the disk. Raises JournalError."""
        self._refuse_if_broken()
        await self._aside(functools.partial(self._settle, len(self.records)))

    def _settle(self, upto: int) -> None:
        """One sync at a time: the kernel reports a failure only once, and every waiting sync must see it."""
        with self._settling:
            self._refuse_if_broken()
            if self._settled >= upto:
                return
            written, size = len(self.records), self._size
            try:
                os.fdatasync(self._file)
            except OSError as error:
                # Reads may still return data that never reached the disk, and a resume would trust it. A record that
                # is appended after the cut would leave a gap before it.
                with self._appending:
                    failure = self._break(error)
                    with contextlib.suppress(OSError):
                        os.ftruncate(self._file, self._safe)
                raise failure from error
            try:
                if _identity(self.path.stat()) != self._identity:
                    raise FileNotFoundError(errno.ENOENT, "another file has replaced it")
            except OSError as error:
                raise self._break(error) from error
            self._settled, self._safe = written, size

    def close(self) -> None:
        """Sync, and release the lock. Raises JournalError."""
        try:
            if self._broken is None:
                self._settle(len(self.records))
        finally:
            with self._settling:  # a cancelled sync may still be running
                self._release()

    def _release(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        lock.release(self._lock)

    def _refuse_if_broken(self) -> None:
        """Every caller after a failure gets the same message: of several that wait, any may report first."""
        if self._broken is not None:
            raise JournalError(self._broken.what, do=self._broken.do)

    def _break(self, error: OSError) -> JournalError:
        if isinstance(error, FileNotFoundError):
            self._broken = JournalError(
                f"The log {self.path} no longer exists: its folder was moved or deleted during the run.",
                do="If it was moved, everything acknowledged moved with it: resume the run at its new place.",
            )
        else:
            self._broken = JournalError(
                f"The log {self.path} cannot be written: {error.strerror or error}.",
                do="Nothing acknowledged is lost. Free disk space or fix the disk, then resume the run.",
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
