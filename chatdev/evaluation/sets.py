"""Sets of tasks with hidden cases, as they lie in a folder.

SET/tasks.jsonl    an object in each line: name, description, difficulty, cases, hidden
SET/tests/NAME/    hidden unit tests, for a task without hidden cases
SET/refs/NAME/     a program that solves the task, where there is one
"""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from chatdev import runs
from chatdev.errors import UserError
from chatdev.journal.effects import digest
from chatdev.project.verdict import files_digest, read_folder

_SHOWN = 8


class Case(msgspec.Struct, frozen=True):
    """One request and its answer. ``property`` names what is asked for; the values are JSON."""

    property: str
    input: Any
    expected: Any


class Task(msgspec.Struct, frozen=True):
    """One program to build. Arms are told its ``name`` and its ``description``, and nothing else.

    ``cases`` are the examples that stand in the description. What judges it is either ``hidden`` or ``tests``, files by
    path; ``reference`` are the files of a program that solves it, if there is one.
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
        """Names what judges the task: another digest, another judgement."""
        return digest(
            msgspec.json.encode((self.cases, self.hidden)), files_digest(self.tests), files_digest(self.reference)
        )


class TaskSet(msgspec.Struct, frozen=True):
    """The tasks of a folder, in the order of their lines. ``name`` is the folder's."""

    name: str
    tasks: tuple[Task, ...]

    @property
    def digest(self) -> str:
        """Names the set by its content."""
        return digest(*(part for task in self.tasks for part in (task.name, task.description, task.judge)))

    @property
    def difficulties(self) -> tuple[int | None, ...]:
        """Those that there are, the easiest first; tasks that say nothing come last."""
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
    """The set in a folder, which may be named by its ``tasks.jsonl``. Raises UserError that names file and line."""
    folder = source if source.is_dir() else source.parent
    path = folder / "tasks.jsonl" if source.is_dir() else source
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}).", do="Name the folder of a task set: docs/eval.md."
        ) from error
    faults: list[str] = []
    tasks = tuple(_tasks(folder, lines, faults))
    if faults:
        more = [f"and {len(faults) - _SHOWN} more"] if len(faults) > _SHOWN else []
        raise UserError(f"{path} cannot be used as it is.", tried=[*faults[:_SHOWN], *more], do="Mend these lines.")
    if not tasks:
        raise UserError(f"{path} holds no task.", do="Give it an object for each, a line each: docs/eval.md.")
    return TaskSet(folder.resolve().name, tasks)


def _tasks(folder: Path, lines: list[bytes], faults: list[str]) -> Iterator[Task]:
    """The tasks of the lines that can be used; what is wrong with the others is added to ``faults``."""
    seen: dict[str, int] = {}
    for number, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            line = msgspec.json.decode(text, type=_Line)
        except (msgspec.DecodeError, UnicodeError) as error:
            faults.append(f"line {number}: {error}")
            continue
        tests = _files(folder / "tests", line.name)
        why = _unusable(line, tests, seen)
        if why:
            faults.append(f"line {number}: {why}")
            continue
        seen[line.name.casefold()] = number
        reference = _files(folder / "refs", line.name)
        yield Task(line.name, line.description, line.difficulty, line.cases, line.hidden, tests, reference)


def _unusable(line: _Line, tests: Mapping[str, bytes], seen: Mapping[str, int]) -> str:
    if why := runs.unusable(line.name):
        return f"the name {line.name!r} cannot name a folder: {why}"
    if earlier := seen.get(line.name.casefold()):
        return f"the name {line.name!r} stands in line {earlier} already"
    if not line.description.strip():
        return f"{line.name}: the description is empty"
    if not line.hidden and not tests:
        return f"{line.name}: neither hidden cases nor a folder tests/{line.name} with files"
    if line.hidden and tests:
        return f"{line.name}: both hidden cases and tests/{line.name}; a task is judged by one of them"
    return ""


def _files(folder: Path, name: str) -> dict[str, bytes]:
    """The files in a task's own folder below ``folder``; none where the name is no folder's or there is none."""
    if runs.unusable(name) or not (folder / name).is_dir():
        return {}
    return read_folder(folder / name)
