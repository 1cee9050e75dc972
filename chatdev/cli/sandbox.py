"""``chatdev sandbox``: which walls hold on this machine, and any command between them."""

import sys

import click

_LEVELS = ("bubblewrap", "namespaces", "landlock", "docker", "podman", "process-group")


@click.group(name="sandbox")
def command() -> None:
    """The sandbox that programs run in: what holds on this machine, and a try of it."""


@command.command(name="check")
def check() -> None:
    """Try each level on this machine, and say which of them runs will use. Exit status 2 if none holds."""
    import shutil

    from chatdev.cli import common
    from chatdev.errors import UserError
    from chatdev.sandbox import ladder

    engines = [each for each in ladder.ENGINES if shutil.which(each)]
    for level in (*ladder.LEVELS, *engines):
        finding = ladder.tried(level)
        click.echo(f"{level:<12} {f'does not hold: {finding.why}' if finding.why else 'holds'}")
    asked = ", ".join(f"--sandbox {each}" for each in engines if not ladder.tried(each).why)
    also = f" (or, where it is asked for: {asked})" if asked else ""
    try:
        best = common.run(ladder.best())
    except UserError as error:
        click.echo(f"Runs are refused{also}. {error.do}")
        sys.exit(error.exit_status)
    click.echo(f"Runs use: {best.level}{also}")


@command.command(name="run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--level", type=click.Choice(_LEVELS), default=None, help="Instead of the best that holds here.")
@click.option("--dir", "folder", default=None, metavar="DIR", help="A copy of this folder's files is the project.")
@click.option("--seconds", type=click.FloatRange(min=0.1), default=30.0, show_default=True, help="The time limit.")
@click.argument("words", nargs=-1, required=True, metavar="COMMAND…")
def run(level: str | None, folder: str | None, seconds: float, words: tuple[str, ...]) -> None:
    """Run COMMAND as a product is run: in a disposable folder, within limits, between the walls of a level.

    Its exit status is passed on; 128 and the signal's number if one ended it, 124 if a limit did, which is told.
    """
    from pathlib import Path

    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.project.verdict import read_folder
    from chatdev.sandbox import ladder
    from chatdev.sandbox.port import Job, Limits

    try:
        files = read_folder(Path(folder)) if folder is not None else {}
        sandbox = ladder.at(level.replace("-", " ")) if level else common.run(ladder.best())
        stdin = b"" if sys.stdin.isatty() else sys.stdin.buffer.read()
        outcome = common.run(sandbox.run(Job(words, files, stdin=stdin, limits=Limits(seconds=seconds))))
    except ChatDevError as error:
        common.fail(error)
    click.echo(outcome.stdout, nl=False)
    click.echo(outcome.stderr, nl=False, err=True)
    if outcome.stopped == "starved":
        common.say(f"Given up after {outcome.seconds:.1f} s: the machine was too busy to give it its time.")
    elif outcome.stopped:
        common.say(f"Stopped by the {outcome.stopped} limit after {outcome.seconds:.1f} s.")
    if outcome.stopped:
        sys.exit(124)
    sys.exit(128 + outcome.signal if outcome.signal is not None else outcome.exit_status)
