"""What ``chatdev eval`` does: read the set and the arms, run what is unfinished, and report."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from chatdev import ownfile, runs
from chatdev.cli import common, options, work
from chatdev.cli.evaluate import EvalOptions
from chatdev.errors import ChatDevError, UserError
from chatdev.evaluation import arms, figures, picture, report, sets
from chatdev.evaluation.place import EvalFolder, EvalStart
from chatdev.evaluation.work import EvalRequest, EvalResources, Evaluation
from chatdev.fleet.plan import BatchPlan
from chatdev.models.spending import SharedCostBudget
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
    plans: list[BatchPlan] = []
    try:
        _arm.main(args=list(words), standalone_mode=False, obj=plans)
    except click.ClickException as error:
        allowed = ", ".join(option.opts[0] for option in _arm.params if isinstance(option, click.Option))
        raise UserError(
            f"--arm {' '.join(words)!r}: {error.format_message()}", do=f"Options of an arm: {allowed}."
        ) from error
    return plans[0]


def run(source: str, eval_options: EvalOptions, base: BatchPlan) -> int:
    """Run an evaluation as far as possible; returns the exit status. Every failure is printed as a plain message."""
    try:
        tasks = sets.load(Path(source))
        parsed_arms = arms.parse(eval_options.arms or arms.DEFAULT, parse_words)
        request = EvalRequest(tasks, parsed_arms, eval_options.repeat, eval_options.ceiling or 0)
        folder = Path(eval_options.out) if eval_options.out else common.WAREHOUSE / f"{tasks.name}_eval"
        with contextlib.closing(EvalFolder(folder)) as eval_folder:
            for note in eval_folder.notes:
                common.say(note)
            return _run_and_conclude(eval_options, eval_folder, request, base)
    except ChatDevError as error:
        common.say(f"Error: {error}")
        return error.exit_status
    except OSError as error:
        shown_error = common.of_system(error)
        common.say(f"Error: {shown_error}")
        return shown_error.exit_status


def _run_and_conclude(eval_options: EvalOptions, eval_folder: EvalFolder, request: EvalRequest, base: BatchPlan) -> int:
    try:
        common.run(_run_arms(eval_options, eval_folder, request, base))
    except SystemExit as stopped:
        common.say("Interrupted. Nothing is lost: run the same command again to continue.")
        return int(stopped.code or 0)
    common.conclude(ownfile.read(eval_folder.folder / "report.md").decode())
    common.say(f"Report: {eval_folder.folder / 'report.md'}, report.json, report.svg")
    return 0


async def _run_arms(eval_options: EvalOptions, eval_folder: EvalFolder, request: EvalRequest, base: BatchPlan) -> None:
    settings = runs.settings_for(base, load_here())
    sandbox = await levels.chosen(unsafe=eval_options.unsafe, engine=eval_options.engine)
    cost_budget = SharedCostBudget(settings.max_cost)
    resources = EvalResources(
        lambda: work.chosen(base.model, None, settings, cost_budget=cost_budget),
        sandbox,
        base,
        sys.stderr,
        eval_options.jobs,
        streamed=eval_options.streamed,
        quiet=eval_options.quiet,
        retry=eval_options.retry,
    )
    with common.redacting(settings):
        evaluation = Evaluation(eval_folder, request, resources)
        await evaluation.run(lambda: _report(eval_folder, request, evaluation))


def _report(eval_folder: EvalFolder, request: EvalRequest, evaluation: Evaluation) -> None:
    """Write the report on the results so far."""
    so_far = figures.report(request, evaluation.built, eval_folder.start or EvalStart("unknown", "undated"))
    for name, text in (
        ("report.json", report.as_json(so_far)),
        ("report.md", report.markdown(so_far)),
        ("report.svg", picture.svg(so_far)),
    ):
        eval_folder.write(name, text.encode())
