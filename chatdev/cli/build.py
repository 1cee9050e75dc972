"""``chatdev build``: from a task to a tested product."""

import sys

import click

from chatdev.cli import options
from chatdev.run_options import RunOptions


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
@click.option("--path", default="", help="Existing code to extend. Not supported yet.")
@options.run_options()
@options.watching
def command(
    task: str,
    name: str,
    org: str,
    config: str,
    model: str | None,
    path: str,
    typed: RunOptions,
    watch_options: options.WatchOptions,
) -> None:
    """Build the product that TASK describes.

    TASK is a text such as "create a calculator". "-" reads it from standard input, "@FILE" from a file. The result is
    in WareHouse/NAME_ORG_TIMESTAMP; read REPORT.md first.
    """
    options.refuse_path(path)
    task = options.read_task(task)
    from chatdev.cli import work
    from chatdev.runs import RunRequest

    request = RunRequest(task, name, org, config, **typed.as_fields())
    sys.exit(work.build(request, model, watch_options))
