"""What ``chatdev batch`` does: find the batch, run its unfinished projects, and report the result."""

import contextlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from chatdev import runs
from chatdev.cli import common, work
from chatdev.cli.batch import BatchOptions
from chatdev.cli.run_output import DebugLog, Text
from chatdev.errors import ChatDevError, UserError
from chatdev.fleet import batch, summary, tasks
from chatdev.fleet.cluster import Cluster
from chatdev.fleet.display import Display
from chatdev.fleet.engine import RayEngine
from chatdev.fleet.ledger import BatchTask, Ledger
from chatdev.fleet.node import NodeSetup
from chatdev.fleet.plan import BatchPlan, plan_of
from chatdev.fleet.pool import PoolStatus
from chatdev.models.choose import assignments
from chatdev.models.spending import SharedCostBudget
from chatdev.redaction import Redactor
from chatdev.sandbox import levels
from chatdev.settings import Settings, load_here


def run(source: str, options: BatchOptions, typed: BatchPlan) -> int:
    """Run a batch as far as possible; returns the exit status. Every failure is printed as a plain message."""
    try:
        folder, rows = _located(Path(source), options.out)
        plan = typed.continuing(plan_of(folder) or BatchPlan())
        assignments(plan.role_models)
        with contextlib.closing(Ledger(folder, plan)) as ledger:
            for note in ledger.notes:
                common.say(note)
            named_rows = tasks.identities(rows) if rows else [(each.id, each.row) for each in ledger.tasks.values()]
            selected = ledger.add(tasks.where(named_rows, options.where)[: options.limit])
            if options.retry:
                ledger.retry(task.id for task in selected)
            status = _run_unfinished(options, ledger, selected)
            _show_summary(ledger, selected, options)
            return status
    except ChatDevError as error:
        return _show_error(error)
    except OSError as error:
        return _show_error(common.of_system(error))


def _located(source: Path, out: str | None) -> tuple[Path, tuple[tasks.TaskRow, ...]]:
    """The batch's folder, and the rows of the file if a file was given. Raises UserError."""
    if source.is_dir():
        if plan_of(source) is None:
            raise UserError(
                f"{source} is a folder, but not a batch.", do="Name a CSV or JSONL file, or a batch's folder."
            )
        return source, ()
    rows = tasks.read(source)
    return Path(out) if out else common.WAREHOUSE / f"{source.stem}_batch", rows


def _show_error(error: ChatDevError) -> int:
    common.say(f"Error: {error}")
    return error.exit_status


def _run_unfinished(options: BatchOptions, ledger: Ledger, selected: Sequence[BatchTask]) -> int:
    """Run the unfinished projects; returns the exit status. Errors that need a person are printed."""
    unfinished = ledger.unfinished(selected)
    if unfinished:
        try:
            common.run((_run_on_cluster if options.ray else _run_here)(options, ledger, selected, unfinished))
        except SystemExit as stopped:
            common.say("Interrupted. Nothing is lost.")
            return int(stopped.code or 0)
        except ChatDevError as error:
            return _show_error(error)
    return 0 if all(ledger.results[task.id].status == "passed" for task in selected) else 1


async def _run_here(
    options: BatchOptions, ledger: Ledger, selected: Sequence[BatchTask], unfinished: Sequence[BatchTask]
) -> None:
    plan = ledger.plan
    settings = runs.settings_for(plan, load_here())
    sandbox = await levels.chosen(unsafe=options.unsafe, engine=options.engine)
    cost_budget = SharedCostBudget(settings.max_cost)
    with common.redacting(settings):
        async with (
            work.chosen(plan.model, None, settings, cost_budget=cost_budget) as choice,
            batch.pooled(ledger.batch_folder, choice, sandbox, options.jobs, streamed=options.streamed) as pool,
        ):
            for note in choice.notes:
                common.say(note)
            display = _display(options, ledger, selected, lambda: pool.status)
            debug = _debug(ledger, settings) if settings.debug else None
            choice.backend.debug = debug
            try:
                await batch.run_projects(pool, ledger, unfinished, display.ended, display.tick)
            finally:
                display.close()
                if debug:
                    debug.close()


async def _run_on_cluster(
    options: BatchOptions, ledger: Ledger, selected: Sequence[BatchTask], unfinished: Sequence[BatchTask]
) -> None:
    plan = ledger.plan
    if (plan.model or "").upper() == work.DEMO:
        raise UserError("DEMO plays its recordings in one process.", do="Leave --ray out, or name a server.")
    settings = runs.settings_for(plan, load_here())
    code, shared_before = ledger.share()
    setup = NodeSetup(
        folder=ledger.folder.resolve(),
        code=code,
        plan=plan,
        settings=settings,
        jobs=options.jobs,
        endpoints_typed=bool(plan.endpoints),
        streamed=options.streamed,
        unsafe=options.unsafe,
        engine=options.engine,
    )
    if shared_before:  # an earlier process may still be working on them
        unfinished = [ledger.reassign(task) for task in unfinished]
    engine = await RayEngine.joined(options.ray or "auto")
    try:
        cluster = Cluster(engine, ledger, setup, common.say)
        display = _display(options, ledger, selected, lambda: cluster.status)
        try:
            await batch.run_projects(cluster, ledger, unfinished, display.ended, display.tick)
        finally:
            display.close()
    finally:
        await engine.close()


def _display(
    options: BatchOptions, ledger: Ledger, selected: Sequence[BatchTask], status: Callable[[], PoolStatus]
) -> Display:
    earlier = [ledger.results[task.id] for task in selected if task.id in ledger.results]
    return Display(sys.stderr, len(selected), earlier, status, quiet=options.quiet)


def _debug(ledger: Ledger, settings: Settings) -> DebugLog:
    """All traffic of the batch in one file: on the terminal, the traffic of parallel projects would be unreadable."""
    path = ledger.folder / ".batch" / "debug.log"
    common.say(f"Requests and answers are logged to {path}")
    return DebugLog(path, Text(quiet=True), Redactor(settings.secrets).text)


def _show_summary(ledger: Ledger, selected: Sequence[BatchTask], options: BatchOptions) -> None:
    """Write the summary, and print where the files are and how to continue."""
    results = [ledger.results[task.id] for task in selected if task.id in ledger.results]
    path = summary.write(ledger.folder, ledger.results.values(), len(ledger.tasks))
    lines = [summary.headline(results, len(selected)), f"Summary: {path}", f"Results: {ledger.folder / 'results.csv'}"]
    if len(results) < len(selected):
        lines.append(f'Continue with: {common.program()} batch "{ledger.folder}"')
    elif any(each.status != "passed" for each in results):
        lines.append(f'Retry what did not pass with: {common.program()} batch "{ledger.folder}" --retry-failed')
    common.conclude("\n".join(lines))
