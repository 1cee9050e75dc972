"""Shared by ``run.py``, ``build`` and ``resume``: work on a run to its end and show the result."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

import msgspec

from chatdev import runs, wiring
from chatdev.cli import common, watch
from chatdev.cli.options import WatchOptions
from chatdev.cli.run_output import DebugLog, Json, RunOutput, Text
from chatdev.company import config
from chatdev.errors import ChatDevError
from chatdev.journal import store
from chatdev.journal.store import read
from chatdev.models.choose import Choice, choose
from chatdev.models.spending import CostBudget
from chatdev.product.verdict import STARTS
from chatdev.redaction import Redactor
from chatdev.run_options import UNTYPED, RunOptions
from chatdev.sandbox import levels
from chatdev.sandbox.port import Sandbox
from chatdev.settings import Settings, load_here

DEMO = "DEMO"


class End(NamedTuple):
    """How an attempt ended; ``verdict`` is empty if there is none."""

    folder: Path
    status: int
    verdict: str = ""


@contextlib.asynccontextmanager
async def chosen(
    label: str | None,
    task: str | None,
    settings: Settings,
    say: Callable[[str], None] = common.say,
    cost_budget: CostBudget | None = None,
) -> AsyncIterator[Choice]:
    """The model for a label. For DEMO, a mock server that plays the recording of this task while it is used, or every
    recording if the task is None."""
    if label is None or label.upper() != DEMO:
        try:
            choice = await choose(label, settings, cost_budget=cost_budget, notice=say)
        except ChatDevError:
            for note in settings.notes:  # otherwise they are shown when the work begins
                say(note)
            raise
        try:
            yield choice
        finally:
            await choice.backend.aclose()
        return
    from chatdev.playback import demo

    async with demo.serving(task) as endpoint:
        demo_settings = msgspec.structs.replace(
            settings,
            vllm_endpoint=endpoint,
            more_endpoints=(),
            vllm_model_name="default",
            vllm_api_key=None,
            openai_api_key=None,
        )
        async with chosen("VLLM", task, demo_settings, say, cost_budget) as choice:
            yield msgspec.structs.replace(choice, label=DEMO)


def build(request: runs.RunRequest, label: str | None, watch_options: WatchOptions) -> int:
    """Start a run and work on it to its end; returns the exit status. Every failure is printed as a plain message."""
    output = _output(watch_options)

    async def work() -> End:
        settings = runs.settings_for(request, load_here())
        sandbox = await levels.chosen(unsafe=watch_options.unsafe, engine=watch_options.engine)
        output.redact = Redactor(settings.secrets).text
        with common.redacting(settings):
            async with (
                watch.watchers(watch_options, settings, output) as watchers,
                chosen(label, request.task, settings, output.notice) as choice,
            ):
                named_request = msgspec.structs.replace(request, model=choice.label)
                folder = runs.begin(named_request, common.WAREHOUSE, settings=settings)
                return await _attempt(folder, choice, settings, watchers, sandbox)

    try:
        request.checked()
        if own := config.replaced(request.config):
            output.notice(f"Using your own company in {own}. The built-in one is --config {request.config.lower()}.")
        return _show_end(common.run(work()), output)
    except (ChatDevError, OSError) as error:
        return _show_error(error, output)


def resume(
    run: str,
    label: str | None,
    phase: str | None,
    typed: RunOptions,
    watch_options: WatchOptions,
    *,
    repair: bool = False,
) -> int:
    """Continue an interrupted run, or a new run from one of its phases; returns the exit status. A finished run is only
    shown again. ``repair`` first cuts a damaged log after its last intact record."""
    output = _output(watch_options)

    async def work(folder: Path) -> End:
        records = read(runs.log_of(folder))
        start = runs.started(records, folder)
        settings = runs.settings_for(runs.options_of(records, folder).resumed(typed), load_here())
        sandbox = await levels.chosen(unsafe=watch_options.unsafe, engine=watch_options.engine)
        output.redact = Redactor(settings.secrets).text
        with common.redacting(settings):
            async with (
                watch.watchers(watch_options, settings, output) as watchers,
                chosen(label or start.model, start.task, settings, output.notice) as choice,
            ):
                return await _attempt(folder, choice, settings, watchers, sandbox, typed)

    try:
        folder = runs.find(run, common.WAREHOUSE)
        if repair:
            output.notice(store.repair(runs.log_of(folder)) or "The log is intact. Nothing was cut.")
        if phase is not None:
            folder = runs.fork(folder, phase, common.WAREHOUSE)
            output.notice(f"New run, starting at {phase}: {folder}")
        records = read(runs.log_of(folder))
        if (ended := runs.finished(records)) is not None:
            wiring.deliver(folder, records)
            return _show_end(End(folder, _status(ended.verdict), ended.verdict), output)
        return _show_end(common.run(work(folder)), output)
    except (ChatDevError, OSError) as error:
        return _show_error(error, output)


def _show_error(error: Exception, output: RunOutput) -> int:
    """Print why nothing could be done; returns the exit status."""
    shown_error = error if isinstance(error, ChatDevError) else common.of_system(error)
    output.error(shown_error)
    return shown_error.exit_status


def _output(watch_options: WatchOptions) -> RunOutput:
    return Json() if watch_options.as_json else Text(quiet=watch_options.quiet)


def _status(verdict: str) -> int:
    return 0 if verdict in ("passed", STARTS) else 1


def _show_end(end: End, output: RunOutput) -> int:
    """Print the end of a run; returns the exit status."""
    output.ended(end.folder, end.verdict, end.status)
    return end.status


async def _attempt(
    folder: Path,
    choice: Choice,
    settings: Settings,
    watchers: watch.Watchers,
    sandbox: Sandbox,
    typed: RunOptions = UNTYPED,
) -> End:
    """One attempt at a run, shown while it works."""
    output = watchers.output
    hint = f'Nothing is lost. Continue with: {common.program()} resume "{folder}"'
    redactor = Redactor(settings.secrets)
    debug = DebugLog(folder / runs.HIDDEN / "debug.log", output, redactor.text) if settings.debug else None
    choice.backend.debug = debug
    watchers.begun(read(runs.log_of(folder)))
    try:
        async with watch.server_shown(choice.backend, output):
            reached = await wiring.work(
                folder,
                choice,
                typed,
                listeners=wiring.Listeners(watchers.on_record, output.on_progress),
                sandbox=sandbox,
            )
    except asyncio.CancelledError:
        output.paused()
        output.notice(f"Interrupted. {hint}")
        _clear_cancellation()
        return End(folder, common.INTERRUPTED)
    except (ChatDevError, OSError) as error:
        shown_error = error if isinstance(error, ChatDevError) else common.of_system(error)
        output.paused()
        redactor.error(shown_error)
        output.error(shown_error)
        output.notice(
            f"The log is {runs.log_of(folder)}.\n{hint}" if folder.is_dir() else f"{folder} no longer exists."
        )
        return End(folder, shown_error.exit_status)
    finally:
        output.paused()
        if debug:
            debug.close()
    return End(folder, _status(reached.verdict), reached.verdict)


def _clear_cancellation() -> None:
    """Clear the cancellation: it was handled, and the clean-up that follows must run."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
