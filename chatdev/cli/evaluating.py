"""What ``chatdev eval`` does: read the set and the arms, carry what is left, and report."""

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from chatdev.cli import common, options, work
from chatdev.errors import ChatDevError, UserError
from chatdev.evaluation import arms, figures, picture, report, sets
from chatdev.evaluation.place import Begun, Place
from chatdev.evaluation.work import Means, Wanted, Work
from chatdev.fleet.ledger import Plan
from chatdev.models.purse import SharedPurse
from chatdev.sandbox import ladder
from chatdev.settings import load_here

if TYPE_CHECKING:
    from chatdev.company.graph import Network


class Asked(NamedTuple):
    """What was typed. ``arms`` are names with options; ``ceiling`` is 0, and ``jobs`` None, where nobody said so."""

    source: str
    arms: tuple[str, ...] = ()
    repeat: int = 1
    ceiling: int = 0
    jobs: int | None = None
    out: str | None = None
    retry: bool = False
    streamed: bool = False
    quiet: bool = False
    unsafe: bool = False
    engine: str = ""


@click.command(name="--arm", add_help_option=False)
@click.argument("config")
@click.option("--role-model", "role_models", multiple=True)
@options.limited
@options.racing
@options.fitted
@options.networked
@click.pass_obj
def _arm(
    found: list[Plan],
    config: str,
    role_models: tuple[str, ...],
    limits: options.Limits,
    candidates: int,
    fit: options.Fit,
    network: "Network | None",
) -> None:
    """The options that an arm takes: those of a batch that say how a company works. A new one is added here."""
    found.append(
        Plan(
            config=config,
            role_models=role_models,
            limits=limits,
            candidates=candidates,
            network=network,
            effort=fit.effort,
            settings=fit.settings,
        )
    )


def parse_words(words: Sequence[str]) -> Plan:
    """What a company's arm says, by its words. Raises UserError."""
    found: list[Plan] = []
    try:
        _arm.main(args=list(words), standalone_mode=False, obj=found)
    except click.ClickException as error:
        known = ", ".join(option.opts[0] for option in _arm.params if isinstance(option, click.Option))
        raise UserError(f"--arm {' '.join(words)!r}: {error.format_message()}", do=f"An arm takes: {known}.") from error
    return found[0]


def run(asked: Asked, base: Plan) -> int:
    """Carry an evaluation to its end, or as far as it gets; the exit status. Every failure is said in plain words."""
    try:
        tasks = sets.load(Path(asked.source))
        chosen = arms.parse(asked.arms or arms.DEFAULT, parse_words)
        wanted = Wanted(tasks, chosen, asked.repeat, asked.ceiling)
        folder = Path(asked.out) if asked.out else common.WAREHOUSE / f"{tasks.name}_eval"
        with contextlib.closing(Place(folder)) as place:
            return _carried(asked, place, wanted, base)
    except ChatDevError as error:
        common.say(f"Error: {error}")
        return error.exit_status
    except OSError as error:
        told = common.of_system(error)
        common.say(f"Error: {told}")
        return told.exit_status


def _carried(asked: Asked, place: Place, wanted: Wanted, base: Plan) -> int:
    try:
        common.run(_carry(asked, place, wanted, base))
    except SystemExit as stopped:
        common.say("Interrupted. Nothing is lost: the same command goes on.")
        return int(stopped.code or 0)
    common.conclude((place.folder / "report.md").read_text(encoding="utf-8"))
    common.say(f"Report: {place.folder / 'report.md'}, report.json, report.svg")
    return 0


async def _carry(asked: Asked, place: Place, wanted: Wanted, base: Plan) -> None:
    settings = base.reach.applied(load_here())
    sandbox = await ladder.chosen(unsafe=asked.unsafe, engine=asked.engine)
    purse = SharedPurse(settings.max_cost)
    means = Means(
        lambda: work.chosen(base.model, None, settings, purse=purse),
        sandbox,
        base,
        sys.stderr,
        asked.jobs,
        streamed=asked.streamed,
        quiet=asked.quiet,
        retry=asked.retry,
    )
    with common.discreet(settings):
        evaluation = Work(place, wanted, means)
        await evaluation.run(lambda: _report(place, wanted, evaluation))


def _report(place: Place, wanted: Wanted, evaluation: Work) -> None:
    """Write the report as far as the arms have come."""
    found = figures.report(wanted, evaluation.built, place.begun or Begun("unknown", "undated"))
    for name, text in (
        ("report.json", report.as_json(found)),
        ("report.md", report.markdown(found)),
        ("report.svg", picture.svg(found)),
    ):
        place.write(name, text.encode())
