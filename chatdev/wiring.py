"""The composition root: a company, a model and a folder in, a judged product out.

The command line and everything else that runs projects call this module.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import chatdev
from chatdev import ownfile, runs
from chatdev.company import adapt, config
from chatdev.errors import ChatDevError
from chatdev.journal import events, places
from chatdev.journal.effects import JournalScope
from chatdev.journal.store import Record, Store, read
from chatdev.models.choose import Choice, assignments
from chatdev.models.types import Progress, Target
from chatdev.product.edits import KeepingWorkspace
from chatdev.product.verdict import read_folder
from chatdev.product.workspace import Workspace
from chatdev.project import chain, traffic
from chatdev.project.context import RunContext
from chatdev.project.prompts import Prompts
from chatdev.project.spending import Spending
from chatdev.project.state import State
from chatdev.run_options import UNTYPED, RunOptions
from chatdev.sandbox import levels
from chatdev.sandbox.port import Sandbox
from chatdev.views import meta, network, report, statistics, summary, transcript


def paid(records: Sequence[Record]) -> float:
    """US dollars that a run's answers have cost so far, where prices are known."""
    return sum(record.event.cost or 0.0 for record in records if isinstance(record.event, events.ModelAnswered))


class Listeners(NamedTuple):
    """Functions that a run calls: ``on_record`` for each new record of its log, ``on_progress`` with a role and the
    progress of its answer."""

    on_record: Callable[[Record], None] = lambda record: None
    on_progress: Callable[[str, Progress], None] = lambda role, progress: None


NO_LISTENERS = Listeners()


async def work(
    folder: Path,
    choice: Choice,
    typed: RunOptions = UNTYPED,
    *,
    listeners: Listeners = NO_LISTENERS,
    at_once: int = 0,
    open_store: Callable[[Path], Store] = Store,
    sandbox: Sandbox | None = None,
    company: config.Company | None = None,
) -> events.VerdictReached:
    """Work on a started or interrupted run to its end, and write what is delivered.

    The options ``typed`` now replace earlier ones, see ``RunOptions.resumed``; another number of candidates applies to
    phases that have not begun. At most ``at_once`` candidates work in parallel (0: as the company says). Programs run
    in ``sandbox``, else in the strongest usable one. ``company`` is the run's copy of its company, if the caller has
    already read it.

    However the work ends, the log contains everything that was done, and the report covers it. Raises ModelError,
    JournalError, UserError and CancelledError; the run can be resumed after each of them.
    """
    sandbox = sandbox or await levels.chosen(unsafe=False)
    store, redactor = open_store(runs.log_of(folder)), runs.redactor(choice.settings)
    store.redact = redactor.value
    other_models: dict[Target, Choice] = {}
    try:
        start = runs.started(tuple(store.records), folder)
        options = runs.options_of(tuple(store.records), folder).resumed(typed)
        store.listen(listeners.on_record)
        effort, why = _effort(store, start, choice)
        company = _fitted(company or config.load(folder / runs.HIDDEN / "company"), options, effort)
        workspace = _workspace(folder, store)
        choice.cost_budget.continue_run(str(folder), paid(store.records))
        other_models = await _connected(company, choice)
        run = RunContext(
            company=company,
            prompts=Prompts(redactor.value(company)),
            model=choice.backend,
            sandbox=sandbox,
            workspace=workspace,
            watcher=listeners.on_progress,
            spending=_spending(store, company, choice, options.limits),
            others={target: other.backend for target, other in other_models.items()},
            second_opinion=choice.settings.second_opinion,
            candidates=options.candidates,
            at_once=at_once,
            guarded=start.schema >= events.GUARDED,
            sample=options.sample,
        )
        notes = (workspace.keep_edits(), *_model_notes(company, other_models), why)
        number = _record_attempt(store, choice, run, notes, options, effort)
        await store.sync()
        return await _run_and_deliver(folder, run, store, number, State(task=start.task, name=start.name))
    finally:
        for other in other_models.values():
            await other.backend.aclose()
        store.close()


def _workspace(folder: Path, store: Store) -> KeepingWorkspace:
    """The product's folder, without partial files of a killed process. Edits of a person that the run would write over
    while it works are kept and recorded; each record has its own place, since a resume does not find the edit again."""

    def record(path: str, copy: str) -> None:
        kind = places.note("edited")
        earlier = [each.event.place for each in store if isinstance(each.event, events.Diagnostic)]
        number = 1 + sum(places.top(place) == kind for place in earlier)
        text = f"an edit of {path} that the run did not make; it is kept in {copy}"
        store.append(events.Diagnostic(places.below("", kind, number), "undone", text))

    log = [each.event for each in store]
    number = 1 + sum(isinstance(event, events.AttemptStarted) for event in log)
    workspace = KeepingWorkspace(folder, log, f"{runs.HIDDEN}/edited-{number}", record)
    workspace.sweep()
    return workspace


