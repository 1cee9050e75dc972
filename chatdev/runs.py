"""Runs on disk: how a run is ordered and started, where its log is, and how it is found again."""

import datetime
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

import chatdev
from chatdev import ownfile
from chatdev.company import adapt, classic_folder, config
from chatdev.company.graph import Network
from chatdev.errors import ChatDevError, UserError
from chatdev.journal import events
from chatdev.journal.store import Record, Store, read, sync_path
from chatdev.models.choose import assignments
from chatdev.project.prompts import checked
from chatdev.redaction import Redactor, is_telling
from chatdev.run_options import RunOptions
from chatdev.settings import Settings

HIDDEN = ".chatdev"
"""The folder inside a product that holds the journal, the company's copy and the debug log."""


class RunRequest(RunOptions, frozen=True):
    """A run as requested. ``config`` names a company or its folder; ``model`` is the label typed or chosen."""

    task: str
    name: str
    org: str = "DefaultOrganization"
    config: str = "default"
    model: str = "VLLM"

    def checked(self) -> "RunRequest":
        """This request if it is valid. Raises UserError that says what to type instead."""
        if not self.task.strip():
            raise UserError("The task is empty.", do='Say what to build, as in --task "create a calculator".')
        for option, value in (("--name", self.name), ("--org", self.org)):
            why = unusable(value)
            if why:
                raise UserError(f"{option} {value!r} cannot name a folder: {why}.", do=f"Choose another {option}.")
        company_of(self.config, self.effort)
        return self


FULL = "full"
"""The company with all roles. The highest effort uses it instead of the default one."""


def company_of(name: str, effort: str = "") -> Path:
    """The folder of the requested company. Raises CompanyError."""
    usual = name.lower() == "default" and not config.replaced(name)
    return config.find(FULL if effort == "high" and usual else name)


def unusable(name: str) -> str:
    """Why a name cannot be part of a folder's name; empty if it can. Spaces and Unicode letters are allowed."""
    if not name.strip():
        return "it is empty"
    if ".." in name:
        return 'it contains ".."'
    for character in name:
        if character in '/\\:*?"<>|':
            return f"it contains {character!r}"
        if not character.isprintable():
            return f"it contains the control character {character!a}"
    if name != name.strip() or name.startswith((".", "-")):
        return "it begins with a dot or a dash, or begins or ends with a space"
    return "it is longer than 80 bytes" if len(name.encode()) > 80 else ""


def redactor(settings: Settings) -> Redactor:
    """Removes keys from what a run prints and stores. Code is stored too, so only unmistakable secrets are removed."""
    return Redactor(filter(is_telling, settings.secrets))


def begin(
    request: RunRequest, warehouse: Path, now: datetime.datetime | None = None, settings: Settings | None = None
) -> Path:
    """Create the run's folder, ``{name}_{org}_{YYYYMMDDHHMMSS}``, with the logged request and a copy of the company.

    Keys of ``settings`` that occur in the request are removed. Two runs that start in the same second get separate
    folders. Raises UserError, CompanyError and JournalError.
    """
    request = redactor(settings or Settings()).value(request).checked()
    source = company_of(request.config, request.effort)
    loaded = classic_folder.load(source, ignore_unsupported=request.ignore_unsupported)
    company = checked(loaded)  # before anything is created
    adapt.setting(company, request.settings)
    company.assigning(assignments(request.role_models))
    company = checked(company.networking(network_of(request)))
    return _set_up(_start(request, company, now), company, (), warehouse)


def begin_in(
    folder: Path,
    request: RunRequest,
    company: config.Company,
    source: Path,
    now: datetime.datetime | None = None,
    open_store: Callable[[Path], Store] = Store,
) -> Store:
    """Start a run in this new folder, for a caller that has checked the request and removed keys from it; returns its
    open log. The ``company`` stays at ``source`` because many runs share it: the run has a link to it.

    The remains of a process that died here are removed first. Raises UserError.
    """
    try:
        shutil.rmtree(folder, ignore_errors=True)
        (folder / HIDDEN).mkdir(parents=True)
        (folder / HIDDEN / "company").symlink_to(os.path.relpath(source, folder / HIDDEN), target_is_directory=True)
        _write_task(folder, request.name, request.task)
        for path in (folder, folder.parent):
            sync_path(path)
        store = open_store(log_of(folder))
        try:
            store.append(_start(request, company, now))
        except BaseException:
            store.close()
            raise
        return store
    except (OSError, ChatDevError) as error:
        raise _unwritable(folder.parent, error) from error


def begin_from(folder: Path, hidden_folder: Path, log: bytes) -> None:
    """Start a run in this new folder from the hidden folder and the log of another run. Raises UserError."""
    try:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(
            hidden_folder, folder / HIDDEN, symlinks=True, ignore=shutil.ignore_patterns("lock", "events.jsonl*")
        )
        ownfile.write(log_of(folder), log, ownfile.PRIVATE)
        start = started(read(log_of(folder)), folder)
        _write_task(folder, start.name, start.task)
        _sync_all(folder)
    except OSError as error:
        raise _unwritable(folder.parent, error) from error


def _write_task(folder: Path, name: str, task: str) -> None:
    """Write the task into a run's folder. Raises LinkRefused and OSError."""
    if not unusable(name):  # a log that others wrote may hold any name
        ownfile.write(folder / f"{name}.prompt", task.encode("utf-8", "replace"))


def _start(request: RunRequest, company: config.Company, now: datetime.datetime | None) -> events.RunStarted:
    return events.RunStarted(
        schema=events.SCHEMA,
        version=chatdev.__version__,
        name=request.name,
        org=request.org,
        stamp=_stamp(now),
        task=request.task,
        company=company.name,
        model=request.model,
        roles=company.roster,
        ignored=company.ignored,
        **request.as_fields(),
    )


