"""A batch as it lies on the disk: its plan, its tasks, and what came of each. Whoever carries the projects, on
whichever machine, and whoever shows how far they are, meets here.

    OUT/.batch/plan.json     what the batch was begun with
    OUT/.batch/tasks.jsonl   a line for each task, and another when it is taken up anew: the last one holds
    OUT/.batch/company/      the company that all of the projects share
    OUT/.batch/lock          whoever works on the batch now
    OUT/projects/NAME_ORG_YYYYMMDDHHMMSS/   a run, as any other
    OUT/results.jsonl, .csv  a line for each project that has ended

A project without a line in ``results.jsonl`` is to be done, or done further: its own log says how far it is.
"""

import contextlib
import csv
import datetime
import io
import os
import secrets
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Literal, TypeVar

import msgspec

from chatdev import runs
from chatdev.company import classic_folder, config
from chatdev.company.graph import Network
from chatdev.errors import UserError
from chatdev.fleet import tasks
from chatdev.fleet.tasks import Row
from chatdev.journal import lock, store
from chatdev.journal.store import sync_path
from chatdev.project.prompts import checked

T = TypeVar("T")
HIDDEN = ".batch"

_STAMP = "%Y%m%d%H%M%S"

Status = Literal["passed", "failed", "error"]


class Plan(msgspec.Struct, frozen=True):
    """What holds for all projects of a batch. ``reach.max_cost`` is for all of them together, ``limits`` for each;
    ``candidates``, ``network``, ``effort`` and ``settings`` are as in ``runs.Order``."""

    config: str = "default"
    org: str = "DefaultOrganization"
    model: str | None = None
    role_models: tuple[str, ...] = ()
    limits: dict[str, float] = {}
    reach: runs.Reach = runs.Reach()
    candidates: int = 0
    network: Network | None = None
    effort: str = ""
    settings: tuple[str, ...] = ()


class Place(msgspec.Struct, frozen=True):
    """Where a batch lies, and what holds for all of it. ``paid`` are US dollars that went into it before."""

    folder: Path
    plan: Plan
    paid: float = 0.0

    @property
    def projects(self) -> Path:
        """The folder of the runs."""
        return self.folder / "projects"

    @property
    def company(self) -> Path:
        """The folder of the company that all projects share."""
        return self.folder / HIDDEN / "company"


