"""The one composition root: a company, a model and a folder in, a judged product out.

The command line, and whatever else runs projects, comes through here.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import chatdev
from chatdev import runs
from chatdev.company import adapt, config
from chatdev.errors import ChatDevError
from chatdev.journal import events
from chatdev.journal.effects import Desk
from chatdev.journal.store import Record, Store, read
from chatdev.models.choose import Choice, assignments
from chatdev.models.types import Progress, Target
from chatdev.project import chain, traffic
from chatdev.project.meeting import Office
from chatdev.project.prompts import Prompts
from chatdev.project.spending import Spending
from chatdev.project.state import State
from chatdev.project.verdict import read_folder
from chatdev.project.workspace import Workspace
from chatdev.sandbox import ladder
from chatdev.sandbox.port import Sandbox
from chatdev.views import meta, network, report, statistics, summary, transcript


def paid(records: Sequence[Record]) -> float:
    """US dollars that a run's answers have cost so far, as far as the prices are known."""
    return sum(record.event.cost or 0.0 for record in records if isinstance(record.event, events.ModelAnswered))


OnRecord = Callable[[Record], None]
OnProgress = Callable[[str, Progress], None]


async def work(
    folder: Path,
    choice: Choice,
    *,
    on_record: OnRecord = lambda record: None,
    on_progress: OnProgress = lambda role, progress: None,
    role_models: tuple[str, ...] = (),
    limits: Mapping[str, float] | None = None,
    candidates: int = 0,
    at_once: int = 0,
    open_store: Callable[[Path], Store] = Store,
    sandbox: Sandbox | None = None,
    company: config.Company | None = None,
) -> events.VerdictReached:
    """Carry a run that was begun to its end, or further if it was interrupted, and write what is delivered.

    ``role_models`` take the place of those that the run was begun with, ``limits`` that of each which was set so far,
    and ``candidates`` (0: as before) holds for the phases that have not begun, of which ``at_once`` at most work at the
    same time (0: as the company says). Programs run in ``sandbox``, else in the best that holds here. ``company`` is
    the run's copy of it, where the caller has read that.

    Whatever ends it, the log holds all that was done, and the report says so far as it got. Raises ModelError,
    JournalError, UserError and CancelledError; the run can be taken up again after each of them.
    """
    sandbox = sandbox or await ladder.chosen(unsafe=False)
    store, hidden = open_store(runs.log_of(folder)), runs.redactor(choice.settings)
    store.redact = hidden.value
    others: dict[Target, Choice] = {}
    try:
        order = runs.started(tuple(store.records), folder)
        store.listen(on_record)
        effort, why = _effort(store, order, choice)
        company = _fitted(company or config.load(folder / runs.HIDDEN / "company"), order, role_models, effort)
        workspace = Workspace(folder)
        workspace.sweep()
        typed = {**_limits(store), **(limits or {})}
        choice.purse.take_up(str(folder), paid(store.records))
        others = await _met(company, choice)
        office = Office(
            company=company,
            prompts=Prompts(hidden.value(company)),
            model=choice.backend,
            sandbox=sandbox,
            workspace=workspace,
            watcher=on_progress,
            spending=_spending(store, company, choice, typed),
            others={target: other.backend for target, other in others.items()},
            second_opinion=choice.settings.second_opinion,
            candidates=candidates or _candidates(store),
            at_once=at_once,
            guarded=order.schema >= events.GUARDED,
            sample=order.sample,
        )
        number = _attempt(store, choice, office, (*_told(company, others), why), typed, effort)
        await store.sync()
        return await _attempted(folder, office, store, number, State(task=order.task, name=order.name))
    finally:
        for other in others.values():
            await other.backend.aclose()
        store.close()


async def _attempted(folder: Path, office: Office, store: Store, number: int, state: State) -> events.VerdictReached:
    """Go through the chain, and deliver what came of it, whatever ends it."""
    try:
        async with traffic.counted(office.model, store, number):
            reached = await chain.run(office, Desk(store), state)
    except (ChatDevError, OSError, asyncio.CancelledError) as error:
        _give_up(folder, store, number, error)
        raise
    deliver(folder, tuple(store.records))
    return reached


def _give_up(folder: Path, store: Store, number: int, error: BaseException) -> None:
    """Say in the log and the report why an attempt ends, as far as the disk still takes it: the error itself is told in
    any case, and a folder that is gone is not made anew."""
    why = "interrupted" if isinstance(error, asyncio.CancelledError) else str(error)
    with contextlib.suppress(ChatDevError):
        store.append(events.AttemptStopped(number, why, type(error).__name__))
    with contextlib.suppress(ChatDevError):
        if folder.is_dir():
            deliver(folder, tuple(store.records))


