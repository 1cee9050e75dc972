"""``chatdev eval``: how many tasks of a set a company solves, compared with one question to the same model."""

import sys
from typing import TYPE_CHECKING

import click

from chatdev.cli import options

if TYPE_CHECKING:
    from chatdev.runs import EndpointPolicy

ARM_HELP = """\
once (one question), best-of-N (the first of N answers that passes the task's examples), or a company with options of
batch, as in --arm "default --candidates 3". Repeatable.  [default: once, best-of-5, default]"""


@click.command(name="eval", epilog=options.ENVIRONMENT)
@click.argument("source", metavar="TASKS")
@click.option("--arm", "typed", multiple=True, metavar="NAME", help=ARM_HELP)
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
@options.limited
@options.reaching
def command(
    source: str,
    typed: tuple[str, ...],
    repeat: int,
    ceiling: int | None,
    retry: bool,
    jobs: int | None,
    out: str | None,
    model: str | None,
    streamed: bool,
    quiet: bool,
    unsafe: bool,
    engine: str,
    limits: options.Limits,
    reach: "EndpointPolicy",
) -> None:
    """Measure how many tasks of a set a company solves.

    Each arm builds every task of TASKS with the same model; hidden test cases that no arm has seen judge the products.
    TASKS is a folder with tasks.jsonl. docs/eval.md explains that file and the report. To continue a stopped
    evaluation, run the same command again.

    --max-cost is for all projects together, the other limits are for each. Exit status of this command: 0 once the
    report is complete, 2 for wrong usage or setup, 130 after Ctrl-C.
    """
    from chatdev.cli import evaluating
    from chatdev.fleet.ledger import BatchPlan

    asked = evaluating.EvalOptions(
        source,
        typed,
        repeat,
        ceiling or 0,
        jobs,
        out,
        retry=retry,
        streamed=streamed,
        quiet=quiet,
        unsafe=unsafe,
        engine=engine,
    )
    sys.exit(evaluating.run(asked, BatchPlan(model=model, limits=limits, reach=reach)))
