"""``chatdev test``: the verdict again, on any folder."""

import sys

import click


@click.command(name="test")
@click.argument("folder")
@click.option("--json", "as_json", is_flag=True, help='As JSON: {"verdict": …, "tests": […], "why": …}.')
def command(folder: str, as_json: bool) -> None:
    """Judge the product in FOLDER (any folder, or a run): start it, run its tests, and say what is true of it."""
    from pathlib import Path

    import msgspec

    from chatdev import wiring
    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.project import verdict
    from chatdev.sandbox.local import LocalSandbox

    try:
        place = Path(folder) if Path(folder).is_dir() else wiring.find_run(folder, common.WAREHOUSE)
        judged = common.run(verdict.judge_folder(LocalSandbox(), place))
    except ChatDevError as error:
        common.fail(error)
    if as_json:
        click.echo(msgspec.json.encode(judged.as_dict()).decode())
    else:
        click.echo(judged.text())
    sys.exit(0 if judged.verdict == "passed" else 1)
