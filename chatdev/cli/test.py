"""``chatdev test``: the verdict again, on any folder."""

import sys

import click

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


@click.command(name="test")
@click.argument("folder")
@click.option("--json", "as_json", is_flag=True, help='As JSON: {"verdict": …, "tests": […], "why": …}.')
@click.option("--install", is_flag=True, help="First install what requirements.txt lists, for this product alone.")
@click.option("--yes", is_flag=True, help="Install without asking.")
def command(folder: str, as_json: bool, install: bool, yes: bool) -> None:
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
        judged = common.run(verdict.judge_folder(LocalSandbox(), place, _install(place, yes) if install else ""))
    except ChatDevError as error:
        common.fail(error)
    if as_json:
        click.echo(msgspec.json.encode(judged.as_dict()).decode())
    else:
        click.echo(judged.text())
    sys.exit(0 if judged.verdict == "passed" else 1)


def _install(place: "Path", yes: bool) -> str:
    """Install the product's packages if its user agrees; the interpreter that has them, empty for our own."""
    from chatdev.cli import common
    from chatdev.project import environment
    from chatdev.sandbox.environment import install

    wanted = environment.wanted(place)
    for line in wanted.dropped:
        common.say(f"requirements.txt, not taken: {line}")
    if not wanted.lines:
        common.say("requirements.txt lists nothing to install.")
        return ""
    question = f"Install {', '.join(wanted.lines)} into {place / environment.PLACE}?"
    if not yes and not click.confirm(question, err=True):
        return ""
    return install(place / environment.PLACE, wanted.lines)
