"""``chatdev show``: the contents of a run's log."""

import click


@click.command(name="show")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(run: str, as_json: bool) -> None:
    """Show a run: verdict, phases, conversations, files, tokens.

    RUN is a folder, or the beginning of its name.
    """
    import msgspec

    from chatdev import runs
    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.journal.store import read
    from chatdev.views import show

    try:
        records = read(runs.log_of(runs.find(run, common.WAREHOUSE)))
    except ChatDevError as error:
        common.fail(error)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(show.as_json(records)), indent=2).decode())
    else:
        click.echo(show.render(records))
