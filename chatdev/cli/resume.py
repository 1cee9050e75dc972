"""``chatdev resume``: take an interrupted run to its end."""

import sys
from typing import TYPE_CHECKING

import click

from chatdev.cli import options

if TYPE_CHECKING:
    from chatdev.runs import Reach


@click.command(name="resume")
@click.argument("run")
@click.option("--model", default=None, help="Another model than the run began with. " + options.MODEL_HELP)
@click.option("--role-model", "role_models", multiple=True, metavar="WHO=MODEL", help=options.ROLE_MODEL_HELP)
@click.option("--from", "phase", default=None, metavar="PHASE", help="In a new run: keep only what came before PHASE.")
@click.option("--repair", is_flag=True, help="Of a damaged log: go on from the whole records before the damage.")
@options.limited
@options.racing
@options.reaching
@options.watching
def command(
    run: str,
    model: str | None,
    phase: str | None,
    role_models: tuple[str, ...],
    repair: bool,
    limits: options.Limits,
    candidates: int,
    reach: "Reach",
    how: options.How,
) -> None:
    """Take RUN (a folder, or the beginning of its name) to its end. What was answered is not asked again.

    With --from a new run begins with all that RUN did before a phase, and goes on from there. RUN's copy of its
    company, .chatdev/company, may have been edited in between; RUN itself stays as it is.

    A limit takes the place of the one that was set before. A run that ended at a limit goes on with --from and a higher
    one. Another number of --candidates holds for phases that have not begun.
    """
    from chatdev.cli import work

    sys.exit(work.resume(run, model, phase, how, role_models, limits, reach, candidates, repair=repair))