async def _run_and_deliver(
    folder: Path, run: RunContext, store: Store, number: int, state: State
) -> events.VerdictReached:
    """Run the chain, and deliver the result, however it ends."""
    try:
        async with traffic.counted(run.model, store, number):
            reached = await chain.run(run, JournalScope(store), state)
    except (ChatDevError, OSError, asyncio.CancelledError) as error:
        _record_stop(folder, store, number, error)
        raise
    deliver(folder, tuple(store.records))
    return reached


def _record_stop(folder: Path, store: Store, number: int, error: BaseException) -> None:
    """Write into the log and the report why an attempt ends, if the disk still allows it. The error itself is reported
    in any case. A folder that no longer exists is not created again."""
    why = "interrupted" if isinstance(error, asyncio.CancelledError) else str(error)
    with contextlib.suppress(ChatDevError):
        store.append(events.AttemptStopped(number, why, type(error).__name__))
    with contextlib.suppress(ChatDevError):
        if folder.is_dir():
            deliver(folder, tuple(store.records))


def _spending(store: Store, company: config.Company, choice: Choice, typed: Mapping[str, float]) -> Spending:
    """Limits that were typed win over the settings, and those win over the company."""
    phases = {name: phase.budget for name, phase in company.phases.items()}
    return Spending(store, company.budget.but(choice.settings.budget).but(typed), phases)


def _fitted(company: config.Company, options: RunOptions, effort: adapt.Effort) -> config.Company:
    """The company with the options of this run applied."""
    company = company.networking(runs.network_of(options))
    company = company.assigning(assignments(options.role_models))
    return adapt.at(adapt.setting(company, options.settings), effort)


def _effort(store: Store, start: events.RunStarted, choice: Choice) -> tuple[adapt.Effort, str]:
    """How much the company does for this run, and the reason in one line; a run keeps its first value."""
    recorded = next((each.event.effort for each in store if isinstance(each.event, events.AttemptStarted)), "")
    if recorded or start.effort:
        effort = next(effort for effort in adapt.EFFORTS if effort == (recorded or start.effort))
        return effort, f"Effort: {effort}, as {'the run was started' if recorded else 'typed'}."
    if start.schema < events.GUARDED:
        return "normal", ""
    effort, why = adapt.effort_for(choice.facts.size, choice.facts.skill)
    return effort, f"Effort: {effort} ({why})."


def _record_attempt(
    store: Store, choice: Choice, run: RunContext, notes: tuple[str, ...], options: RunOptions, effort: str
) -> int:
    """Log that an attempt starts, and with which means; returns the number of the attempt."""
    number = 1 + sum(isinstance(record.event, events.AttemptStarted) for record in store)
    store.append(
        events.AttemptStarted(
            number=number,
            endpoint=choice.facts.base_url,
            model=choice.facts.model,
            window=choice.facts.window,
            sandbox=run.sandbox.level,
            notes=(*filter(None, (store.repaired, *notes[:1])), *choice.notes, *filter(None, notes[1:])),
            engine=choice.facts.engine,
            schema=events.SCHEMA,
            version=chatdev.__version__,
            **{**options.as_fields(), "effort": effort},
        )
    )
    return number


async def _connected(company: config.Company, choice: Choice) -> dict[Target, Choice]:
    """Connect to every other model that the company uses, before the first call. Raises ModelError."""
    connected: dict[Target, Choice] = {}
    try:
        for target in company.targets:
            connected[target] = await choice.colleague(target)
            connected[target].backend.debug = choice.backend.debug
    except BaseException:
        for other in connected.values():
            await other.backend.aclose()
        raise
    return connected


def _model_notes(company: config.Company, other_models: Mapping[Target, Choice]) -> tuple[str, ...]:
    """Which model answers for which roles, and the notes about these models."""
    models = [
        f"{roles}: {other_models[target].facts.model} at {other_models[target].facts.base_url}."
        for target, roles in company.targets.items()
    ]
    return (*models, *dict.fromkeys(note for other in other_models.values() for note in other.notes))


def deliver(folder: Path, records: tuple[Record, ...]) -> None:
    """Write the files for people next to the product: the report, ``meta.txt``, the readable log, and the picture of
    a network."""
    start = runs.started(records, folder)
    workspace = Workspace(folder)
    name = f"{start.name}_{start.org}_{start.stamp}.log"
    folded = summary.fold(records)
    for path, text in (
        ("REPORT.md", report.render(records, folded)),
        ("meta.txt", meta.render(records, folded)),
        (name, transcript.render(records, folded)),
        ("network.svg", network.picture(records)),
    ):
        if not text:  # most runs have no network
            continue
        ownfile.refuse_link(folder / path)
        workspace.write(path, text.encode("utf-8", "replace"), ownfile.PRIVATE if path == name else 0o644)


def product_of(folder: Path) -> dict[str, bytes]:
    """The product of a run, by path: its folder without the files written next to the product. Raises UserError."""
    beside = {"report.md", "meta.txt", "network.svg"}
    return {
        path: content
        for path, content in read_folder(folder).items()
        if path.casefold() not in beside and not ("/" not in path and path.endswith((".prompt", ".log")))
    }


def software_info(folder: Path) -> str:
    """The closing block of a run, as in ChatDev 1.0: fourteen figures."""
    return statistics.render(statistics.software_info(read(runs.log_of(folder))))
