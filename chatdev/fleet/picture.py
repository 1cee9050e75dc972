"""Two kinds of charts as self-contained SVG, in light or dark colours as the reader prefers."""

import math
from collections.abc import Iterator, Sequence

from chatdev.views import svg

WIDTH, LEFT, TOP, ROW, BAR = 720, 170, 64, 24, 16
"""In user units (pixels); bars are horizontal."""
_SHOWN = 20
_BINS = 12
_STYLE = svg.BASE_STYLE + ".s0 { fill: #2e9e6b; } .s1 { fill: #d9822b; } .s2 { fill: #8c959f; }"


def stacked(title: str, parts: Sequence[str], rows: Sequence[tuple[str, Sequence[int]]]) -> str:
    """A bar for each row, made of its parts; of more than twenty rows, the last are added up in one."""
    if len(rows) > _SHOWN:
        others = [sum(each) for each in zip(*(values for _, values in rows[_SHOWN - 1 :]), strict=True)]
        rows = [*rows[: _SHOWN - 1], (f"{len(rows) - _SHOWN + 1} others", others)]
    return _svg(title, parts, rows)


def histogram(title: str, values: Sequence[float], unit: str) -> str:
    """How many values are in each of about a dozen ranges of equal width."""
    high = max(values) or 1
    step = _round_up(high / _BINS)
    counts = [0] * (int(high / step) + 1)
    for value in values:
        counts[int(value / step)] += 1
    rows = [(f"{n * step:,.10g} to {(n + 1) * step:,.10g} {unit}", (count,)) for n, count in enumerate(counts)]
    return _svg(title, (), rows)


def _round_up(value: float) -> float:
    """The smallest of 1, 2 or 5 times a power of ten that is not below ``value``."""
    power = 10 ** math.floor(math.log10(value))
    return float(next((step * power for step in (1, 2, 5) if step * power >= value), 10 * power))


def _svg(title: str, parts: Sequence[str], rows: Sequence[tuple[str, Sequence[int]]]) -> str:
    heading = svg.text(16, 26, title, "title")
    height = TOP + ROW * len(rows) + 12
    return svg.document(WIDTH, height, (heading, *_legend(parts), *_bars(rows)), title=title, style=_STYLE)


def _legend(parts: Sequence[str]) -> Iterator[str]:
    for number, part in enumerate(parts):
        x = LEFT + 100 * number
        yield svg.rect(x, 38, 12, 12, f"s{number}", rx=2)
        yield svg.text(x + 18, 48, part)


def _bars(rows: Sequence[tuple[str, Sequence[int]]]) -> Iterator[str]:
    scale = (WIDTH - LEFT - 60) / max(max((sum(values) for _, values in rows), default=1), 1)
    for number, (name, values) in enumerate(rows):
        y, x = TOP + ROW * number, float(LEFT)
        shown = name if len(name) <= 24 else f"{name[:23]}…"
        yield svg.text(LEFT - 8, y + 12, shown, anchor="end")
        for part, value in enumerate(values):
            yield svg.rect(x, y, value * scale, BAR, f"s{part}")
            x += value * scale
        yield svg.text(x + 6, y + 12, str(sum(values)))
