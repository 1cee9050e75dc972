"""``chatdev resume``: take an interrupted run to its end."""

import sys

import click

from chatdev.cli import options


@click.command(name="resume")
@click.argument("run")
@click.option("--model", default=None, help="Another model than the run began with. " + options.MODEL_HELP)
@click.option("--role-model", "role_models", multiple=True, metavar="WHO=MODEL", help=options.ROLE_MODEL_HELP)
@click.option("--from", "phase", default=None, metavar="PHASE", help="In a new run: keep only what came before PHASE.")
@click.option("--quiet", is_flag=True, help="Only phases and the verdict.")
def command(run: str, model: str | None, phase: str | None, quiet: bool, role_models: tuple[str, ...]) -> None:
    """Take RUN (a folder, or the beginning of its name) to its end. What was answered is not asked again.

    With --from a new run begins with all that RUN did before a phase, and goes on from there. RUN's copy of its
    company, .chatdev/company, may have been edited in between; RUN itself stays as it is.
    """
    from chatdev import wiring
    from chatdev.cli import common, work
    from chatdev.errors import ChatDevError

    try:
        folder = wiring.find_run(run, common.WAREHOUSE)
        if phase is not None:
            folder = wiring.fork(folder, phase, common.WAREHOUSE)
            common.say(f"A new run from {phase} on: {folder}")
    except ChatDevError as error:
        common.fail(error)
    sys.exit(work.resume(folder, model, quiet=quiet, role_models=role_models))
