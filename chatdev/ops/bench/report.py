"""A benchmark as Markdown and as JSON."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from chatdev.ops.bench.figures import EndpointFigures, LevelFigures, Spread
from chatdev.ops.bench.measure import BenchPlan
from chatdev.ops.bench.workload import Workload
from chatdev.views.text import code, md

NOTHING = "–"

ROOM = 500
"""The maximum length of a note, in characters."""


class BenchReport(msgspec.Struct, frozen=True):
    """A whole benchmark: its date and version, the workload, and the figures of each endpoint."""

    date: str
    version: str
    workload: str
    calls: int
    tokens: int
    plan: BenchPlan
    endpoints: tuple[EndpointFigures, ...]
    notes: tuple[str, ...]

    @property
    def exit_status(self) -> int:
        """0 if all endpoints were measured, 1 if some were, 2 if none was."""
        measured = sum(endpoint.measured for endpoint in self.endpoints)
        return 0 if measured == len(self.endpoints) else 1 if measured else 2


def notes(workload: Workload, plan: BenchPlan) -> tuple[str, ...]:
    """How the figures were measured; the same for all endpoints."""
    end = "" if plan.projects is None else f" or until each parallel slot has finished {plan.projects} projects"
    alike = sum(not workload.contains_task(call) for call in workload.calls)
    sentences = (
        f"The requests are those of {workload.title}: {len(workload.calls)} calls per project, with "
        f"{workload.tokens:,} completion tokens. Each project has a unique mark before its task, so projects share "
        "only the text before it.",
        "An answer may be as long as the recorded one, so all endpoints have the same work.",
        f"N in flight: N parallel projects, each making its calls one after the other, for {plan.seconds:g} s{end}, "
        "after a short first call that is not counted. Calls in flight at the end are cut off; only their tokens "
        "count, in tokens/s and in projects per hour.",
        "Time to first token is that of the request that was answered. Inter-token latency is the time from an "
        "answer's first chunk to its last, divided by the tokens in between. Percentiles are over the answers.",
        "Retries are requests beyond the first for a call: after a temporary fault, after the endpoint rejected a "
        "request and it was adapted, or after the endpoint had closed the connection.",
        "Projects per hour and cost per project weight each call by the recorded size of its answer. Cost is the price "
        "of the tokens; your own machines and power are not included.",
    )
    if not alike:
        return sentences
    return (*sentences, f"Calls that do not contain the task, and so are the same in all projects: {alike}.")


def as_json(report: BenchReport) -> str:
    """The report as JSON; times in seconds, costs in US dollars, shares from 0 to 1."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def markdown(report: BenchReport) -> str:
    """A table with a column for each endpoint, and notes below it; if nothing was measured, only the reasons."""
    if not any(endpoint.measured for endpoint in report.endpoints):
        whys = (f"- {code(endpoint.name)}: {md(endpoint.why, ROOM)}" for endpoint in report.endpoints)
        return "\n".join(["No endpoint was measured.\n", *whys])
    lines = list(table(report.endpoints, report.plan.levels))
    lines.append(f"\nMeasured by `chatdev bench` {report.version}, {report.date}.\n")
    for endpoint in report.endpoints:
        notes = endpoint.notes if endpoint.measured else (endpoint.why, *endpoint.notes)
        lines += [f"- {code(endpoint.name)}: {md(note, ROOM)}" for note in notes]
    lines += [f"- {note}" for note in report.notes]
    return "\n".join(lines)


def table(endpoints: Sequence[EndpointFigures], levels: Sequence[int]) -> Iterator[str]:
    """The lines of the Markdown table, with aligned columns."""
    rows = [("", *(code(endpoint.name) for endpoint in endpoints))]
    rows += [
        (name, *(cell(endpoint) if endpoint.measured else NOTHING for endpoint in endpoints))
        for name, cell in _rows(levels)
    ]
    rows.insert(1, ("measured", *("yes" if endpoint.measured else "no" for endpoint in endpoints)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for number, row in enumerate(rows):
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        if number == 0:
            yield f"| {' | '.join('-' * width for width in widths)} |"


_Cell = Callable[[EndpointFigures], str]


def _rows(levels: Sequence[int]) -> Iterator[tuple[str, _Cell]]:
    """The table's rows: their names, and their cells for an endpoint that was measured."""

    def at(number: int, show: Callable[[LevelFigures], str]) -> _Cell:
        return lambda endpoint: show(endpoint.levels[number])

    def across(show: Callable[[LevelFigures], str]) -> _Cell:
        return lambda endpoint: " / ".join(show(level) for level in endpoint.levels)

    for number, in_flight in enumerate(levels):
        name = f"time to first token at {in_flight} in flight, p50 / p95 (ms)"
        yield name, at(number, lambda level: _milliseconds(level.first_token))
    for number, in_flight in enumerate(levels):
        yield f"inter-token latency at {in_flight}, p50 / p95 (ms)", at(number, lambda level: _milliseconds(level.gap))
    all_levels = " / ".join(map(str, levels))
    yield f"tokens/s at {all_levels} in flight", across(lambda level: figure(level.tokens_per_second))
    yield f"projects per hour at {all_levels}", across(lambda level: figure(level.projects_per_hour))
    yield f"prefix-cache hits at {all_levels}, of prompt tokens", across(lambda level: _share(level.prefix_hits))
    yield "calls answered", _answered
    yield "errors", lambda endpoint: f"{sum(level.failed for level in endpoint.levels):,}"
    yield "retries", lambda endpoint: f"{sum(level.retries for level in endpoint.levels):,}"
    yield "cost per project (US dollars)", lambda endpoint: _money(endpoint.cost_per_project)
    yield "cost per 1K tokens (US dollars)", lambda endpoint: _money(endpoint.cost_per_1k_tokens)
    yield "engine", lambda endpoint: md(endpoint.engine) or "not reported"
    yield "model, adapters and flags", lambda endpoint: "yours to change" if endpoint.own else "the provider's"
    yield "models to choose from", lambda endpoint: f"{endpoint.models:,}"
    yield "context window (tokens)", _window


def _answered(endpoint: EndpointFigures) -> str:
    answered = sum(level.answered for level in endpoint.levels)
    ended = answered + sum(level.failed for level in endpoint.levels)
    return f"{_share(endpoint.answered)} ({answered:,} of {ended:,})"


def _window(endpoint: EndpointFigures) -> str:
    if endpoint.window is None:
        return "not reported"
    return f"{endpoint.window:,}{' (assumed)' if endpoint.window_assumed else ''}"


def figure(value: float) -> str:
    """A number with about three digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _milliseconds(spread: Spread | None) -> str:
    return f"{figure(1000 * spread.p50)} / {figure(1000 * spread.p95)}" if spread else "not known"


def _share(value: float | None) -> str:
    return "not reported" if value is None else f"{100 * value:.3g} %"


def _money(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3g}"
