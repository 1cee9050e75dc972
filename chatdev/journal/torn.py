"""Files of JSON lines that one process appends to: what a crash may leave at their end, and what is damage.

A record is acknowledged after its whole line, with the line feed at its end, was written. So:

- Bytes after the last line feed are *torn*. They were never acknowledged: they are dropped, with a note.
- A line of nothing but white space and NUL bytes holds no record. An editor leaves such lines, and some file systems
  leave NUL bytes after a power failure. At the end of the file they are dropped like a torn record.
- Any other line that is not a record is *damaged*: it may have been acknowledged, so it is never dropped silently.
"""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from chatdev import ownfile
from chatdev.errors import UserError

T = TypeVar("T")


class Scanned(msgspec.Struct, Generic[T], frozen=True):
    """The records before the first damaged line, and the size in bytes up to the end of the last one. ``rest`` is what
    follows them. ``damaged`` is the number of the damaged line, from 1, or 0; ``more`` says whether anything but blank
    lines follows it."""

    records: list[T]
    size: int
    rest: bytes
    damaged: int = 0
    more: bool = False


def is_blank(data: bytes) -> bool:
    """Whether a line, or several, hold no record: nothing but white space and NUL bytes."""
    return not data.strip(b"\0 \t\r\n")


def complete(data: bytes) -> Iterator[bytes]:
    """The complete lines, each with its line feed."""
    begin = 0
    while end := data.find(b"\n", begin) + 1:
        yield data[begin:end]
        begin = end


def scan(data: bytes, decode: Callable[[bytes, int], T | None]) -> Scanned[T]:
    """Read a file's lines. ``decode`` gets a line and the number of its record, from 1; None means that the line is
    damaged."""
    records: list[T] = []
    size = end = 0
    for number, line in enumerate(complete(data), 1):
        end += len(line)
        if is_blank(line):
            continue
        record = decode(line, len(records) + 1)
        if record is None:
            return Scanned(records, size, data[size:], number, more=not is_blank(data[end:]))
        records.append(record)
        size = end
    return Scanned(records, size, data[size:])


def append(handle: int, line: bytes) -> None:
    """Append a whole line. Raises OSError, also if only a part of it was written: then nothing may be appended
    any more, or that part would become a damaged line."""
    if os.write(handle, line) < len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def cut(path: Path, handle: int, rest: bytes) -> None:
    """Cut ``rest`` off the end of an open file, after it was appended to ``NAME.cut`` beside it. Both are synced.
    Raises OSError."""
    with ownfile.appending(path.with_name(f"{path.name}.cut"), ownfile.PRIVATE) as kept:
        append(kept.fileno(), rest + b"\n")
        os.fsync(kept.fileno())
    os.ftruncate(handle, os.fstat(handle).st_size - len(rest))
    os.fsync(handle)


def recovered(path: Path, kind: type[T], note: Callable[[str], None], do: str) -> list[T]:
    """The records in the lines of a JSON lines file without checksums. A torn end is cut off, and ``note`` gets a
    sentence about it; only the process that appends to the file may call this. A missing file has no records.

    Raises UserError, with ``do`` as its advice, if a line is damaged, and OSError.
    """
    decoder, errors = msgspec.json.Decoder(kind), list[str]()

    def decode(line: bytes, _: int) -> T | None:
        try:
            return decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            errors.append(str(error))
            return None

    try:
        handle = ownfile.handle(path, os.O_RDWR)
    except FileNotFoundError:
        return []
    with open(handle, "r+b") as file:  # noqa: PTH123 - it is open already
        scanned = scan(file.read(), decode)
        if scanned.damaged:
            raise UserError(f"{path} is damaged: line {scanned.damaged}: {errors[-1]}.", do=do)
        if scanned.rest:
            cut(path, handle, scanned.rest)
            note(dropped(scanned.rest, len(scanned.records) + 1, path.name))
    return scanned.records


def dropped(rest: bytes, number: int, name: str) -> str:
    """The note about a torn end that was dropped: where record ``number`` of the file called ``name`` would be."""
    if is_blank(rest):
        return f"Dropped {len(rest)} bytes without a record at the end of {name}: empty lines or zeros."
    return f"Dropped record {number} at the end of {name}: it was incomplete and not acknowledged."
