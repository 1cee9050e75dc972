"""Recordings: answers by place or by a rule, in a text file that a person can write. See docs/playback.md.

A file begins with a TOML head between two ``+++`` lines; each entry begins with a ``=== `` line and goes on, verbatim,
to the next one. A finished run's log works as well: it has its answers by place.
"""

import re
import tomllib
from collections.abc import Sequence
from difflib import SequenceMatcher, get_close_matches
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from chatdev import textfile
from chatdev.errors import UserError
from chatdev.journal import events, places, store
from chatdev.playback.faults import AtLeastOne, FaultSpec

_RULER = "+++"
_MARK = "=== "
_STRING = r'"(?:[^"\\]|\\.)*"' + r"|'[^']*'"
_HEADER = re.compile(rf"{_MARK} *(?:(?P<place>{places.PATTERN})|when +(?P<when>{_STRING}))(?: +(?P<more>\{{.*\}}))?\s*")
_ESCAPED = re.compile(r"\\+" + _MARK)
_MUST_ESCAPE = re.compile(r"\\*" + _MARK)
_EXPECTED = '`=== PLACE` or `=== when "TEXT"`, optionally with attributes such as {finish = "length"}'


class RecordingError(UserError):
    """A recording that cannot be read; the message names file, line, and what was expected there."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: at a ``place``, or ``when`` the last message of a request contains this text."""

    place: str = ""
    when: str | None = None
    text: str = ""
    finish: str = "stop"
    reasoning: str = ""

    @property
    def title(self) -> str:
        """The place or the rule, as written in a recording."""
        return self.place if self.when is None else _line("when", self.when).replace(" = ", " ", 1)


class RecordingHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A recording's head: the ``model`` served, its ``window`` in tokens, the ``task`` and the run's ``name``."""

    model: str = "default"
    window: AtLeastOne = 32768
    task: str = ""
    name: str = ""
    manner: tuple[FaultSpec, ...] = ()


class Recording(RecordingHeader, frozen=True, dict=True, kw_only=True):
    """A head and its entries, in the order of the file."""

    entries: tuple[Entry, ...] = ()

    @cached_property
    def _places(self) -> dict[str, Entry]:
        return {entry.place: entry for entry in self.entries if entry.when is None}

    @cached_property
    def _rules(self) -> tuple[tuple[str, Entry], ...]:
        return tuple((entry.when, entry) for entry in self.entries if entry.when is not None)

    def find(self, place: str, last_message: str) -> Entry | None:
        """The entry at ``place``, else the first rule whose text is in ``last_message``. A candidate of a race without
        an entry of its own gets the entry recorded without candidates."""
        if entry := self._places.get(place) or self._places.get(places.without_candidates(place)):
            return entry
        return next((entry for when, entry in self._rules if when in last_message), None)

    def nearest(self, place: str, last_message: str) -> Entry | None:
        """The entry closest to one not found: by its place, or by how much of its rule the message contains."""
        if place and self._places:
            return self._places[get_close_matches(place, self._places, n=1, cutoff=0.0)[0]]

        def held(rule: tuple[str, Entry]) -> float:
            match = SequenceMatcher(None, last_message, rule[0], autojunk=False).find_longest_match()
            return match.size / (len(rule[0]) or 1)

        return max(self._rules, key=held)[1] if self._rules else None


def choose(recordings: Sequence[Recording], texts: Sequence[str]) -> Recording | None:
    """The recording whose task is in one of ``texts``: the longest such task, or None. A single recording serves
    everything."""
    if len(recordings) == 1:
        return recordings[0]
    fitting = [each for each in recordings if any(each.task in text for text in texts)]
    return max(fitting, key=lambda each: len(each.task), default=None)


def load(path: Path) -> Recording:
    """A recording file, or the run in a folder (or its ``events.jsonl``). Raises RecordingError or JournalError."""
    if path.is_dir():
        return from_log(path / ".chatdev" / "events.jsonl")
    return from_log(path) if path.suffix == ".jsonl" else read(path)


def read(path: Path) -> Recording:
    """The recording in a UTF-8 file. Raises RecordingError."""
    return parse(textfile.read(path, RecordingError, newlines=False), str(path))


def from_log(path: Path) -> Recording:
    """The models' answers in a run, by place, from its ``events.jsonl``. Raises RecordingError or JournalError."""
    head: dict[str, Any] = {}
    entries: list[Entry] = []
    for record in store.read(path):
        match record.event:
            case events.RunStarted(name=name, task=task):
                head |= {"name": name, "task": task}
            case events.AttemptStarted(model=model, window=window):
                head |= {"model": model} | ({"window": window} if window else {})
            case events.ModelAnswered() as answer:
                entries.append(
                    Entry(place=answer.place, text=answer.text, finish=answer.finish_reason, reasoning=answer.reasoning)
                )
    if not entries:
        raise RecordingError(f"The run in {path} has no model answers.", do="Choose a run that got further.")
    return Recording(**head, entries=tuple(entries))


