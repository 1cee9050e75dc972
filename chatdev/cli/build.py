"""``chatdev build``: from a task to a tested product."""

import sys
from typing import TYPE_CHECKING

import click

from chatdev.cli import options

if TYPE_CHECKING:
    from chatdev.company.graph import Network
    from chatdev.runs import EndpointPolicy


@click.command(name="build", epilog=options.ENVIRONMENT)
@click.argument("task")
@click.option("--name", required=True, help="The product's name; the folder name starts with it.")
@click.option(
    "--org", default="DefaultOrganization", show_default=True, help="An organization name, used in the folder name."
)
@click.option(
    "--config", default="default", show_default=True, help="The company that does the work: a name or a folder."
)
@click.option("--model", default=None, help=options.MODEL_HELP)
@click.option("--role-model", "role_models", multiple=True, metavar="ROLE=MODEL", help=options.ROLE_MODEL_HELP)
@click.option("--path", default="", help="Existing code to extend. Not supported yet.")
@options.limited
@options.racing
@options.fitted
@options.networked
@options.reaching
@options.watching
def command(
    task: str,
    name: str,
    org: str,
    config: str,
    model: str | None,
    role_models: tuple[str, ...],
    path: str,
    limits: options.Limits,
    candidates: int,
    fit: options.CompanyFit,
    network: "Network | None",
    reach: "EndpointPolicy",
    how: options.WatchOptions,
) -> None:
    """Build the product that TASK describes.

    TASK is a text such as "create a calculator". "-" reads it from standard input, "@FILE" from a file. The result is
    in WareHouse/NAME_ORG_TIMESTAMP; read REPORT.md first.
    """
    options.refuse_path(path)
    task = options.read_task(task)
    from chatdev.cli import work
    from chatdev.runs import RunRequest

    order = RunRequest(
        task=task,
        name=name,
        org=org,
        config=config,
        role_models=role_models,
        limits=limits,
        reach=reach,
        candidates=candidates,
        network=network,
        effort=fit.effort,
        settings=fit.settings,
    )
    sys.exit(work.build(order, model, how))