def network_of(options: RunOptions) -> Network | None:
    """The network that was typed for a run."""
    return msgspec.json.decode(options.network, type=Network) if options.network else None


def options_of(records: tuple[Record, ...], folder: Path) -> RunOptions:
    """The options of a run in its last attempt: typed at the start or at a resume. Raises UserError if it has no
    start."""
    options: RunOptions = started(records, folder)
    for record in records:
        if isinstance(record.event, events.AttemptStarted):
            options = options.resumed(record.event)
    return options


def settings_for(options: RunOptions, settings: Settings) -> Settings:
    """The settings for a run with these options; options win. Raises SettingsError."""
    return msgspec.structs.replace(
        settings.reaching(options.endpoints),
        local_only=options.local_only or settings.local_only,
        max_cost=settings.max_cost if options.max_cost is None else options.max_cost,
        second_opinion=options.second_opinion or settings.second_opinion,
        waits=True,
        wait_at_start=60 * options.wait,
    )


def fork(folder: Path, phase: str, warehouse: Path, now: datetime.datetime | None = None) -> Path:
    """Make a new run from everything that a run did before a phase (in any letter case), with its company's copy.

    The old run does not change. Raises UserError if the phase never began, CompanyError and JournalError.
    """
    records = read(log_of(folder))
    start = started(records, folder)
    phase_starts = {
        record.event.phase: number
        for number, record in reversed(list(enumerate(records)))
        if isinstance(record.event, events.PhaseBegan)
    }
    end = next((number for name, number in phase_starts.items() if name.lower() == phase.lower()), None)
    if end is None:
        raise UserError(
            f'The phase "{phase}" has not begun in {folder}.', do=f"Choose one of: {', '.join(reversed(phase_starts))}."
        )
    company = config.load(folder / HIDDEN / "company")
    events_before = tuple(record.event for record in records[1:end])
    return _set_up(msgspec.structs.replace(start, stamp=_stamp(now)), company, events_before, warehouse)


def _stamp(now: datetime.datetime | None) -> str:
    return (now or datetime.datetime.now()).strftime("%Y%m%d%H%M%S")


def _set_up(start: events.RunStarted, company: config.Company, before: tuple[events.Any, ...], warehouse: Path) -> Path:
    """A new run's folder with the company's copy, the task, and a log that begins with these events."""
    if why := unusable(start.name) or unusable(start.org):
        raise UserError(f"The log names a run after which no folder can be named: {why}.", do="Start a new run.")
    folder = _new_folder(warehouse, f"{start.name}_{start.org}_{start.stamp}")
    try:
        config.write(company.sources, folder / HIDDEN / "company")
        _write_task(folder, start.name, start.task)
        _sync_all(folder)
        store = Store(log_of(folder))
        for event in (start, *before):
            store.append(event)
        store.close()
    except (OSError, ChatDevError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _unwritable(warehouse, error) from error
    return folder


def _sync_all(folder: Path) -> None:
    """Sync everything that a resume needs besides the log, so that it survives a power cut. Raises OSError."""
    for path in (folder.parent, folder, *folder.rglob("*")):
        sync_path(path)


def _unwritable(warehouse: Path, error: Exception) -> UserError:
    why = error.strerror if isinstance(error, OSError) else error
    return UserError(
        f"No run can be written under {warehouse} ({why}).",
        do="Free some disk space there, or run the command in a folder that you can write to.",
    )


def _new_folder(warehouse: Path, name: str) -> Path:
    try:
        warehouse.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1_000):
            folder = warehouse / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    except OSError as error:
        raise _unwritable(warehouse, error) from error
    raise UserError(f"There are already a thousand runs called {name}.")


def log_of(folder: Path) -> Path:
    """The path of a run's log."""
    return folder / HIDDEN / "events.jsonl"


def started(records: tuple[Record, ...], folder: Path) -> events.RunStarted:
    """A run's first event. Raises UserError if there is none."""
    first = records[0].event if records else None
    if not isinstance(first, events.RunStarted):
        raise UserError(f"The log in {folder} does not begin with a request: the run ended before it started.")
    return first


def finished(records: tuple[Record, ...]) -> events.RunFinished | None:
    """The last event of a run, if the run is finished."""
    for record in reversed(records):
        if isinstance(record.event, events.RunFinished):
            return record.event
    return None


def find(name: str, warehouse: Path) -> Path:
    """A run by its folder, or by the beginning of its folder's name under the warehouse. Raises UserError."""
    if log_of(Path(name)).is_file():
        return Path(name)
    matches = [
        folder for folder in (*every(warehouse), *_of_batches(warehouse)) if name and folder.name.startswith(name)
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise UserError(
            f'"{name}" matches {len(matches)} runs.',
            tried=[folder.name for folder in matches],
            do="Type the full name of one of them.",
        )
    raise UserError(
        f'There is no run "{name}".',
        tried=(f"a folder with {HIDDEN}/events.jsonl in it", f"the runs under {warehouse}"),
        do="List the runs with: chatdev runs",
    )


def every(warehouse: Path) -> list[Path]:
    """The folders of all runs, sorted by name."""
    return sorted(log.parent.parent for log in warehouse.glob(f"*/{HIDDEN}/events.jsonl"))


def _of_batches(warehouse: Path) -> list[Path]:
    """The folders of the runs in batches under the warehouse."""
    return [log.parent.parent for log in warehouse.glob(f"*/projects/*/{HIDDEN}/events.jsonl")]
