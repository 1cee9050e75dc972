"""Reading a log: all of it, or following it while another process writes.

A line holds one record: ``{"n":7,"at":1764041267.123,"crc":"0a1b2c3d","event":{…}}``. ``n`` counts from 1 without a
gap, ``at`` is the system time in seconds since 1970, ``crc`` is CRC-32 (hexadecimal) over the bytes ``n|at|event`` as
they are in the line, so that a flipped bit and a lost line are detected. ``torn.py`` says what an incomplete end is.
"""

import hashlib
import os
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from chatdev import ownfile
from chatdev.journal import events, torn
from chatdev.journal.lock import JournalError


class Damaged(JournalError):
    """A record of the log was written completely, but its checksum or number is wrong. Those before it are intact."""


class NewerVersion(JournalError):
    """The log was written by a later version of ChatDev, in a format that this one does not know."""


LATEST = 253402300799.0
"""The last second of the year 9999, in seconds since 1970: the latest time of a record that is read."""


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


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_event = msgspec.json.Decoder(events.Any).decode


def checksum(n: int, at: bytes, event: bytes) -> str:
    """The check value of a record: 8 hexadecimal digits over the bytes as they are in its line."""
    return f"{zlib.crc32(b'%d|%s|%s' % (n, at, event)):08x}"


def _record(line: bytes, n: int, path: Path) -> Record | None:
    """The record in ``line`` if it is intact and is number ``n``."""
    try:
        raw = _decode_line(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    at, event = bytes(raw.at), bytes(raw.event)
    if raw.n != n or raw.crc != checksum(raw.n, at, event):
        return None
    _refuse_newer(event, path)
    try:
        return Record(n, _moment(float(at)), _decode_event(event))
    except (msgspec.DecodeError, ValueError) as error:
        raise NewerVersion(
            f"{path}: record {n} is intact, but this version of ChatDev cannot read it ({error}).",
            do="Update ChatDev to the version that wrote the run; its attempt.started records name the version.",
        ) from error


def _moment(at: float) -> float:
    """A record's time within the years that a calendar has: a wrong clock, or a log of others, may hold any number."""
    return min(max(at, 0.0), LATEST)


class _Written(msgspec.Struct):
    """What the first records say about their own format, whatever else has changed in it."""

    type: str
    schema: int = 1
    version: str = ""


def _refuse_newer(event: bytes, path: Path) -> None:
    if not event.startswith((b'{"type":"run.started"', b'{"type":"attempt.started"')):
        return
    written = msgspec.json.decode(event, type=_Written)
    if written.schema > events.SCHEMA:
        raise NewerVersion(
            f"{path} was written by ChatDev {written.version or '(a later version)'} in log format {written.schema}; "
            f"this version reads formats up to {events.SCHEMA}.",
            do="Update ChatDev, then resume the run. The log was not changed.",
        )


def scan(data: bytes, path: Path, *, repair: bool = False) -> torn.Scanned[Record]:
    """The intact records of a log, and what follows them: nothing, a torn end or, with ``repair``, a damaged line.

    Raises Damaged if a line is damaged (with ``repair``, if no record precedes it), and NewerVersion.
    """
    scanned = torn.scan(data, lambda line, number: _record(line, number, path))
    if scanned.damaged and not (repair and scanned.records):
        raise _damaged(path, len(scanned.records), more=scanned.more)
    return scanned


def _damaged(path: Path, intact: int, *, more: bool) -> Damaged:
    follows = "and more records follow it" if more else "although it was written completely"
    what = f"{path}: record {intact + 1} is damaged, {follows}."
    if not intact:
        return Damaged(what, do="No record precedes it: restore a copy of the log, or start a new run.")
    return Damaged(
        what,
        do=f"Intact records before it: {intact}. Restore a copy of the log, or continue from those records with: "
        f'chatdev resume "{path.parent.parent}" --repair',
    )


def read(path: Path) -> tuple[Record, ...]:
    """The intact records of a log, without a torn tail. Raises Damaged, NewerVersion, and
    JournalError if there is no log."""
    return tuple(scan(_bytes(path), path).records)


def _bytes(path: Path) -> bytes:
    try:
        return ownfile.read(path)
    except OSError as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: OSError) -> JournalError:
    """The error for a log that cannot be read."""
    return JournalError(f"The log {path} cannot be read ({error.strerror}).")


def whole(path: Path) -> bytes:
    """The bytes of a log's intact records, without a torn tail. Raises as ``read`` does."""
    data = _bytes(path)
    return data[: scan(data, path).size]


PAUSES = (0.05, 1.0)
"""The shortest and the longest time, in seconds, between two looks at a log that is followed."""


def follow(
    path: Path,
    after: int = 0,
    *,
    stop: Callable[[], bool] = lambda: False,
    pause: Callable[[float], None] = time.sleep,
) -> Iterator[Record]:
    """The records of a log with numbers above ``after``, and those that are written while this is read.

    Takes no lock and changes nothing. A log that does not exist yet is waited for, and so is the rest of an incomplete
    line. If the writer cuts the log (a torn tail, or records that a failed sync left in doubt), reading continues where
    it was cut, so that a number may come twice. The pauses between two looks become longer while nothing is written.
    Ends when ``stop`` returns True before a pause; until then it does not end. Raises Damaged, NewerVersion and
    JournalError.
    """
    followed = _Followed(path)
    wait = PAUSES[0]
    while True:
        records = followed.new()
        yield from (record for record in records if record.n > after)
        if stop():
            return
        wait = PAUSES[0] if records else min(2 * wait, PAUSES[1])
        pause(wait)


class _Followed:
    """A position in a log: the end of the last line that was read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digests: list[bytes] = []  # of each line before the position
        self._number = self._end = 0
        self._last = b""
        self._suspect = b""

    def new(self) -> list[Record]:
        """The records that were written since the last look. Raises Damaged, NewerVersion and JournalError."""
        data = self._read()
        if data is None:  # cut, replaced or deleted
            self._rewind()
            data = self._read() or b""
        records = []
        for line in torn.complete(data):
            record = None if torn.is_blank(line) else _record(line, self._number + 1, self._path)
            if record is None and not torn.is_blank(line):
                self._doubt(line)
                break
            records += [record] if record else []
            self._advance(line)
        return records

    def _read(self) -> bytes | None:
        """The bytes after the position; None if the last record is no longer before it."""
        try:
            with os.fdopen(ownfile.handle(self._path, os.O_RDONLY), "rb") as file:
                file.seek(self._end - len(self._last))
                if file.read(len(self._last)) != self._last:
                    return None
                return file.read()
        except FileNotFoundError:
            return None if self._digests else b""
        except OSError as error:
            raise unreadable(self._path, error) from error

    def _advance(self, line: bytes) -> None:
        self._digests.append(_digest(line))
        self._number += not torn.is_blank(line)
        self._last, self._end, self._suspect = line, self._end + len(line), b""

    def _rewind(self) -> None:
        """Go back to the end of the records that are still the same."""
        before, self._digests = self._digests, []
        self._number, self._end, self._last, self._suspect = 0, 0, b"", b""
        for line, digest in zip(torn.complete(self._read() or b""), before, strict=False):
            if _digest(line) != digest:
                break
            self._advance(line)

    def _doubt(self, line: bytes) -> None:
        """Raise Damaged if the same line was unreadable at the last look: the first may have seen half of a change."""
        if line == self._suspect:
            raise _damaged(self._path, self._number, more=False)
        self._suspect = line


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=8).digest()
