"""``chatdev show``: the contents of a run's log, or what is added to it."""

import sys
from pathlib import Path

import click


@click.command(name="show")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print JSON; with --follow, one object for each record.")
@click.option("--follow", is_flag=True, help="Print what happens as it happens, until the run finishes or Ctrl-C.")
def command(run: str, as_json: bool, follow: bool) -> None:
    """Show a run: verdict, phases, conversations, files, tokens.

    RUN is a folder, or the beginning of its name.

    With --follow, print each record of the log, those that it already holds first, while another process works on the
    run. If that process stops, --follow waits for a resume. At the end of the run it prints the verdict and the totals.
    """
    import msgspec

    from chatdev import runs
    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.journal.store import read
    from chatdev.views import show

    try:
        if follow:
            _follow(_log(run, common.WAREHOUSE), as_json)
            return
        records = read(runs.log_of(runs.find(run, common.WAREHOUSE)))
    except ChatDevError as error:
        common.fail(error)
    except KeyboardInterrupt:
        sys.exit(common.INTERRUPTED)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(show.as_json(records)), indent=2).decode())
    else:
        common.echo(show.render(records))


def _log(run: str, warehouse: Path) -> Path:
    """The log of a run, or of a run that is just being created in this folder. Raises UserError."""
    from chatdev import runs

    log = runs.log_of(Path(run))
    return log if log.parent.is_dir() else runs.log_of(runs.find(run, warehouse))


def _follow(log: Path, as_json: bool) -> None:
    """Print records until the run is finished. Raises JournalError."""
    from chatdev.cli import common
    from chatdev.journal.events import RunFinished
    from chatdev.journal.store import Record, follow
    from chatdev.views import json_lines, show

    records: list[Record] = []
    for record in follow(log, stop=lambda: any(isinstance(each.event, RunFinished) for each in records[-20:])):
        records[record.n - 1 :] = [record]  # after a failed sync, a number comes twice
        for line in [json_lines.of(record)] if as_json else show.course_of(record):
            common.echo(line)
    if not as_json:
        common.echo(show.totals(records))
