"""A batch on disk: its plan, its tasks, and their results. The processes that run the projects, on any machine, and
those that show progress meet here.

    OUT/.batch/plan.json     what the batch was started with
    OUT/.batch/tasks.jsonl   a line for each task, and another for each new attempt: the last one counts
    OUT/.batch/company/      the company that all projects share
    OUT/.batch/lock          held by the process that works on the batch
    OUT/projects/NAME_ORG_YYYYMMDDHHMMSS/   a run, like any other
    OUT/results.jsonl, .csv  a line for each finished project

A project without a line in ``results.jsonl`` still has to be started or resumed: its own log says how far it is.
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

from chatdev import ownfile, runs
from chatdev.company import classic_folder, config
from chatdev.errors import UserError
from chatdev.fleet import tasks
from chatdev.fleet.plan import HIDDEN, BatchPlan, plan_of
from chatdev.fleet.tasks import TaskRow
from chatdev.journal import lock, store, torn
from chatdev.journal.store import sync_path
from chatdev.project.prompts import checked
from chatdev.views.text import clean

T = TypeVar("T")

_STAMP = "%Y%m%d%H%M%S"

Status = Literal["passed", "failed", "error"]


class BatchFolder(msgspec.Struct, frozen=True):
    """The folder of a batch and the settings of its projects. ``paid`` is what it has cost before, in US dollars."""

    folder: Path
    plan: BatchPlan
    paid: float = 0.0

    @property
    def projects(self) -> Path:
        """The folder of the runs."""
        return self.folder / "projects"

    @property
    def company(self) -> Path:
        """The folder of the company that all projects share."""
        return self.folder / HIDDEN / "company"


class BatchTask(msgspec.Struct, frozen=True, omit_defaults=True):
    """One project of a batch. ``name`` is unique in the batch, ``go`` is the number of the attempt, ``folder`` its
    folder below ``projects``. ``paid`` is what earlier folders cost, in US dollars. ``before`` are the folders of
    abandoned attempts: this attempt continues from what they acknowledged."""

    id: str
    name: str
    folder: str
    row: TaskRow
    go: int = 1
    paid: float = 0.0
    before: tuple[str, ...] = ()

    @property
    def started_at(self) -> datetime.datetime:
        """The time in the name of its folder."""
        return datetime.datetime.strptime(self.folder[-len("YYYYMMDDHHMMSS") :], _STAMP)


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a project ended. ``status`` is ``error`` if it has no verdict; ``error`` says why. ``seconds`` is the
    elapsed time of all attempts; ``cost`` is in US dollars, as far as prices are known."""

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
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens


COLUMNS = (
    "name", "verdict", "status", "seconds", "calls", "tokens", "prompt_tokens", "completion_tokens", "cost", "folder",
    "error", "category",
)  # fmt: skip
"""The columns of ``results.csv``."""