class Task(msgspec.Struct, frozen=True, omit_defaults=True):
    """One project to be, called ``name``, as no other of the batch: ``go`` counts how often it was taken up anew,
    ``folder`` is where it is now, below ``projects``. ``paid`` are US dollars that went into folders before that.
    ``before`` are the folders of attempts that were given up for dead: this goes on with what they acknowledged."""

    id: str
    name: str
    folder: str
    row: Row
    go: int = 1
    paid: float = 0.0
    before: tuple[str, ...] = ()

    @property
    def begun(self) -> datetime.datetime:
        """The time that its folder bears."""
        return datetime.datetime.strptime(self.folder[-len("YYYYMMDDHHMMSS") :], _STAMP)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a project ended. ``status`` is ``error`` where it came to no verdict, for the reason in ``error``. Tokens are
    those of prompts and of completions; ``seconds`` of wall time, all attempts; ``cost`` in US dollars, as far as
    prices are known."""

    name: str
    verdict: str
    status: Status
    seconds: float
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float
    folder: str
    error: str = ""
    category: str = ""
    id: str = ""
    go: int = 1

    @property
    def tokens(self) -> int:
        """Prompts and completions together."""
        return self.prompt_tokens + self.completion_tokens


COLUMNS = (
    "name", "verdict", "status", "seconds", "calls", "tokens", "prompt_tokens", "completion_tokens", "cost", "folder",
    "error", "category",
)  # fmt: skip
"""The columns of ``results.csv``."""


class Ledger:
    """A batch's folder, held by one process. ``tasks`` are all that it knows of, ``results`` those that have ended,
    both by id. Raises UserError, and Busy where another process works on the batch."""

    def __init__(self, folder: Path, plan: Plan | None = None) -> None:
        self.folder, self._hidden = folder, folder / HIDDEN
        try:
            self._hidden.mkdir(parents=True, exist_ok=True)
            (folder / "projects").mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"No batch can be kept in {folder} ({error.strerror}).", do="Choose another --out."
            ) from error
        self._lock = lock.take(self._hidden / "lock")
        self._files = contextlib.ExitStack()
        self._files.callback(lock.release, self._lock)
        try:
            self.plan = self._planned(plan)
            known = lines(self._hidden / "tasks.jsonl", Task)
            self.tasks = {task.id: task for task in known}
            self._names = {task.name.casefold() for task in known}
            self._folders = {task.folder for task in known}
            self._log = self._appending(self._hidden / "tasks.jsonl")
            self.results = self._reconciled()
            self._ended = self._appending(folder / "results.jsonl")
            self._table = self._appending(folder / "results.csv")
        except BaseException:
            self._files.close()
            raise

    def _appending(self, path: Path) -> IO[bytes]:
        return self._files.enter_context(path.open("ab", buffering=0))

    def _planned(self, plan: Plan | None) -> Plan:
        """The plan: as it is now given, or as the batch was begun with."""
        path = self._hidden / "plan.json"
        earlier = plan_of(self.folder)
        if plan is None:
            if earlier is None:
                raise UserError(f"{self.folder} is no batch that was begun.", do="Name a file with tasks.")
            return earlier
        if earlier and (earlier.config, earlier.org) != (plan.config, plan.org):
            raise UserError(
                f"The batch in {self.folder} was begun with --config {earlier.config} and --org {earlier.org}.",
                do="Go on with those, or give another --out.",
            )
        if why := runs.unusable(plan.org):
            raise UserError(f"--org {plan.org!r} cannot name a folder: {why}.", do="Choose another --org.")
        if earlier is None:
            company = checked(classic_folder.load(runs.company_of(plan.config, plan.effort)).networking(plan.network))
            config.write(company.sources, Place(self.folder, plan).company)
        _replace(path, msgspec.json.encode(plan))
        return plan

    @property
    def place(self) -> Place:
        """Where the batch lies, and its plan."""
        return Place(self.folder, self.plan, self.paid)

    def add(self, rows: Iterable[tasks.Named]) -> tuple[Task, ...]:
        """The tasks for rows, in their order: those that are known already, and new ones, which are noted."""
        asked, new = [], []
        for name, row in rows:
            task = self.tasks.get(name)
            if task is None:
                called = tasks.folder_name(row.name, self._names)
                task = Task(name, called, self._free(called), row)
                self._take(task)
                new.append(task)
            asked.append(task)
        self._note(new)
        return tuple(asked)

    def _take(self, task: Task) -> None:
        self.tasks[task.id] = task
        self._names.add(task.name.casefold())
        self._folders.add(task.folder)

    def _free(self, name: str) -> str:
        """A folder's name for a project, with the time of now, or the next that is free."""
        now = datetime.datetime.now()
        while (folder := f"{name}_{self.plan.org}_{now.strftime(_STAMP)}") in self._folders:
            now += datetime.timedelta(seconds=1)
        return folder

    def retry(self, ids: Iterable[str]) -> tuple[Task, ...]:
        """Take up anew those that did not pass: what came to a verdict in a new folder, and what an error ended where
        it stands. Their results are no longer."""
        again = []
        for task, result in [(self.tasks[each], self.results.get(each)) for each in ids]:
            if result is None or result.status == "passed":
                continue
            folder, paid = task.folder, task.paid
            if result.status == "failed":
                folder, paid = self._free(task.name), paid + result.cost
            again.append(msgspec.structs.replace(task, go=task.go + 1, folder=folder, paid=paid))
            self._take(again[-1])
        self._note(again)
        for task in again:
            del self.results[task.id]
        self._rewrite()
        return tuple(again)

    def left(self, asked: Iterable[Task]) -> tuple[Task, ...]:
        """Those that have not ended, as they are to be done now."""
        return tuple(self.tasks[task.id] for task in asked if task.id not in self.results)

    def share(self) -> tuple[str, bool]:
        """Mark the batch as one that other machines work on: what its folder is known by, and whether it was one
        already, so that some of them may be at it still."""
        if code := shared_code(self.folder):
            return code, True
        (self._hidden / "given-up").mkdir(exist_ok=True)
        code = secrets.token_hex(16)
        _replace(self._hidden / "shared", code.encode())
        return code, False

    def hand_over(self, task: Task) -> Task:
        """The task as whoever takes it up next is to have it, after the one who had it was given up for dead.

        That one is fenced off: from now on it acknowledges nothing (``FencedStore``), it writes in a folder of its own,
        and its result is not taken. What it had acknowledged goes into the new folder. A project that came to its end
        stays where it is: only its result is still to be told.
        """
        mark, old = given_up(self.folder, task.folder), runs.log_of(self.place.projects / task.folder)
        mark.touch()
        sync_path(mark.parent)
        kept = store.whole(old) if old.exists() else b""
        if kept and runs.finished(store.read(old)):
            mark.unlink()
            return task
        folder = self._free(task.name)
        new = msgspec.structs.replace(task, go=task.go + 1, folder=folder, before=(*task.before, task.folder))
        if kept:
            runs.begin_from(self.place.projects / folder, old.parent, kept)
        self._take(new)
        self._note([new])
        return new

    def put(self, result: Result) -> None:
        """Keep how a project ended: once, whoever tells it how often. Raises UserError."""
        task = self.tasks[result.id]
        if result.id in self.results or result.go != task.go:
            return
        try:
            self._ended.write(msgspec.json.encode(result) + b"\n")
            self._table.write(_csv([result]))
        except OSError as error:
            raise UserError(
                f"The results in {self.folder} cannot be written ({error.strerror}).",
                do="Make room, and give the same command again: each project's own log holds what it did.",
            ) from error
        self.results[result.id] = result
        for folder in task.before:
            shutil.rmtree(self.place.projects / folder, ignore_errors=True)

    @property
    def paid(self) -> float:
        """US dollars that the projects which have ended have cost, with all that was given up for them."""
        return sum(task.paid for task in self.tasks.values()) + sum(each.cost for each in self.results.values())

    def _reconciled(self) -> dict[str, Result]:
        """The results that still hold; the files are made anew of them if they held anything else."""
        path = self.folder / "results.jsonl"
        told = lines(path, Result)
        holding = {each.id: each for each in told if each.id in self.tasks and each.go == self.tasks[each.id].go}
        self.results = holding
        self._rewrite()
        return holding

    def _rewrite(self) -> None:
        for path, data in (
            (
                self.folder / "results.jsonl",
                b"".join(msgspec.json.encode(each) + b"\n" for each in self.results.values()),
            ),
            (self.folder / "results.csv", _csv(self.results.values(), header=True)),
        ):
            if not path.exists() or path.read_bytes() != data:
                _replace(path, data)
        if hasattr(self, "_ended"):
            self._ended = self._appending(self.folder / "results.jsonl")
            self._table = self._appending(self.folder / "results.csv")

    def _note(self, new: Sequence[Task]) -> None:
        if new:
            self._log.write(b"".join(msgspec.json.encode(task) + b"\n" for task in new))
            os.fsync(self._log.fileno())

    def close(self) -> None:
        """Let go of the batch."""
        self._files.close()


