"""``chatdev batch``: many projects in parallel, from a file of tasks."""

import sys
from typing import TYPE_CHECKING

import click

from chatdev.cli import options

if TYPE_CHECKING:
    from chatdev.company.graph import Network
    from chatdev.runs import EndpointPolicy


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
@click.option("--role-model", "role_models", multiple=True, metavar="ROLE=MODEL", help=options.ROLE_MODEL_HELP)
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
@options.limited
@options.racing
@options.fitted
@options.networked
@options.reaching
def command(
    source: str,
    jobs: int | None,
    limit: int | None,
    where: tuple[str, ...],
    retry: bool,
    out: str | None,
    org: str | None,
    config: str | None,
    model: str | None,
    role_models: tuple[str, ...],
    streamed: bool | None,
    ray: str | None,
    quiet: bool,
    unsafe: bool,
    engine: str,
    limits: options.Limits,
    candidates: int,
    fit: options.CompanyFit,
    network: "Network | None",
    reach: "EndpointPolicy",
) -> None:
    """Build many projects in parallel from a file of tasks.

    TASKS is a CSV or JSONL file with the columns task (or Description) and name. To continue a stopped batch, run the
    same command again or pass the folder BATCH instead: finished projects are kept, interrupted ones are resumed.

    --max-cost is for all projects together, the other limits are for each. Exit status: 0 if every project passed, 1
    if not; 2 and 130 as below.
    """
    from chatdev.cli import batching
    from chatdev.fleet.ledger import BatchPlan

    asked = batching.BatchOptions(
        source,
        out,
        jobs,
        limit,
        where,
        ray,
        retry=retry,
        streamed=streamed,
        quiet=quiet,
        unsafe=unsafe,
        engine=engine,
    )
    typed = BatchPlan(config or "", org or "", model, role_models, limits, reach, candidates, network, *fit)
    sys.exit(batching.run(asked, typed))
