"""``run.py``: the flags and defaults of ChatDev 1.0."""

import sys

import click

from chatdev.cli import options, plain_errors, prepare
from chatdev.run_options import RunOptions


@click.command(context_settings={"help_option_names": ["-h", "--help"]}, epilog=options.ENVIRONMENT)
@click.option(
    "--config", default="Default", show_default=True, help="The company that does the work: a name or a folder."
)
@click.option(
    "--org", default="DefaultOrganization", show_default=True, help="An organization name, used in the folder name."
)
@click.option(
    "--task",
    default="Develop a basic Gomoku game.",
    show_default=True,
    help='What to build. "-" reads the task from standard input, "@FILE" from a file; "@@…" is a text with an @.',
)
@click.option("--name", default="Gomoku", show_default=True, help="The product's name; the folder name starts with it.")
@click.option("--model", default=None, help=options.MODEL_HELP)
@click.option("--path", default="", help="Existing code to extend. Not supported yet.")
@options.run_options()
@options.watching
def command(
    config: str,
    org: str,
    task: str,
    name: str,
    model: str | None,
    path: str,
    typed: RunOptions,
    watch_options: options.WatchOptions,
) -> None:
    """Build software with a virtual company on your own models: one sentence in, tested software out.

    The result is in WareHouse/NAME_ORG_TIMESTAMP; read REPORT.md first. To see it work without a model:

    \b
      python3 run.py --task "create a calculator" --name Calculator --model DEMO
    """
    options.refuse_path(path)
    task = options.read_task(task)
    from chatdev.cli import work
    from chatdev.runs import RunRequest

    request = RunRequest(task, name, org, config, **typed.as_fields())
    sys.exit(work.build(request, model, watch_options))


def main() -> None:
    """The entry point of ``run.py``."""
    prepare()
    with plain_errors():
        command(prog_name="run.py")
