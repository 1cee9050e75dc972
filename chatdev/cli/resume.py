"""``chatdev resume``: take an interrupted run to its end."""

import sys

import click

from chatdev.cli import options


@click.command(name="resume")
@click.argument("run")
@click.option("--model", default=None, help="Another model than the run began with. " + options.MODEL_HELP)
@click.option("--role-model", "role_models", multiple=True, metavar="WHO=MODEL", help=options.ROLE_MODEL_HELP)
@click.option("--from", "phase", default=None, metavar="PHASE", help="In a new run: keep only what came before PHASE.")
@options.watching
def command(run: str, model: str | None, phase: str | None, role_models: tuple[str, ...], how: options.How) -> None:
    """Take RUN (a folder, or the beginning of its name) to its end. What was answered is not asked again.

    With --from a new run begins with all that RUN did before a phase, and goes on from there. RUN's copy of its
    company, .chatdev/company, may have been edited in between; RUN itself stays as it is.
    """
    from chatdev.cli import work

    sys.exit(work.resume(run, model, phase, how, role_models))
