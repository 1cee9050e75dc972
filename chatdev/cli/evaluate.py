"""``chatdev eval``: how many tasks of a set a company solves, compared with one question to the same model."""

import sys
from typing import NamedTuple

import click

from chatdev.cli import options
from chatdev.run_options import OF_ENDPOINTS, RunOptions

ARM_HELP = """\
once (one question), best-of-N (the first of N answers that passes the task's examples), or a company with options of
batch, as in --arm "default --candidates 3". Repeatable.  [default: once, best-of-5, default]"""


class EvalOptions(NamedTuple):
    """The options of an evaluation. ``arms`` are names with options; ``ceiling`` and ``jobs`` are None if not typed."""

    arms: tuple[str, ...] = ()
    repeat: int = 1
    ceiling: int | None = None
    jobs: int | None = None
    out: str | None = None
    retry: bool = False
    streamed: bool = False
    quiet: bool = False
    unsafe: bool = False
    engine: str = ""


@click.command(name="eval", epilog=options.ENVIRONMENT)
@click.argument("source", metavar="TASKS")
@click.option("--arm", "arms", multiple=True, metavar="NAME", help=ARM_HELP)
@click.option("--repeat", type=click.IntRange(1, 99), default=1, show_default=True, help="Build each task N times.")
@click.option(
    "--ceiling",
    type=click.IntRange(2, 99),
    help="Report how many tasks at least one of N one-shot answers solves.  [default: the largest best-of-N]",
)
@click.option("--retry-errors", "retry", is_flag=True, help="Retry the runs that ended in an error.")
@click.option(
    "--jobs", type=click.IntRange(min=1), help="Projects in parallel. Default: as many as the server can handle."
)
@click.option("--out", default=None, metavar="DIR", help="The evaluation's folder.  [default: WareHouse/SET_eval]")
@click.option("--model", default=None, help=options.MODEL_HELP)
@click.option("--stream", "streamed", is_flag=True, help="Stream answers: deadlines per token, but more CPU time.")
@click.option("--quiet", is_flag=True, help="Print only the report.")
@options.sandbox_options
@options.gathered(EvalOptions, "evaluation")
@options.run_options("limits", *OF_ENDPOINTS)
def command(
    source: str,
    model: str | None,
    evaluation: EvalOptions,
    typed: RunOptions,
) -> None:
    """Measure how many tasks of a set a company solves.

    Each arm builds every task of TASKS with the same model; hidden test cases that no arm has seen judge the products.
    TASKS is a folder with tasks.jsonl. docs/eval.md explains that file and the report. To continue a stopped
    evaluation, run the same command again.

    --max-cost is for all projects together, the other limits are for each. Exit status of this command: 0 once the
    report is complete, 2 for wrong usage or setup, 130 after Ctrl-C.
    """
    from chatdev.cli import evaluating
    from chatdev.fleet.plan import BatchPlan

    sys.exit(evaluating.run(source, evaluation, BatchPlan(model=model, **typed.as_fields())))
