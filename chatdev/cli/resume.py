"""``chatdev resume``: continue an interrupted run."""

import sys

import click

from chatdev.cli import options
from chatdev.run_options import FOR_RESUME, RunOptions


@click.command(name="resume")
@click.argument("run")
@click.option("--model", default=None, help="Use another model than the run started with. " + options.MODEL_HELP)
@click.option(
    "--from", "phase", default=None, metavar="PHASE", help="Start a new run that keeps only what came before PHASE."
)
@click.option(
    "--repair", is_flag=True, help="If the log is damaged: continue from the intact records before the damage."
)
@options.run_options(*FOR_RESUME)
@options.watching
def command(
    run: str,
    model: str | None,
    phase: str | None,
    repair: bool,
    typed: RunOptions,
    watch_options: options.WatchOptions,
) -> None:
    """Continue an interrupted run.

    RUN is a folder, or the beginning of its name. Recorded answers are not requested again.

    With --from, a new run starts with everything that RUN did before PHASE and continues from there. You may edit RUN's
    copy of its company, .chatdev/company, before that. RUN itself does not change.

    A new limit replaces the old one. To continue a run that ended at a limit, use --from and a higher limit. A new
    number of --candidates applies to phases that have not begun.
    """
    from chatdev.cli import work

    sys.exit(work.resume(run, model, phase, typed, watch_options, repair=repair))
