"""Shared by ``run.py``, ``build`` and ``resume``: take a run to its end and tell its user how it went."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from chatdev import runs, wiring
from chatdev.cli import common, watch
from chatdev.cli.options import How, Limits
from chatdev.cli.voice import DebugLog, Json, Text, Voice
from chatdev.errors import ChatDevError
from chatdev.journal import store
from chatdev.journal.store import read
from chatdev.models.choose import Choice, choose
from chatdev.models.purse import Purse
from chatdev.project.verdict import STARTS
from chatdev.redaction import Redactor
from chatdev.sandbox import ladder
from chatdev.sandbox.port import Sandbox
from chatdev.settings import Settings, load_here

DEMO = "DEMO"


class End(NamedTuple):
    """How an attempt ended; ``verdict`` is empty if it did not come to one."""

    folder: Path
    status: int
    verdict: str = ""


@contextlib.asynccontextmanager
async def chosen(
    label: str | None,
    task: str | None,
    settings: Settings,
    say: Callable[[str], None] = common.say,
    purse: Purse | None = None,
) -> AsyncIterator[Choice]:
    """The model for a label; for DEMO, a stand-in server that plays the recording of this task while it is used, or for
    None each recording that there is."""
    if label is None or label.upper() != DEMO:
        try:
            choice = await choose(label, settings, purse=purse)
        except ChatDevError:
            for note in settings.notes:  # else they are told at the beginning of the work
                say(note)
            raise
        try:
            yield choice
        finally:
            await choice.backend.aclose()
        return
    from chatdev.playback import demo

    async with demo.serving(task) as endpoint:
        own = msgspec.structs.replace(
            settings,
            vllm_endpoint=endpoint,
            more_endpoints=(),
            vllm_model_name="default",
            vllm_api_key=None,
            openai_api_key=None,
            proxy=None,
        )
        async with chosen("VLLM", task, own, say, purse) as choice:
            yield msgspec.structs.replace(choice, label=DEMO)


def build(order: runs.Order, label: str | None, how: How) -> int:
    """Begin a run and take it to its end; the exit status. Every failure is said in plain words."""
    voice = _voice(how)

    async def work() -> End:
        settings = order.reach.applied(load_here())
        sandbox = await ladder.chosen(unsafe=how.unsafe, engine=how.engine)
        with common.discreet(settings):
            async with (
                watch.watchers(how, settings, voice) as watchers,
                chosen(label, order.task, settings, voice.notice) as choice,
            ):
                asked = msgspec.structs.replace(order, model=choice.label)
                folder = runs.begin(asked, common.WAREHOUSE, settings=settings)
                return await _work(folder, choice, settings, watchers, sandbox)

    try:
        order.checked()
        return _closed(common.run(work()), voice)
    except (ChatDevError, OSError) as error:
        return _refused(error, voice)


def resume(
    run: str,
    label: str | None,
    phase: str | None,
    how: How,
    role_models: tuple[str, ...] = (),
    limits: Limits | None = None,
    reach: runs.Reach | None = None,
    candidates: int = 0,
    *,
    repair: bool = False,
) -> int:
    """Take an interrupted run to its end, or a new one from a phase of it on; the exit status. One that has ended is
    only shown again. ``repair`` cuts a damaged log after its last whole record first."""
    voice = _voice(how)

    async def work(folder: Path) -> End:
        order = runs.started(read(runs.log_of(folder)), folder)
        settings = (reach or runs.Reach()).over(order).applied(load_here())
        sandbox = await ladder.chosen(unsafe=how.unsafe, engine=how.engine)
        with common.discreet(settings):
            async with (
                watch.watchers(how, settings, voice) as watchers,
                chosen(label or order.model, order.task, settings, voice.notice) as choice,
            ):
                return await _work(folder, choice, settings, watchers, sandbox, role_models, limits, candidates)

    try:
        folder = runs.find(run, common.WAREHOUSE)
        if repair:
            voice.notice(store.repair(runs.log_of(folder)) or "The log is whole: nothing had to be cut.")
        if phase is not None:
            folder = runs.fork(folder, phase, common.WAREHOUSE)
            voice.notice(f"A new run from {phase} on: {folder}")
        records = read(runs.log_of(folder))
        if (ended := runs.finished(records)) is not None:
            wiring.deliver(folder, records)
            return _closed(End(folder, _status(ended.verdict), ended.verdict), voice)
        return _closed(common.run(work(folder)), voice)
    except (ChatDevError, OSError) as error:
        return _refused(error, voice)


def _refused(error: Exception, voice: Voice) -> int:
    """Say why nothing could be done; the exit status."""
    told = error if isinstance(error, ChatDevError) else common.of_system(error)
    voice.error(told)
    return told.exit_status


def _voice(how: How) -> Voice:
    return Json() if how.as_json else Text(quiet=how.quiet)


def _status(verdict: str) -> int:
    return 0 if verdict in ("passed", STARTS) else 1


def _closed(end: End, voice: Voice) -> int:
    """Say what every run ends with; the exit status."""
    voice.ended(end.folder, end.verdict, end.status)
    return end.status


async def _work(
    folder: Path,
    choice: Choice,
    settings: Settings,
    watchers: watch.Watchers,
    sandbox: Sandbox,
    role_models: tuple[str, ...] = (),
    limits: Limits | None = None,
    candidates: int = 0,
) -> End:
    """One attempt at a run, shown as it goes."""
    voice = watchers.voice
    hint = f'Nothing is lost. Go on with: {common.program()} resume "{folder}"'
    hidden = Redactor(settings.secrets)
    debug = DebugLog(folder / runs.HIDDEN / "debug.log", voice, hidden.text) if settings.debug else None
    choice.backend.debug = debug
    voice.redact = hidden.text
    watchers.begun(read(runs.log_of(folder)))
    try:
        async with watch.server_shown(choice.backend, voice):
            reached = await wiring.work(
                folder,
                choice,
                on_record=watchers.on_record,
                on_progress=voice.on_progress,
                role_models=role_models,
                limits=limits,
                candidates=candidates,
                sandbox=sandbox,
            )
    except asyncio.CancelledError:
        voice.paused()
        voice.notice(f"Interrupted. {hint}")
        _uncancel()
        return End(folder, common.INTERRUPTED)
    except (ChatDevError, OSError) as error:
        told = error if isinstance(error, ChatDevError) else common.of_system(error)
        voice.paused()
        hidden.error(told)
        voice.error(told)
        voice.notice(f"The log is {runs.log_of(folder)}.\n{hint}" if folder.is_dir() else f"{folder} is gone.")
        return End(folder, told.exit_status)
    finally:
        voice.paused()
        if debug:
            debug.close()
    return End(folder, _status(reached.verdict), reached.verdict)


def _uncancel() -> None:
    """The wish to stop was heard, and what follows is the way out."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
