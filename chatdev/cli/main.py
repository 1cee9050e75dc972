"""``chatdev``: one module per command, each imported only when it is used."""

import importlib

import click

import chatdev
from chatdev.cli import plain_errors, prepare

_COMMANDS = {
    "build": "chatdev.cli.build",
    "batch": "chatdev.cli.batch",
    "eval": "chatdev.cli.evaluate",
    "resume": "chatdev.cli.resume",
    "show": "chatdev.cli.show",
    "runs": "chatdev.cli.runs",
    "test": "chatdev.cli.test",
    "parse": "chatdev.cli.parse",
    "doctor": "chatdev.cli.doctor",
    "bench": "chatdev.cli.bench",
    "playback": "chatdev.cli.playback",
    "company": "chatdev.cli.company",
    "sandbox": "chatdev.cli.sandbox",
    "serve": "chatdev.cli.serve",
}


class _Lazy(click.Group):
    """A group that imports a command's module when the command is used or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = importlib.import_module(module).command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(chatdev.__version__, prog_name="chatdev")
def cli() -> None:
    """Build software with a virtual company on your own models: one sentence in, tested software out.

    Set VLLM_ENDPOINT to your model server (default: http://localhost:8000/v1) and check it with "chatdev doctor". Or
    try a build without a model:

        chatdev build "create a calculator" --name Calculator --model DEMO
    """


def main() -> None:
    """The entry point of the console script."""
    prepare()
    with plain_errors():
        cli(prog_name="chatdev")
