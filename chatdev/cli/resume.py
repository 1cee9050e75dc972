"""``chatdev resume``: take an interrupted run to its end."""

import sys

import click

from chatdev.cli import options


@click.command(name="resume")
@click.argument("run")
@click.option("--model", default=None, help="Another model than the run began with. " + options.MODEL_HELP)
@click.option("--quiet", is_flag=True, help="Only phases and the verdict.")
def command(run: str, model: str | None, quiet: bool) -> None:
    """Take RUN (a folder, or the beginning of its name) to its end. What was answered is not asked again."""
    from chatdev import wiring
    from chatdev.cli import common, work
    from chatdev.errors import ChatDevError

    try:
        folder = wiring.find_run(run, common.WAREHOUSE)
    except ChatDevError as error:
        common.fail(error)
    sys.exit(work.resume(folder, model, quiet=quiet))