def given_up(folder: Path, name: str) -> Path:
    """What is there once a project's folder, of this name, was given up for dead."""
    return folder / HIDDEN / "given-up" / name


def shared_code(folder: Path) -> str:
    """What a batch's folder is known by on all machines; empty if it is none that others work on."""
    try:
        return (folder / HIDDEN / "shared").read_text(encoding="ascii")
    except (OSError, ValueError):
        return ""


def plan_of(folder: Path) -> Plan | None:
    """What a batch was begun with; None if there is none in this folder. Raises UserError."""
    try:
        return msgspec.json.decode((folder / HIDDEN / "plan.json").read_bytes(), type=Plan)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise UserError(f"{folder} holds a batch whose plan cannot be read ({error}).") from error


def lines(path: Path, kind: type[T], do: str = "Mend or delete the lines that are no JSON.") -> list[T]:
    """The whole lines of a file; a torn last one, which was never acknowledged, is cut off. Raises UserError, whose
    advice is ``do``."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
    try:
        return msgspec.json.Decoder(kind).decode_lines(data[:whole])
    except msgspec.DecodeError as error:
        raise UserError(f"{path} is damaged: {error}.", do=do) from error


def _csv(results: Iterable[Result], *, header: bool = False) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    if header:
        writer.writerow(COLUMNS)
    for each in results:
        writer.writerow(getattr(each, column) for column in COLUMNS)
    return out.getvalue().encode("utf-8", "replace")


def _replace(path: Path, data: bytes) -> None:
    """Put a small file in place, whole and synced."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
