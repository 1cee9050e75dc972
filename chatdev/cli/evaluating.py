"""What ``chatdev eval`` does: read the set and the arms, run what is unfinished, and report."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from chatdev import runs
from chatdev.cli import common, options, work
from chatdev.cli.evaluate import EvalOptions
from chatdev.errors import ChatDevError, UserError
from chatdev.evaluation import arms, figures, picture, report, sets
from chatdev.evaluation.place import EvalFolder, EvalStart
from chatdev.evaluation.work import EvalRequest, EvalResources, Evaluation
from chatdev.fleet.plan import BatchPlan
from chatdev.models.cost_budget import SharedCostBudget
from chatdev.run_options import OF_COMPANY, RunOptions
from chatdev.sandbox import levels
from chatdev.settings import load_here


@click.command(name="--arm", add_help_option=False)
@click.argument("config")
@options.run_options(*OF_COMPANY)
@click.pass_context
def _arm(context: click.Context, config: str, typed: RunOptions) -> None:
    """The options of an arm: those of a batch that say how a company works."""
    context.obj.append(BatchPlan(config, **typed.as_fields()))


def parse_words(words: Sequence[str]) -> BatchPlan:
    """The plan that the words of a company's arm describe. Raises UserError."""
    found: list[BatchPlan] = []
    try:
        _arm.main(args=list(words), standalone_mode=False, obj=found)
    except click.ClickException as error:
        known = ", ".join(option.opts[0] for option in _arm.params if isinstance(option, click.Option))
        raise UserError(
            f"--arm {' '.join(words)!r}: {error.format_message()}", do=f"Options of an arm: {known}."
        ) from error
    return found[0]


def run(source: str, asked: EvalOptions, base: BatchPlan) -> int:
    """Run an evaluation as far as possible; returns the exit status. Every failure is printed as a plain message."""
    try:
        tasks = sets.load(Path(source))
        chosen = arms.parse(asked.arms or arms.DEFAULT, parse_words)
        wanted = EvalRequest(tasks, chosen, asked.repeat, asked.ceiling or 0)
        folder = Path(asked.out) if asked.out else common.WAREHOUSE / f"{tasks.name}_eval"
        with contextlib.closing(EvalFolder(folder)) as place:
            for note in place.notes:
                common.say(note)
            return _carried(asked, place, wanted, base)
    except ChatDevError as error:
        common.say(f"Error: {error}")
        return error.exit_status
    except OSError as error:
        told = common.of_system(error)
        common.say(f"Error: {told}")
        return told.exit_status


def _carried(asked: EvalOptions, place: EvalFolder, wanted: EvalRequest, base: BatchPlan) -> int:
    try:
        common.run(_carry(asked, place, wanted, base))
    except SystemExit as stopped:
        common.say("Interrupted. Nothing is lost: run the same command again to continue.")
        return int(stopped.code or 0)
    common.conclude((place.folder / "report.md").read_text(encoding="utf-8"))
    common.say(f"Report: {place.folder / 'report.md'}, report.json, report.svg")
    return 0


async def _carry(asked: EvalOptions, place: EvalFolder, wanted: EvalRequest, base: BatchPlan) -> None:
    settings = runs.settings_for(base, load_here())
    sandbox = await levels.chosen(unsafe=asked.unsafe, engine=asked.engine)
    cost_budget = SharedCostBudget(settings.max_cost)
    means = EvalResources(
        lambda: work.chosen(base.model, None, settings, cost_budget=cost_budget),
        sandbox,
        base,
        sys.stderr,
        asked.jobs,
        streamed=asked.streamed,
        quiet=asked.quiet,
        retry=asked.retry,
    )
    with common.discreet(settings):
        evaluation = Evaluation(place, wanted, means)
        await evaluation.run(lambda: _report(place, wanted, evaluation))


def _report(place: EvalFolder, wanted: EvalRequest, evaluation: Evaluation) -> None:
    """Write the report on the results so far."""
    found = figures.report(wanted, evaluation.built, place.begun or EvalStart("unknown", "undated"))
    for name, text in (
        ("report.json", report.as_json(found)),
        ("report.md", report.markdown(found)),
        ("report.svg", picture.svg(found)),
    ):
        place.write(name, text.encode())
