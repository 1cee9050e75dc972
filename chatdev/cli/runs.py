"""``chatdev runs``: the runs in this folder's WareHouse."""

import click


@click.command(name="runs")
def command() -> None:
    """List the runs under WareHouse.

    Shows each run's verdict, or how to resume it.
    """
    from chatdev import runs
    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.journal.store import read
    from chatdev.views import show

    folders = runs.every(common.WAREHOUSE)
    if not folders:
        common.say(f"There are no runs under {common.WAREHOUSE}.")
    for folder in folders:
        try:
            common.echo(show.one_line(folder.name, read(runs.log_of(folder))))
        except ChatDevError as error:
            common.echo(f"{folder.name}: {error.what}")
