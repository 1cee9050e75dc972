"""Sets of tasks with hidden cases, as folders.

SET/tasks.jsonl    one object per line: name, description, difficulty, cases, hidden
SET/tests/NAME/    hidden unit tests, for a task without hidden cases
SET/refs/NAME/     a program that solves the task, if there is one
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from chatdev import runs, textfile
from chatdev.errors import UserError
from chatdev.journal.effects import digest
from chatdev.product.verdict import files_digest, read_folder

_SHOWN = 8


class Case(msgspec.Struct, frozen=True):
    """One request and its answer. ``property`` names what is requested; the values are JSON."""

    property: str
    input: Any
    expected: Any


class EvalTask(msgspec.Struct, frozen=True):
    """One program to build. Arms get its ``name`` and its ``description``, and nothing else.

    ``cases`` are the examples in the description. Either ``hidden`` or ``tests``, files by path, judge it;
    ``reference`` are the files of a program that solves it, if there is one.
    """

    name: str
    description: str
    difficulty: int | None = None
    cases: tuple[Case, ...] = ()
    hidden: tuple[Case, ...] = ()
    tests: Mapping[str, bytes] = {}
    reference: Mapping[str, bytes] = {}

    @property
    def judge(self) -> str:
        """Identifies what judges the task: another digest means another judgement."""
        return digest(
            msgspec.json.encode((self.cases, self.hidden)), files_digest(self.tests), files_digest(self.reference)
        )


class TaskSet(msgspec.Struct, frozen=True):
    """The tasks of a folder, in the order of their lines. ``name`` is the folder's."""

    name: str
    tasks: tuple[EvalTask, ...]

    @property
    def digest(self) -> str:
        """Identifies the set by its content."""
        return digest(*(part for task in self.tasks for part in (task.name, task.description, task.judge)))

    @property
    def difficulties(self) -> tuple[int | None, ...]:
        """The difficulties in the set, the easiest first; tasks without one come last."""
        return tuple(
            sorted({task.difficulty for task in self.tasks}, key=lambda each: math.inf if each is None else each)
        )


class _Line(msgspec.Struct, frozen=True):
    name: str
    description: str
    difficulty: int | None = None
    cases: tuple[Case, ...] = ()
    hidden: tuple[Case, ...] = ()


def load(source: Path) -> TaskSet:
    """The set in a folder, given by the folder or its ``tasks.jsonl``. Raises UserError that names file and line."""
    folder = source if source.is_dir() else source.parent
    path = folder / "tasks.jsonl" if source.is_dir() else source
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}).", do="Name the folder of a task set (docs/eval.md)."
        ) from error
    lines = textfile.decode(data, str(path)).encode().split(b"\n")
    faults: list[str] = []
    tasks = tuple(_tasks(folder, lines, faults))
    if faults:
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise UserError(f"{path} has invalid lines.", tried=[*faults[:_SHOWN], *more], do="Fix these lines.")
    if not tasks:
        raise UserError(f"{path} contains no tasks.", do="Add one line with a JSON object per task (docs/eval.md).")
    return TaskSet(folder.resolve().name, tasks)


def _tasks(folder: Path, lines: list[bytes], faults: list[str]) -> Iterator[EvalTask]:
    """The tasks of the valid lines; what is wrong with the others is added to ``faults``."""
    lines_by_name: dict[str, int] = {}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text, type=_Line)
        except (msgspec.DecodeError, UnicodeError) as error:
            faults.append(f"line {number}: {error}")
            continue
        tests = _files(folder / "tests", line.name)
        why = _unusable(line, tests, lines_by_name)
        if why:
            faults.append(f"line {number}: {why}")
            continue
        lines_by_name[line.name.casefold()] = number
        reference = _files(folder / "refs", line.name)
        yield EvalTask(line.name, line.description, line.difficulty, line.cases, line.hidden, tests, reference)


def _unusable(line: _Line, tests: Mapping[str, bytes], lines_by_name: Mapping[str, int]) -> str:
    if why := runs.unusable(line.name):
        return f"the name {line.name!r} is not a valid folder name: {why}"
    if earlier := lines_by_name.get(line.name.casefold()):
        return f"the name {line.name!r} is already used in line {earlier}"
    if not line.description.strip():
        return f"{line.name}: the description is empty"
    if not line.hidden and not tests:
        return f"{line.name}: no hidden cases, and no files in tests/{line.name}"
    if line.hidden and tests:
        return f"{line.name}: both hidden cases and tests/{line.name}; a task is judged by one of them"
    return ""


def _files(folder: Path, name: str) -> dict[str, bytes]:
    """The files in a task's own folder below ``folder``; empty if there is no such folder or the name is invalid."""
    if runs.unusable(name) or not (folder / name).is_dir():
        return {}
    return read_folder(folder / name)
