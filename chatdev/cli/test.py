"""``chatdev test``: judge any folder again."""

import sys

import click

from chatdev.cli.options import sandbox_options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path

    from chatdev.sandbox.port import Sandbox


@click.command(name="test")
@click.argument("folder")
@click.option("--json", "as_json", is_flag=True, help='Print JSON: {"verdict": …, "tests": […], "why": …}.')
@click.option("--install", is_flag=True, help="First install requirements.txt, for this product only.")
@click.option("--yes", is_flag=True, help="Install known packages without asking; others need --allow.")
@click.option(
    "--allow", multiple=True, metavar="NAME", help="Install NAME although it is not a known package. Repeatable."
)
@sandbox_options
def command(
    folder: str, as_json: bool, install: bool, yes: bool, allow: tuple[str, ...], unsafe: bool, engine: str
) -> None:
    """Judge a product again: start it and run its tests.

    FOLDER is any folder with a program, or a run. Exit status: 0 if the verdict is passed, 1 for any other verdict.
    """
    from pathlib import Path

    import msgspec

    from chatdev import runs
    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.product import verdict
    from chatdev.sandbox import levels
    from chatdev.views.json_lines import fit
    from chatdev.views.text import clean

    try:
        path = Path(folder) if Path(folder).is_dir() else runs.find(folder, common.WAREHOUSE)
        sandbox = common.run(levels.chosen(unsafe=unsafe, engine=engine))
        python = _install(sandbox, path, yes, allow) if install else ""
        judgement = common.run(verdict.judge_folder(sandbox, path, python))
    except ChatDevError as error:
        common.fail(error)
    if as_json:
        click.echo(msgspec.json.encode(fit(judgement.as_dict())).decode())
    else:
        common.echo(clean(judgement.text()))
    sys.exit(0 if judgement.verdict == "passed" else 1)


def _install(sandbox: "Sandbox", folder: "Path", yes: bool, allow: tuple[str, ...]) -> str:
    """Install the product's packages if the user agrees; returns the interpreter that has them, empty for our own."""
    from chatdev.cli import common
    from chatdev.project import environment
    from chatdev.sandbox.environment import install
    from chatdev.settings.others import load_pip

    environment_folder, requirements = environment.place(folder), environment.wanted(folder)
    for line in requirements.dropped:
        common.say(f"requirements.txt, skipped: {line}")
    if not requirements.lines:
        common.say("requirements.txt lists nothing to install.")
        return ""
    agreed = agreed_lines(requirements.lines, environment_folder, yes, allow)
    return common.run(install(sandbox, environment_folder, agreed, load_pip())) if agreed else ""


def agreed_lines(
    lines: tuple[str, ...], environment_folder: "Path", yes: bool, allow: tuple[str, ...]
) -> tuple[str, ...]:
    """The packages that the user agrees to install: one question for all known ones, one for each other name."""
    from chatdev.cli import common
    from chatdev.product import packages

    known_lines = [line for line in lines if packages.is_listed(line)]
    if (
        known_lines
        and not yes
        and not click.confirm(f"Install {', '.join(known_lines)} into {environment_folder}?", err=True)
    ):
        return ()
    chosen = list(known_lines)
    allowed = packages.requirements("\n".join(allow).encode())
    for line in lines:
        name = packages.requirements(line.encode())[0]
        if line in known_lines:
            continue
        nearest = packages.similar(line)
        hint = f'; did its author mean "{nearest}"?' if nearest else ", so look it up before you trust it."
        warning = f'"{name}" is not a known package{hint}'
        if packages.same(name, allowed):
            chosen.append(line)
        elif yes:
            common.say(f"{warning} Skipped; --allow {name} installs it.")
        elif click.confirm(
            f"{warning} Models invent such names, and attackers register them. Install {line} anyway?", err=True
        ):
            chosen.append(line)
    return tuple(chosen)
