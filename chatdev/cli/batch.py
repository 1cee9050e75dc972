"""``chatdev batch``: many projects at once, from a file of tasks."""

import sys
from typing import TYPE_CHECKING

import click

from chatdev.cli import options

if TYPE_CHECKING:
    from chatdev.company.graph import Network
    from chatdev.runs import Reach


@click.command(name="batch", epilog=options.ENVIRONMENT)
@click.argument("source", metavar="TASKS|BATCH")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Projects at once (with --ray, on each node); else as many as the server bears.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many, after --where.")
@click.option("--where", multiple=True, metavar="COLUMN=VALUE", help="Only rows like this; may be given several times.")
@click.option("--retry-failed", "retry", is_flag=True, help="Take up anew what did not pass.")
@click.option("--out", default=None, metavar="DIR", help="The batch's folder  [WareHouse/FILE_batch]")
@click.option("--org", default=None, help="The organization's name  [DefaultOrganization]")
@click.option("--config", default=None, help="The company: a name, or a folder  [default]")
@click.option("--model", default=None, help=options.MODEL_HELP)
@click.option("--role-model", "role_models", multiple=True, metavar="WHO=MODEL", help=options.ROLE_MODEL_HELP)
@click.option(
    "--stream/--no-stream",
    "streamed",
    default=None,
    help="Have answers streamed, or whole; else they are streamed while the server is slow.",
)
@click.option("--ray", "ray", default=None, metavar="ADDRESS|auto", help="Carry the projects on a Ray cluster's nodes.")
@click.option("--quiet", is_flag=True, help="Only how it ended.")
@options.walled
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
    fit: options.Fit,
    network: "Network | None",
    reach: "Reach",
) -> None:
    """Build every project of TASKS, a CSV or JSONL file with the columns task (or Description) and name.

    The same command again, or the BATCH's folder in place of TASKS, goes on: what has ended stays, what was interrupted
    goes on from its log. --max-cost is for all projects together, the other limits are for each.
    """
    from chatdev.cli import batching
    from chatdev.fleet.ledger import Plan

    asked = batching.Asked(
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
    typed = Plan(config or "", org or "", model, role_models, limits, reach, candidates, network, *fit)
    sys.exit(batching.run(asked, typed))
