"""A run as JSON lines for a log collector: one line per journal record, as it happens.

``{"time": "2026-11-25T22:41:03.123Z", "n": 7, "type": "model.answered", "place": …, …}``: ``n`` is the record's number
in ``events.jsonl``, ``type`` the event's tag. The event's own fields follow, except those that hold their default.
A text longer than LONGEST characters is cut, and ``cut`` names its field; the journal holds the full text. Lines that
are not records have no ``n``: ``notice``, ``error``, ``debug`` (never cut), and at the end ``ended``.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from chatdev.journal.store import Record

LONGEST = 4_000
"""Characters. Two such texts still fit in 16 KB, the length at which Docker's log drivers split a line."""


def line(at: float, kind: str, /, **fields: Any) -> str:
    """One line, without its newline; ``at`` in seconds since 1970."""
    when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return msgspec.json.encode({"time": f"{when}Z", "type": kind, **fit(fields)}).decode()


def of(record: Record) -> str:
    """The line of a record, with long texts cut."""
    fields = msgspec.to_builtins(record.event)
    kind, cut = fields.pop("type"), [name for name, value in fields.items() if fit(value) != fit(value, LONGEST)]
    return line(record.at, kind, n=record.n, **fit(fields, LONGEST), **({"cut": cut} if cut else {}))


def fit(value: Any, longest: int | None = None) -> Any:
    """A value with texts of at most ``longest`` characters. JSON cannot hold a lone surrogate: it becomes ``?``."""
    if isinstance(value, str):
        return value[:longest].encode("utf-8", "replace").decode()
    if isinstance(value, list | tuple):
        return [fit(each, longest) for each in value]
    if isinstance(value, dict):
        return {key: fit(each, longest) for key, each in value.items()}
    return value


class JsonLines:
    """Writes a run to ``stream`` and flushes each line. Stops silently once the stream accepts no more."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.time) -> None:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(encoding="utf-8")  # JSON is UTF-8, whatever the locale
        self._stream: TextIO | None = stream
        self._clock = clock

    def on_record(self, record: Record) -> None:
        """A listener for the store."""
        self._write(of(record))

    def say(self, kind: str, /, **fields: Any) -> None:
        """Write a line that is not a record."""
        self._write(line(self._clock(), kind, **fields))

    def _write(self, text: str) -> None:
        if self._stream is None:
            return
        try:
            self._stream.write(f"{text}\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._stream = None
