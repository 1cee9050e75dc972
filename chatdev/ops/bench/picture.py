"""A benchmark as a chart: one self-contained SVG, in the reader's light or dark colours."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from chatdev.ops.bench.figures import LevelFigures
from chatdev.ops.bench.report import BenchReport, figure
from chatdev.views import svg as writer

WIDTH, LEFT, RIGHT = 760, 64, 20
PLOT, TITLE, FOOT = 180, 44, 34
"""Heights of a panel's plot, of the title above it, and of the level names below; all in user units (pixels)."""

LINE = 20
"""Height of a line in the legend."""

_LIGHT = ("#2f6fb4", "#d9822b", "#2e9e6b", "#a64d9b", "#8a8f2a", "#c23b3b")
_DARK = ("#6aa8e8", "#f0a65a", "#5ccb98", "#d38ac9", "#c5ca5c", "#ee7b7b")

_STYLE = """\
text {{ font-family: system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; font-size: 12px; }}
.paper {{ fill: #ffffff; }} text {{ fill: #1f2328; }} .faint {{ fill: #59636e; }} .grid {{ stroke: #d1d9e0; }}
.middle {{ stroke: #1f2328; stroke-width: 2; }} .title {{ font-size: 15px; font-weight: 600; }}
.value {{ font-size: 10px; }} .range {{ opacity: 0.75; }}
{light}
@media (prefers-color-scheme: dark) {{
.paper {{ fill: #0d1117; }} text {{ fill: #e6edf3; }} .faint {{ fill: #9198a1; }} .grid {{ stroke: #3d444d; }}
.middle {{ stroke: #e6edf3; }}
{dark}
}}"""


class Bar(NamedTuple):
    """One bar: where it begins and ends on the axis, and the label above it. ``mark`` draws its lower end as well."""

    low: float
    high: float
    label: str
    mark: bool = False


def svg(report: BenchReport) -> str:
    """The chart: tokens per second, and the time to the first token, by projects in flight and endpoint."""
    legend = 56 + LINE * len(report.endpoints)
    panel = TITLE + PLOT + FOOT
    height = legend + 2 * panel + 12
    parts = (
        *_legend(report),
        *_panel(report, legend, "Tokens per second (more is better)", _speed),
        *_panel(report, legend + panel, "Time to first token, p50 to p95, in ms (less is better)", _wait),
    )
    title = "chatdev bench: tokens per second and time to first token"
    return writer.document(WIDTH, height, parts, title=title, style=_style())


def _style() -> str:
    def fills(colours: Sequence[str]) -> str:
        return " ".join(f".e{number} {{ fill: {colour}; }}" for number, colour in enumerate(colours))

    return _STYLE.format(light=fills(_LIGHT), dark=fills(_DARK))


def _speed(level: LevelFigures) -> Bar:
    return Bar(0.0, level.tokens_per_second, figure(level.tokens_per_second))


def _wait(level: LevelFigures) -> Bar | None:
    if level.first_token is None:
        return None
    low, high = 1000 * level.first_token.p50, 1000 * level.first_token.p95
    return Bar(low, high, f"{figure(low)}–{figure(high)}", mark=True)


def _legend(report: BenchReport) -> Iterator[str]:
    yield writer.text(LEFT, 30, f"chatdev bench, {report.date}", "title")
    for number, endpoint in enumerate(report.endpoints):
        y = 56 + LINE * number
        yield writer.rect(LEFT, y - 10, 12, 12, f"e{number % len(_LIGHT)}", rx=2)
        name = endpoint.name if endpoint.measured else f"{endpoint.name}: not measured"
        yield writer.text(
            LEFT + 20, y, name if len(name) <= 90 else f"{name[:89]}…", "" if endpoint.measured else "faint"
        )


def _panel(report: BenchReport, top: float, title: str, bar: Callable[[LevelFigures], Bar | None]) -> Iterator[str]:
    """A title, an axis, and for each level a group with a bar for each endpoint that was measured."""
    base = top + TITLE + PLOT
    yield writer.text(LEFT, top + 24, title, "title")
    shown = [(each, place % len(_LIGHT)) for place, each in enumerate(report.endpoints) if each.measured]
    bars = [
        (number, column, colour, drawn)
        for column, (endpoint, colour) in enumerate(shown)
        for number, level in enumerate(endpoint.levels)
        if (drawn := bar(level))
    ]
    limit = ceiling(1.08 * max((drawn.high for *_, drawn in bars), default=1.0))  # space for the label above a bar
    for share in (0.0, 0.5, 1.0):
        y = base - share * PLOT
        yield writer.line(LEFT, y, WIDTH - RIGHT, y, "grid")
        yield writer.text(LEFT - 8, y + 4, figure(share * limit), "faint", anchor="end")
    group = (WIDTH - LEFT - RIGHT) / len(report.plan.levels)
    for number, in_flight in enumerate(report.plan.levels):
        yield writer.text(LEFT + (number + 0.5) * group, base + 20, f"{in_flight} in flight", "faint", anchor="middle")
    slot = min(group * 0.8 / max(len(shown), 1), 90)
    for number, column, colour, drawn in bars:
        middle = LEFT + (number + 0.5) * group + (column + 0.5 - len(shown) / 2) * slot
        yield from _bar(drawn, middle, slot, base, PLOT / limit, colour)


def _bar(bar: Bar, middle: float, slot: float, base: float, scale: float, colour: int) -> Iterator[str]:
    wide, top = slot * 0.7, base - bar.high * scale
    tall = max((bar.high - bar.low) * scale, 1.5)
    kind = f"e{colour} range" if bar.mark else f"e{colour}"
    left = middle - wide / 2
    yield writer.rect(left, top, wide, tall, kind, rx=2)
    if bar.mark:
        y = base - bar.low * scale
        yield writer.line(left, y, left + wide, y, "middle")
    yield writer.text(middle, top - 5, bar.label, "value", anchor="middle")


def ceiling(value: float) -> float:
    """The end of an axis for values up to ``value``: 1, 2, 2.5, 4, 5 or 8 times a power of ten."""
    power = 10 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((step * power for step in (1, 2, 2.5, 4, 5, 8) if step * power >= value), 10 * power)