def parse(text: str, source: str = "recording") -> Recording:
    """The recording in ``text``; ``source`` names it in errors. Raises RecordingError."""
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    head, end = _head(lines, source)
    starts = [number for number in range(end, len(lines)) if lines[number].startswith(_MARK)]
    for number in range(end, starts[0] if starts else len(lines)):
        if lines[number].strip():
            raise _fault(source, number + 1, f"expected {_EXPECTED}")
    entries: list[Entry] = []
    seen: dict[str, int] = {}
    for start, stop in pairwise([*starts, len(lines)]):
        body = "\n".join(line[1:] if _ESCAPED.match(line) else line for line in lines[start + 1 : stop])
        entry = _entry(lines[start], body, source, start + 1)
        if first := seen.get(entry.title):
            raise _fault(source, start + 1, f"{entry.title} already has an answer, at line {first}")
        seen[entry.title] = start + 1
        entries.append(entry)
    return Recording(**msgspec.structs.asdict(head), entries=tuple(entries))


def write(recording: Recording) -> str:
    """The text that ``parse`` reads back to an equal recording. Raises RecordingError for an invalid place."""
    import tomli_w

    lines = [_RULER, tomli_w.dumps({name: getattr(recording, name) for name in ("model", "window", "task", "name")})]
    lines += [f"[[manner]]\n{tomli_w.dumps(manner.set_fields())}" for manner in recording.manner]
    lines = ["\n".join(lines).rstrip("\n"), _RULER]
    for entry in recording.entries:
        if entry.when is None and not re.fullmatch(places.PATTERN, entry.place):
            raise RecordingError(f"{entry.place!r} is not a place: expected name.ordinal segments separated by /.")
        more = [_line("reasoning", entry.reasoning)] if entry.reasoning else []
        more += [_line("finish", entry.finish)] if entry.finish != "stop" else []
        lines.append(f"{_MARK}{entry.title}{' {' + ', '.join(more) + '}' if more else ''}")
        lines += ["\\" + line if _MUST_ESCAPE.match(line) else line for line in entry.text.split("\n")]
    return "\n".join(lines) + "\n"


class _Attributes(msgspec.Struct, forbid_unknown_fields=True):
    finish: str = "stop"
    reasoning: str = ""


def _head(lines: Sequence[str], source: str) -> tuple[RecordingHeader, int]:
    """The head, and its number of lines with both rulers."""
    if not lines or lines[0].rstrip() != _RULER:
        raise _fault(source, 1, f"expected {_RULER} at the start of the head")
    end = next((number for number in range(1, len(lines)) if lines[number].rstrip() == _RULER), None)
    if end is None:
        raise _fault(source, len(lines), f"expected {_RULER} at the end of the head")
    try:
        # An empty line replaces the ruler, so that the line numbers in tomllib's errors are those of the file.
        return msgspec.convert(tomllib.loads("\n".join(["", *lines[1:end], ""])), RecordingHeader), end + 1
    except tomllib.TOMLDecodeError as error:
        raise RecordingError(f"{source}: the head is not TOML: {error}.") from None
    except msgspec.ValidationError as error:
        raise RecordingError(f"{source}: the head cannot be used: {error}.") from None


def _entry(header: str, body: str, source: str, line: int) -> Entry:
    match = _HEADER.fullmatch(header)
    if match is None:
        raise _fault(source, line, f"expected {_EXPECTED}; a line of an answer that begins so needs a \\ before it")
    try:
        when = tomllib.loads(f"it = {match['when']}")["it"] if match["when"] else None
        more = msgspec.convert(tomllib.loads(f"it = {match['more'] or '{}'}")["it"], _Attributes)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise _fault(source, line, str(error).split(" (at ")[0]) from None
    return Entry(place=match["place"] or "", when=when, text=body, finish=more.finish, reasoning=more.reasoning)


def _fault(source: str, line: int, what: str) -> RecordingError:
    return RecordingError(f"{source}, line {line}: {what}.", do="docs/playback.md describes the format.")


def _line(name: str, value: str) -> str:
    """``name = "value"`` in TOML, on one line."""
    import tomli_w

    return tomli_w.dumps({name: value}).rstrip("\n")