class Ledger:
    """A batch's folder, held by one process. ``tasks`` are all tasks of the batch, ``results`` those of the finished
    projects, both by id. ``notes`` are sentences about what was dropped at the ends of its files, and what a new batch
    ignores in its company. Raises UserError, and
    Busy if another process works on the batch."""

    def __init__(self, folder: Path, plan: BatchPlan | None = None) -> None:
        self.folder, self._hidden = folder, folder / HIDDEN
        self.notes: list[str] = []
        try:
            self._hidden.mkdir(parents=True, exist_ok=True)
            (folder / "projects").mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"Cannot create a batch in {folder} ({error.strerror}).", do="Choose another --out."
            ) from error
        self._lock = lock.acquire(self._hidden / "lock")
        self._files = contextlib.ExitStack()
        self._files.callback(lock.release, self._lock)
        try:
            self.plan = self._planned(plan)
            recorded = self._recovered(self._hidden / "tasks.jsonl", BatchTask)
            self._refuse_strange(recorded)
            self.tasks = {task.id: task for task in recorded}
            self._names = {task.name.casefold() for task in recorded}
            self._folders = {task.folder for task in recorded}
            self._log = self._appending(self._hidden / "tasks.jsonl")
            self.results = self._reconciled()
            self.results_file = self._appending(folder / "results.jsonl")
            self._table = self._appending(folder / "results.csv")
        except BaseException:
            self._files.close()
            raise

    def _appending(self, path: Path) -> IO[bytes]:
        return self._files.enter_context(ownfile.appending(path))

    def _recovered(self, path: Path, kind: type[T]) -> list[T]:
        return torn.recovered(path, kind, self.notes.append, "Fix or delete the lines that are not valid JSON.")

    def _refuse_strange(self, recorded: Iterable[BatchTask]) -> None:
        """Raise UserError if a project's folder is not directly below ``projects``: a new attempt would empty it."""
        ownfile.refuse_link(self.folder / "projects")
        for name in (name for task in recorded for name in (task.folder, *task.before)):
            if name in ("", ".", "..") or "/" in name or "\0" in name:
                raise UserError(
                    f"{self._hidden / 'tasks.jsonl'} names a folder outside of projects: {name!r}.",
                    do="Find out where the batch's folder comes from.",
                )

    def _planned(self, plan: BatchPlan | None) -> BatchPlan:
        """The plan: the given one, or the one that the batch was started with."""
        path = self._hidden / "plan.json"
        earlier = plan_of(self.folder)
        if plan is None:
            if earlier is None:
                raise UserError(f"{self.folder} contains no batch.", do="Name a file with tasks.")
            return earlier
        if earlier and (earlier.config, earlier.org) != (plan.config, plan.org):
            raise UserError(
                f"The batch in {self.folder} was started with --config {earlier.config} and --org {earlier.org}.",
                do="Use the same --config and --org, or another --out.",
            )
        if why := runs.unusable(plan.org):
            raise UserError(f"--org {plan.org!r} is not a valid folder name: {why}.", do="Choose another --org.")
        if earlier is None:
            folder = runs.company_of(plan.config, plan.effort)
            source = classic_folder.load(folder, ignore_unsupported=plan.ignore_unsupported)
            company = checked(source.networking(runs.network_of(plan)))
            self.notes += [
                f"Ignored in the company {company.name} (not supported): {each}." for each in company.ignored
            ]
            config.write(company.sources, BatchFolder(self.folder, plan).company)
        ownfile.write(path, plan.encoded, sync=True)
        return plan

    @property
    def batch_folder(self) -> BatchFolder:
        """The batch's folder and its plan."""
        return BatchFolder(self.folder, self.plan, self.paid)

    def add(self, rows: Iterable[tasks.NamedRow]) -> tuple[BatchTask, ...]:
        """The tasks for these rows, in their order; new ones are recorded."""
        requested, new = [], []
        for name, row in rows:
            task = self.tasks.get(name)
            if task is None:
                project_name = tasks.folder_name(row.name, self._names)
                task = BatchTask(name, project_name, self._free_folder(project_name), row)
                self._remember(task)
                new.append(task)
            requested.append(task)
        self._append(new)
        return tuple(requested)

    def _remember(self, task: BatchTask) -> None:
        self.tasks[task.id] = task
        self._names.add(task.name.casefold())
        self._folders.add(task.folder)

    def _free_folder(self, name: str) -> str:
        """A folder name for a project, with the current time or the next one that is not used yet."""
        now = datetime.datetime.now()
        while (folder := f"{name}_{self.plan.org}_{now.strftime(_STAMP)}") in self._folders:
            now += datetime.timedelta(seconds=1)
        return folder

    def retry(self, ids: Iterable[str]) -> tuple[BatchTask, ...]:
        """Retry those that did not pass: the failed ones in a new folder, those with an error in their old one. Their
        results are removed."""
        retried = []
        for task, result in [(self.tasks[each], self.results.get(each)) for each in ids]:
            if result is None or result.status == "passed":
                continue
            folder, paid = task.folder, task.paid
            if result.status == "failed":
                folder, paid = self._free_folder(task.name), paid + result.cost
            retried.append(msgspec.structs.replace(task, go=task.go + 1, folder=folder, paid=paid))
            self._remember(retried[-1])
        self._append(retried)
        for task in retried:
            del self.results[task.id]
        self._rewrite()
        return tuple(retried)

    def unfinished(self, tasks: Iterable[BatchTask]) -> tuple[BatchTask, ...]:
        """The tasks without a result, each with its current attempt."""
        return tuple(self.tasks[task.id] for task in tasks if task.id not in self.results)

    def share(self) -> tuple[str, bool]:
        """Mark the batch as one that several machines work on. Returns the code that identifies its folder, and whether
        it was marked before, so that some machines may still be working on it."""
        if code := shared_code(self.folder):
            return code, True
        (self._hidden / "given-up").mkdir(exist_ok=True)
        code = secrets.token_hex(16)
        ownfile.write(self._hidden / "shared", code.encode(), sync=True)
        return code, False

    def reassign(self, task: BatchTask) -> BatchTask:
        """The task for the next attempt, after the node that had it became unreachable.

        The old attempt is fenced off: from now on it acknowledges nothing (``FencedStore``), it writes to its own
        folder, and its result is ignored. What it had acknowledged is copied to the new folder. A project that had
        finished keeps its folder: only its result was not reported yet. So does one whose log is damaged: its next
        attempt reports that as its error.
        """
        mark, old_log = abandoned_mark(self.folder, task.folder), runs.log_of(self.batch_folder.projects / task.folder)
        ownfile.appending(mark).close()
        sync_path(mark.parent)
        try:
            acknowledged = store.whole(old_log) if old_log.exists() else b""
            finished = bool(acknowledged) and runs.finished(store.read(old_log)) is not None
        except store.Damaged:
            acknowledged, finished = b"", True
        if finished:
            mark.unlink()
            return task
        folder = self._free_folder(task.name)
        new_task = msgspec.structs.replace(task, go=task.go + 1, folder=folder, before=(*task.before, task.folder))
        if acknowledged:
            runs.begin_from(self.batch_folder.projects / folder, old_log.parent, acknowledged)
        self._remember(new_task)
        self._append([new_task])
        return new_task

    def put(self, result: Result) -> None:
        """Store how a project ended: once, even if it is reported again. Raises UserError."""
        task = self.tasks[result.id]
        if result.id in self.results or result.go != task.go:
            return
        try:
            torn.append(self.results_file.fileno(), msgspec.json.encode(result) + b"\n")
            torn.append(self._table.fileno(), _csv([result]))
        except OSError as error:
            raise UserError(
                f"Cannot write the results in {self.folder} ({error.strerror}).",
                do="Free disk space and run the same command again: each project's own log has all of its work.",
            ) from error
        self.results[result.id] = result
        for folder in task.before:
            shutil.rmtree(self.batch_folder.projects / folder, ignore_errors=True)

    @property
    def paid(self) -> float:
        """US dollars that the finished projects have cost, with all of their earlier folders."""
        return sum(task.paid for task in self.tasks.values()) + sum(each.cost for each in self.results.values())

    def _reconciled(self) -> dict[str, Result]:
        """The results that still count; the files are rewritten if they held anything else."""
        path = self.folder / "results.jsonl"
        recorded = self._recovered(path, Result)
        valid = {each.id: each for each in recorded if each.id in self.tasks and each.go == self.tasks[each.id].go}
        self.results = valid
        self._rewrite()
        return valid

    def _rewrite(self) -> None:
        for path, data in (
            (
                self.folder / "results.jsonl",
                b"".join(msgspec.json.encode(each) + b"\n" for each in self.results.values()),
            ),
            (self.folder / "results.csv", _csv(self.results.values(), header=True)),
        ):
            if not path.exists() or ownfile.read(path) != data:
                ownfile.write(path, data, sync=True)
        if hasattr(self, "results_file"):
            self.results_file = self._appending(self.folder / "results.jsonl")
            self._table = self._appending(self.folder / "results.csv")

    def _append(self, new: Sequence[BatchTask]) -> None:
        if new:
            torn.append(self._log.fileno(), b"".join(msgspec.json.encode(task) + b"\n" for task in new))
            os.fsync(self._log.fileno())

    def close(self) -> None:
        """Close the files and release the lock."""
        self._files.close()


def abandoned_mark(folder: Path, name: str) -> Path:
    """The file that marks a project's folder, of this name, as abandoned."""
    return folder / HIDDEN / "given-up" / name


def shared_code(folder: Path) -> str:
    """The code that identifies a batch's folder on all machines; empty if only one machine works on it."""
    try:
        return ownfile.read(folder / HIDDEN / "shared").decode("ascii")
    except (OSError, ValueError):
        return ""


def _csv(results: Iterable[Result], *, header: bool = False) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out)
    if header:
        writer.writerow(COLUMNS)
    for each in results:
        writer.writerow(_cell(getattr(each, column)) for column in COLUMNS)
    return out.getvalue().encode("utf-8", "replace")


def _cell(value: object) -> object:
    """A value as a cell: a text on one line that no spreadsheet program takes for a formula."""
    if not isinstance(value, str):
        return value
    line = " ".join(clean(value).split())
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line
