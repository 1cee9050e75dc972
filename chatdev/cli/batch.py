"""``chatdev batch``: many projects in parallel, from a file of tasks."""

import sys
from typing import NamedTuple

import click

from chatdev.cli import options
from chatdev.run_options import RunOptions


class BatchOptions(NamedTuple):
    """Options that are not part of a batch's plan. ``jobs`` is None for as many as the server can handle."""

    out: str | None = None
    jobs: int | None = None
    limit: int | None = None
    where: tuple[str, ...] = ()
    ray: str | None = None
    retry: bool = False
    streamed: bool | None = None
    quiet: bool = False
    unsafe: bool = False
    engine: str = ""


@click.command(name="batch", epilog=options.ENVIRONMENT)
@click.argument("source", metavar="TASKS|BATCH")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Projects in parallel (with --ray: per node). Default: as many as the server can handle.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Build only the first N rows, after --where.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Build only rows with this value. Repeatable.")
@click.option("--retry-failed", "retry", is_flag=True, help="Retry the projects that did not pass.")
@click.option("--out", default=None, metavar="DIR", help="The batch's folder.  [default: WareHouse/FILE_batch]")
@click.option("--org", default=None, help="An organization name, used in folder names.  [default: DefaultOrganization]")
@click.option("--config", default=None, help="The company that does the work: a name or a folder.  [default: default]")
@click.option("--model", default=None, help=options.MODEL_HELP)
@click.option(
    "--stream/--no-stream",
    "streamed",
    default=None,
    help="Stream answers, or receive them whole. Default: stream while the server is slow.",
)
@click.option(
    "--ray", "ray", default=None, metavar="ADDRESS|auto", help="Run the projects on the nodes of a Ray cluster."
)
@click.option("--quiet", is_flag=True, help="Print only the result.")
@options.sandbox_options
@options.gathered(BatchOptions, "batch")
@options.run_options()
def command(
    source: str,
    org: str | None,
    config: str | None,
    model: str | None,
    batch: BatchOptions,
    typed: RunOptions,
) -> None:
    """Build many projects in parallel from a file of tasks.

    TASKS is a CSV or JSONL file with the columns task (or Description) and name. To continue a stopped batch, run the
    same command again or pass the folder BATCH instead: finished projects are kept, interrupted ones are resumed.

    --max-cost is for all projects together, the other limits are for each. Exit status: 0 if every project passed, 1
    if not; 2 and 130 as below.
    """
    from chatdev.cli import batching
    from chatdev.fleet.plan import BatchPlan

    plan = BatchPlan(config or "", org or "", model, **typed.as_fields())
    sys.exit(batching.run(source, batch, plan))
