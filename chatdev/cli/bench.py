"""``chatdev bench``: the user's endpoints side by side, measured."""

import sys
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chatdev.ops.bench.workload import Workload


@click.command(name="bench")
@click.argument("endpoints", nargs=-1, metavar="[ENDPOINT]...")
@click.option("--run", "run", default=None, metavar="RUN", help="A run of yours whose requests are asked.")
@click.option("--levels", default="1,8,32", show_default=True, help="How many projects are in flight.")
@click.option("--seconds", default=60.0, show_default=True, help="Time for each level, at most.")
@click.option(
    "--projects", default=None, type=click.IntRange(1), help="End each place in flight after so many projects."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a Markdown table.")
@click.option("--markdown", "markdown_file", default=None, metavar="FILE", help="Save the Markdown table.")
@click.option("--svg", "svg_file", default=None, metavar="FILE", help="Save a picture.")
@click.option("--yes", is_flag=True, help="Do not ask before measuring an endpoint that takes money.")
def command(
    endpoints: tuple[str, ...],
    run: str | None,
    levels: str,
    seconds: float,
    projects: int | None,
    as_json: bool,
    markdown_file: str | None,
    svg_file: str | None,
    yes: bool,
) -> None:
    """Measure each ENDPOINT on the company's own prompts: latency, tokens/s, errors, cache hits, cost.

    ENDPOINT is a URL (localhost:8001 will do), URL=MODEL for one of several models, or openai:NAME. Without any,
    VLLM_ENDPOINT is measured, or if it is not set, every server found on this machine. docs/bench.md says what the
    figures mean.

    Exit status: 0 if all endpoints were measured, 1 if some were, 2 if none was, or for wrong usage.
    """
    from pathlib import Path

    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.ops.bench import contenders, picture, report
    from chatdev.ops.bench.measure import Plan
    from chatdev.ops.bench.run import bench
    from chatdev.settings import load_here

    async def measure(plan: Plan) -> report.Report:
        settings = load_here()
        named = endpoints or await contenders.unnamed(settings)
        whom = [contenders.contender(text, settings) for text in named]
        for each in whom if settings.debug else ():
            each.backend.debug = common.say
        return await bench(whom, await _workload(run), plan, tell=common.say, agree=lambda costs: _agree(costs, yes))

    plan = Plan(_levels(levels), _positive(seconds), projects)
    targets = [Path(name) for name in (markdown_file, svg_file) if name]
    _writable(targets)
    try:
        came = common.run(measure(plan))
        common.conclude(report.as_json(came) if as_json else report.markdown(came))
        if markdown_file:
            _save(Path(markdown_file), report.markdown(came) + "\n")
        if svg_file:
            _save(Path(svg_file), picture.svg(came))
    except ChatDevError as error:
        common.fail(error)
    sys.exit(came.exit_status)


async def _workload(run: str | None) -> "Workload":
    from chatdev import runs
    from chatdev.cli import common
    from chatdev.ops.bench import workload

    return workload.of_run(runs.find(run, common.WAREHOUSE)) if run else await workload.shipped()


def _levels(text: str) -> tuple[int, ...]:
    """The numbers of ``1,8,32``. Raises click.UsageError."""
    try:
        levels = tuple(int(number) for number in text.split(","))
    except ValueError:
        levels = ()
    if not levels or not all(1 <= level <= 1024 for level in levels):
        raise click.UsageError("--levels takes numbers from 1 to 1024 with commas between, such as 1,8,32.")
    return levels


def _positive(seconds: float) -> float:
    if not seconds > 0:
        raise click.UsageError("--seconds takes a number above 0.")
    return seconds


def _agree(costs: "Sequence[str]", yes: bool) -> None:
    """Ask whether what an endpoint charges shall be spent. Raises UserError if nobody says so."""
    from chatdev.cli import common
    from chatdev.errors import UserError

    for line in costs:
        common.say(line)
    if not costs or yes:
        return
    if not sys.stdin.isatty():
        raise UserError(
            "Measuring may cost what is said above, and nobody is at the terminal to agree.",
            do="Add --yes to agree, --levels 1 to spend less, or leave the endpoint out.",
        )
    if not click.confirm("Spend that?", err=True):
        raise UserError("Nothing was measured.", do="--levels 1 spends less.")


def _writable(paths: "Sequence[Path]") -> None:
    """Tell before minutes of measuring that their result could not be saved. Raises click.UsageError."""
    for path in paths:
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise click.UsageError(f"{path} cannot be written: it is a folder, or the folder it names is not there.")


def _save(path: "Path", text: str) -> None:
    from chatdev.errors import UserError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from error
