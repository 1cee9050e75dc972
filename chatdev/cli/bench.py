"""``chatdev bench``: measure the user's endpoints side by side."""

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from chatdev.cli import options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from chatdev.ops.bench.workload import Workload


class BenchOutput(NamedTuple):
    """Where the result goes: to the terminal ``as_json`` or as Markdown, and to files."""

    as_json: bool = False
    markdown_file: str | None = None
    svg_file: str | None = None


@click.command(name="bench")
@click.argument("endpoints", nargs=-1, metavar="[ENDPOINT]...")
@click.option("--run", "run", default=None, metavar="RUN", help="Replay the requests of this run of yours.")
@click.option("--levels", default="1,8,32", show_default=True, help="Numbers of parallel projects to measure.")
@click.option("--seconds", default=60.0, show_default=True, help="Maximum time for each level.")
@click.option("--projects", default=None, type=click.IntRange(1), help="Stop each parallel slot after N projects.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a Markdown table.")
@click.option("--markdown", "markdown_file", default=None, metavar="FILE", help="Save the Markdown table.")
@click.option("--svg", "svg_file", default=None, metavar="FILE", help="Save a chart.")
@click.option("--yes", is_flag=True, help="Do not ask before measuring an endpoint that charges money.")
@options.gathered(BenchOutput, "output")
def command(
    endpoints: tuple[str, ...],
    run: str | None,
    levels: str,
    seconds: float,
    projects: int | None,
    output: BenchOutput,
    yes: bool,
) -> None:
    """Compare model servers: latency, tokens/s, errors, cost.

    Sends the prompts of a real run to each ENDPOINT, at several numbers of parallel projects. ENDPOINT is a URL
    (localhost:8001 will do), URL=MODEL for one of several models, or openai:NAME. Default: VLLM_ENDPOINT, or if it is
    not set, every server found on this machine. docs/bench.md explains the figures.

    Exit status: 0 if all endpoints were measured, 1 if some were, 2 if none was, or for wrong usage.
    """
    from pathlib import Path

    from chatdev.cli import common
    from chatdev.errors import ChatDevError
    from chatdev.ops.bench import contenders, picture, report
    from chatdev.ops.bench.measure import BenchPlan
    from chatdev.ops.bench.run import bench
    from chatdev.redaction import Redactor
    from chatdev.settings import load_here

    async def measure(plan: BenchPlan) -> report.BenchReport:
        settings = load_here()
        redactor = Redactor(settings.secrets)
        named = endpoints or await contenders.unnamed(settings)
        measured = [contenders.contender(text, settings) for text in named]
        for each in measured if settings.debug else ():
            each.backend.debug = lambda text: common.say(redactor.text(text))
        result = await bench(
            measured,
            await workload_of(run),
            plan,
            show=lambda text: common.say(redactor.text(text)),
            agree=lambda costs: agree_to_costs(costs, yes),
        )
        return redactor.value(result)

    plan = BenchPlan(_levels(levels), _positive(seconds), projects)
    targets = [Path(name) for name in (output.markdown_file, output.svg_file) if name]
    _writable(targets)
    try:
        result = common.run(measure(plan))
        common.conclude(report.as_json(result) if output.as_json else report.markdown(result))
        if output.markdown_file:
            save(Path(output.markdown_file), report.markdown(result) + "\n")
        if output.svg_file:
            save(Path(output.svg_file), picture.svg(result))
    except ChatDevError as error:
        common.fail(error)
    sys.exit(result.exit_status)


async def workload_of(run: str | None) -> "Workload":
    """The calls to measure with: of a finished run, or of the recording that comes with ChatDev."""
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
        raise click.UsageError("--levels takes comma-separated numbers from 1 to 1024, such as 1,8,32.")
    return levels


def _positive(seconds: float) -> float:
    if not seconds > 0:
        raise click.UsageError("--seconds takes a number above 0.")
    return seconds


def agree_to_costs(costs: "Sequence[str]", yes: bool) -> None:
    """Ask whether to spend what an endpoint charges. Raises UserError without consent."""
    from chatdev.cli import common
    from chatdev.errors import UserError

    for line in costs:
        common.say(line)
    if not costs or yes:
        return
    if not sys.stdin.isatty():
        raise UserError(
            "Measuring may cost the amounts above, and there is no terminal to confirm them.",
            do="Add --yes to confirm, use --levels 1 to spend less, or leave the endpoint out.",
        )
    if not click.confirm("Spend this?", err=True):
        raise UserError("Nothing was measured.", do="--levels 1 spends less.")


def _writable(paths: "Sequence[Path]") -> None:
    """Check before minutes of measuring that the result can be saved. Raises click.UsageError."""
    for path in paths:
        if path.is_dir() or not path.absolute().parent.is_dir():
            raise click.UsageError(f"{path} cannot be written: it is a folder, or its folder does not exist.")


def save(path: "Path", text: str) -> None:
    """Write a result. Raises UserError if the file cannot be written."""
    from chatdev.errors import UserError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}).") from error