def _spending(store: Store, company: config.Company, choice: Choice, typed: Mapping[str, float]) -> Spending:
    """What was typed wins over the settings, and they over the company."""
    phases = {name: phase.budget for name, phase in company.phases.items()}
    return Spending(store, company.budget.but(choice.settings.budget).but(typed), phases)


def _limits(store: Store) -> dict[str, float]:
    """The limits that were typed for a run so far, a later one in the place of an earlier."""
    limits: dict[str, float] = {}
    for record in store:
        if isinstance(record.event, events.RunStarted | events.AttemptStarted):
            limits |= record.event.limits
    return limits


def _candidates(store: Store) -> int:
    """How many candidates were typed for a run last; 0 if nobody said so."""
    typed = [
        record.event.candidates
        for record in store
        if isinstance(record.event, events.RunStarted | events.AttemptStarted) and record.event.candidates
    ]
    return typed[-1] if typed else 0


def _fitted(
    company: config.Company, order: events.RunStarted, role_models: tuple[str, ...], effort: adapt.Effort
) -> config.Company:
    """The company as this run asks for it."""
    company = company.networking(runs.network_of(order))
    company = company.assigning(assignments(role_models or order.role_models))
    return adapt.at(adapt.setting(company, order.settings), effort)


def _effort(store: Store, order: events.RunStarted, choice: Choice) -> tuple[adapt.Effort, str]:
    """How much the company does for this run, and why, in a line; once begun, a run keeps to it."""
    begun = next((each.event.effort for each in store if isinstance(each.event, events.AttemptStarted)), "")
    if begun or order.effort:
        effort = next(effort for effort in adapt.EFFORTS if effort == (begun or order.effort))
        return effort, f"Effort: {effort}, as {'the run was begun' if begun else 'typed'}."
    if order.schema < events.GUARDED:
        return "normal", ""
    effort, why = adapt.effort_for(choice.facts.size, choice.facts.skill)
    return effort, f"Effort: {effort} ({why})."


def _attempt(
    store: Store, choice: Choice, office: Office, told: tuple[str, ...], limits: dict[str, float], effort: str
) -> int:
    """Say in the log that the run is taken up, and by what means; the number of the attempt."""
    number = 1 + sum(isinstance(record.event, events.AttemptStarted) for record in store)
    store.append(
        events.AttemptStarted(
            number=number,
            endpoint=choice.facts.base_url,
            model=choice.facts.model,
            window=choice.facts.window,
            sandbox=office.sandbox.level,
            notes=(*filter(None, (store.repaired,)), *choice.notes, *filter(None, told)),
            engine=choice.facts.engine,
            schema=events.SCHEMA,
            version=chatdev.__version__,
            limits=limits,
            candidates=office.candidates,
            effort=effort,
        )
    )
    return number


async def _met(company: config.Company, choice: Choice) -> dict[Target, Choice]:
    """Every other model that the company asks, met before the first call. Raises ModelError."""
    met: dict[Target, Choice] = {}
    try:
        for target in company.targets:
            met[target] = await choice.colleague(target)
            met[target].backend.debug = choice.backend.debug
    except BaseException:
        for other in met.values():
            await other.backend.aclose()
        raise
    return met


def _told(company: config.Company, others: Mapping[Target, Choice]) -> tuple[str, ...]:
    """Who answers for whom, and what else there is to say of them."""
    told = [
        f"{roles}: {others[target].facts.model} at {others[target].facts.base_url}."
        for target, roles in company.targets.items()
    ]
    return (*told, *dict.fromkeys(note for other in others.values() for note in other.notes))


def deliver(folder: Path, records: tuple[Record, ...]) -> None:
    """Write what a person reads beside the product: the report, ``meta.txt``, the readable log, and the
    picture of a network."""
    order = runs.started(records, folder)
    workspace = Workspace(folder)
    name = f"{order.name}_{order.org}_{order.stamp}.log"
    folded = summary.fold(records)
    for path, text in (
        ("REPORT.md", report.render(records, folded)),
        ("meta.txt", meta.render(records, folded=folded)),
        (name, transcript.render(records, folded=folded)),
        ("network.svg", network.picture(records)),
    ):
        if not text:  # most runs have no network
            continue
        workspace.write(path, text.encode("utf-8", "replace"))


def product_of(folder: Path) -> dict[str, bytes]:
    """What a run delivered, by path: its folder without what is written beside the product. Raises UserError."""
    beside = {"report.md", "meta.txt", "network.svg"}
    return {
        path: content
        for path, content in read_folder(folder).items()
        if path.casefold() not in beside and not ("/" not in path and path.endswith((".prompt", ".log")))
    }


def software_info(folder: Path) -> str:
    """ChatDev 1.0's closing block of a run: fourteen figures."""
    return statistics.render(statistics.software_info(read(runs.log_of(folder))))
