"""``chatdev eval``: how many tasks of a set a company solves, beside one question to the same model."""

import sys
from typing import TYPE_CHECKING

import click

from chatdev.cli import options

if TYPE_CHECKING:
    from chatdev.runs import Reach

ARM_HELP = """\
once (one question), best-of-N (the first of N answers that holds the examples), or a company with options of batch, as
in --arm "default --candidates 3". May be given several times.  [once, best-of-5, default]"""


@click.command(name="eval", epilog=options.ENVIRONMENT)
@click.argument("source", metavar="TASKS")
@click.option("--arm", "typed", multiple=True, metavar="NAME", help=ARM_HELP)
@click.option("--repeat", type=click.IntRange(1, 99), default=1, show_default=True, help="Build each task so often.")
@click.option(
    "--ceiling",
    type=click.IntRange(2, 99),
    help="Tell how many tasks any of so many one-shot answers solves  [as many as the largest best-of-N takes]",
)
@click.option("--retry-errors", "retry", is_flag=True, help="Take up anew the runs that ended in an error.")
@click.option("--jobs", type=click.IntRange(min=1), help="Projects at once; else as many as the server bears.")
@click.option("--out", default=None, metavar="DIR", help="The evaluation's folder  [WareHouse/SET_eval]")
@click.option("--model", default=None, help=options.MODEL_HELP)
@click.option("--stream", "streamed", is_flag=True, help="Have answers streamed: deadlines per token, for more CPU.")
@click.option("--quiet", is_flag=True, help="Only the report.")
@options.walled
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
    reach: "Reach",
) -> None:
    """Build every task of TASKS by each arm at one model, and judge what is delivered by cases that no arm has seen.

    TASKS is a folder with tasks.jsonl: docs/eval.md says what is in it, and what the report means. The same command
    again goes on where it was stopped. --max-cost is for all projects together, the other limits are for each.

    Exit status: 0 once the report is whole, 2 for usage or set-up, 130 after Ctrl-C.
    """
    from chatdev.cli import evaluating
    from chatdev.fleet.ledger import Plan

    asked = evaluating.Asked(
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
    sys.exit(evaluating.run(asked, Plan(model=model, limits=limits, reach=reach)))
