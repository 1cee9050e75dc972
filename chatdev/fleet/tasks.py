"""Task lists: CSV and JSON Lines files as people have them, read completely, with errors that name the row."""

import csv
import io
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from chatdev import runs, textfile
from chatdev.errors import UserError
from chatdev.journal.effects import digest

_COLUMNS = {
    "task": ("task", "description", "prompt"),
    "name": ("name", "project"),
    "category": ("category",),
    "sample": ("sample",),
}
"""Our name of a column, and the names that a file may use, in any case: SRDD has Name, Description and Category."""
_SHOWN = 8
_DIGITS = 10
_LONGEST = 60
"""Maximum bytes of a folder name that is made from a project's name."""
_SEPARATOR = re.compile(r'"?sep=([^\w\s"]|\t)"?[,;\t ]*(?:\r\n|\n|\r)', re.IGNORECASE)
_UNFIT = re.compile(r'[/\\:*?"<>|\s_]+|\.\.+')


class TaskRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One task as it was read. ``number`` is its line in the file, from 1; ``more`` are the columns that we do not use,
    by name; ``sample`` is as in ``runs.RunRequest``."""

    name: str
    task: str
    category: str = ""
    number: int = 0
    more: dict[str, str] = {}
    sample: int = 0

    @property
    def columns(self) -> dict[str, str]:
        """All values by column name in lower case, under our own names as well."""
        named = {"name": self.name, "task": self.task, "category": self.category}
        if self.sample:
            named["sample"] = str(self.sample)
        return {**{column.casefold(): value for column, value in self.more.items()}, **named}


NamedRow = tuple[str, TaskRow]
"""A row with the name that identifies it in later commands."""


def read(path: Path) -> tuple[TaskRow, ...]:
    """The tasks of a file: JSON Lines by its suffix, otherwise CSV. Raises UserError that names the rows."""
    text = textfile.read(path, newlines=False)
    faults: list[str] = []
    records = _objects(text, faults) if path.suffix.casefold() in (".jsonl", ".ndjson") else _table(text, path, faults)
    rows = tuple(_rows(records, faults))
    if faults:
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise UserError(f"{path} has invalid rows.", tried=[*faults[:_SHOWN], *more], do="Fix these rows.")
    if not rows:
        raise UserError(f"{path} contains no tasks.", do="Add one line per task. A CSV file needs a header line, too.")
    return rows


def _objects(text: str, faults: list[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            fields = msgspec.json.decode(line, type=dict[str, str | int | float | bool | None])
        except (msgspec.DecodeError, UnicodeError) as error:
            faults.append(f"line {number}: not a JSON object with plain values ({error})")
            continue
        yield number, {name: "" if value is None else str(value) for name, value in fields.items()}


def _table(text: str, path: Path, faults: list[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    """The rows of a CSV file. Commas, semicolons or tabs separate its columns, as in its first line, or as a line
    ``sep=;`` of a spreadsheet program says in front of it."""
    csv.field_size_limit(1 << 24)
    if stated := _SEPARATOR.match(text):
        comma, text = stated[1], "\n" + text[stated.end() :]  # the empty line keeps the numbers of the others
    else:
        first = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]
        comma = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=comma, strict=True)
    header: list[str] = []
    while True:
        number = reader.line_num + 1
        try:
            fields = next(reader, None)
        except csv.Error as error:
            faults.append(f"line {number}: {error}")
            return
        if fields is None:
            return
        if not any(field.strip() for field in fields):
            continue
        if not header:
            header = [field.strip() for field in fields]
            _check_header(header, path)
        elif len(fields) > len(header):
            faults.append(f"line {number}: {len(fields)} fields, but {len(header)} columns; is a comma not quoted?")
        else:
            yield number, dict(zip(header, fields, strict=False))


def _check_header(header: Sequence[str], path: Path) -> None:
    if not _column("task", header):
        raise UserError(
            f"{path} has no task column; its columns are {', '.join(filter(None, header)) or 'unnamed'}.",
            do=f"Name the task column one of: {', '.join(_COLUMNS['task'])}.",
        )


def _column(ours: str, names: Iterable[str]) -> str:
    """The file's name of the column that we call ``ours``; empty if it has none."""
    folded = {name.strip().casefold(): name for name in names}
    return next((folded[name] for name in _COLUMNS[ours] if name in folded), "")


def _rows(records: Iterable[tuple[int, Mapping[str, str]]], faults: list[str]) -> Iterator[TaskRow]:
    for number, fields in records:
        used = {ours: _column(ours, fields) for ours in _COLUMNS}
        task, name, category, sample = (
            fields.get(used[ours], "").strip() for ours in ("task", "name", "category", "sample")
        )
        if not task:
            faults.append(f"line {number}: the task is empty")
            continue
        if sample and not (sample.isdecimal() and sample.isascii() and len(sample) < _DIGITS):
            faults.append(f"line {number}: the sample is {sample[:20]!r}, not a whole number")
            continue
        more = {column: value for column, value in fields.items() if column and column not in used.values()}
        yield TaskRow(name or " ".join(task.split()[:6]), _sendable(task), category, number, more, int(sample or 0))


def _sendable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def where(named: Iterable[NamedRow], conditions: Iterable[str]) -> tuple[NamedRow, ...]:
    """The rows that match every ``COLUMN=VALUE``, in any case; if a column is named several times, one of its values
    must match. Raises UserError for a condition that names no column."""
    named = tuple(named)
    values_by_column: dict[str, set[str]] = {}
    for condition in conditions:
        column, equals, value = (part.strip().casefold() for part in condition.partition("="))
        columns = dict.fromkeys(name for _, row in named for name in row.columns)
        if not equals or column not in columns:
            raise UserError(
                f"--where {condition!r} names no column.",
                do=f"Write COLUMN=VALUE with one of the columns: {', '.join(columns)}.",
            )
        values_by_column.setdefault(column, set()).add(value)
    return tuple(
        (name, row)
        for name, row in named
        if all(row.columns.get(column, "").strip().casefold() in values for column, values in values_by_column.items())
    )


def identities(rows: Iterable[TaskRow]) -> Iterator[NamedRow]:
    """Each row with a unique name that stays the same if rows are inserted before it: made from its content, and from
    how often the same content came before."""
    counts: dict[str, int] = {}
    for row in rows:
        content = digest(row.name, row.task, row.category, *([str(row.sample)] if row.sample else []))
        counts[content] = counts.get(content, 0) + 1
        yield (content if counts[content] == 1 else f"{content}-{counts[content]}"), row


def folder_name(name: str, taken: Collection[str]) -> str:
    """A folder name made from a project's name, and none of those ``taken`` (in lower case): characters that some
    systems cannot store become ``_``, and long names are cut."""
    text = "".join(
        each for each in unicodedata.normalize("NFC", name) if each.isspace() or unicodedata.category(each)[0] != "C"
    )
    text = _UNFIT.sub("_", text).encode("utf-8", "ignore")[:_LONGEST].decode("utf-8", "ignore").strip(" ._-")
    if runs.unusable(text):
        text = "project"
    number, folder = 1, text
    while folder.casefold() in taken:
        number += 1
        folder = f"{text}-{number}"
    return folder
