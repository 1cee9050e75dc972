"""``chatdev sandbox``: which sandbox levels this machine supports, and a way to run a command in one."""

import sys

import click

_LEVELS = ("bubblewrap", "namespaces", "landlock", "docker", "podman", "process-group")


@click.group(name="sandbox")
def command() -> None:
    """Check the sandbox for generated code, or run a command in it."""


@command.command(name="check")
def check() -> None:
    """Test each sandbox level on this machine.

    Shows which level runs will use. Exit status 2 if none is usable.
    """
    import shutil

    from chatdev.cli import common
    from chatdev.errors import UserError
    from chatdev.sandbox import levels

    engines = [each for each in levels.ENGINES if shutil.which(each)]
    for level in (*levels.LEVELS, *engines):
        finding = levels.tried(level)
        click.echo(f"{level:<12} {f'not usable: {finding.why}' if finding.why else 'usable'}")
    containers = ", ".join(f"--sandbox {each}" for each in engines if not levels.tried(each).why)
    alternatives = f" (also possible: {containers})" if containers else ""
    try:
        best = common.run(levels.best())
    except UserError as error:
        click.echo(f"Runs are refused{alternatives}. {error.do}")
        sys.exit(error.exit_status)
    click.echo(f"Runs use: {best.level}{alternatives}")


@command.command(name="run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option(
    "--level", type=click.Choice(_LEVELS), default=None, help="The sandbox level.  [default: the strongest usable one]"
)
@click.option("--dir", "folder", default=None, metavar="DIR", help="Copy the files of this folder into the sandbox.")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="Time limit.")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND…")
def run(level: str | None, folder: str | None, seconds: float, words: tuple[str, ...]) -> None:
    """Run COMMAND in the sandbox, as a product would run.

    It runs in a disposable folder, with limits. Its exit status is passed on: 128 plus the signal's number if a signal
    ended it, 124 and a message if a limit did.
    """
    from pathlib import Path

    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.product.verdict import read_folder
    from chatdev.sandbox import levels
    from chatdev.sandbox.port import Job, Limits
    from chatdev.views.text import clean

    try:
        files = read_folder(Path(folder)) if folder is not None else {}
        sandbox = levels.at(level.replace("-", " ")) if level else common.run(levels.best())
        stdin = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
        outcome = common.run(sandbox.run(Job(words, files, stdin=stdin, limits=Limits(seconds=seconds))))
    except ChatDevError as error:
        common.fail(error)
    for text, stream in ((outcome.stdout, sys.stdout), (outcome.stderr, sys.stderr)):
        # A pipe or a file gets exactly what was printed.
        stream.write(clean(text) if stream.isatty() else text)
        stream.flush()
    if outcome.stopped == "starved":
        common.say(f"Gave up after {outcome.seconds:.1f} s: the machine was too busy to run it.")
    elif outcome.stopped:
        common.say(f"Stopped by the {outcome.stopped} limit after {outcome.seconds:.1f} s.")
    if outcome.stopped:
        sys.exit(124)
    sys.exit(128 + outcome.signal if outcome.signal is not None else outcome.exit_status)
