"""An evaluation as one self-contained SVG chart, in light or dark colours as the reader prefers."""

from collections.abc import Iterator

from chatdev.evaluation.figures import ArmFigures, EvalReport
from chatdev.views import svg as writer

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 760, 200, 170, 84, 34, 20
"""In user units (pixels); bars are horizontal, one for each arm."""
_NAME, _PIXELS = 26, WIDTH - LEFT - RIGHT
_STYLE = (
    writer.BASE_STYLE
    + """.cases { fill: #b9cfe6; } .solved { fill: #2f6fb4; }
.ceiling { stroke: #d9822b; stroke-width: 2; stroke-dasharray: 5 3; }
@media (prefers-color-scheme: dark) {
.cases { fill: #2b4058; } .solved { fill: #6aa8e8; } .ceiling { stroke: #f0a65a; }
}"""
)


def svg(report: EvalReport) -> str:
    """A bar for each arm: the tasks that it solved, in front of the share of cases that pass; the ceiling is a line."""
    height = TOP + ROW * len(report.arms) + 30
    base = TOP + ROW * len(report.arms)
    title = f"{report.set}: tasks solved with {report.model}"
    parts = (
        writer.text(16, 26, title if len(title) <= 90 else f"{title[:89]}…", "title"),
        *_legend(report),
        *_axis(base),
        *(line for number, arm in enumerate(report.arms) for line in _bar(arm, TOP + ROW * number)),
        *_ceiling(report, base),
    )
    return writer.document(WIDTH, height, parts, title=title, style=_STYLE)


def _legend(report: EvalReport) -> Iterator[str]:
    for x, kind, what in ((LEFT, "solved", "all hidden cases pass"), (LEFT + 170, "cases", "share of cases that pass")):
        yield writer.rect(x, 46, 12, 12, kind, rx=2)
        yield writer.text(x + 18, 56, what)
    if report.ceiling:
        yield writer.line(LEFT + 360, 52, LEFT + 384, 52, "ceiling")
        yield writer.text(LEFT + 390, 56, f"any of {report.ceiling.answers} answers")


def _axis(base: float) -> Iterator[str]:
    for percent in (0, 25, 50, 75, 100):
        x = LEFT + _PIXELS * percent / 100
        yield writer.line(x, TOP - 8, x, base, "grid")
        yield writer.text(x, base + 18, f"{percent} %", "faint", anchor="middle")


def _bar(arm: ArmFigures, y: float) -> Iterator[str]:
    name = arm.name if len(arm.name) <= _NAME else f"{arm.name[: _NAME - 1]}…"
    yield writer.text(LEFT - 10, y + 14, name, anchor="end")
    yield writer.rect(LEFT, y, arm.cases * _PIXELS, BAR, "cases", rx=2)
    yield writer.rect(LEFT, y, arm.share * _PIXELS, BAR, "solved", rx=2)
    tokens = arm.per_task.prompt_tokens + arm.per_task.completion_tokens
    yield writer.text(WIDTH - RIGHT + 10, y + 9, f"{arm.solved} of {arm.runs}")
    yield writer.text(WIDTH - RIGHT + 10, y + 22, f"{tokens:,.0f} tokens per task", "faint")


def _ceiling(report: EvalReport, base: float) -> Iterator[str]:
    if report.ceiling:
        x = LEFT + _PIXELS * report.ceiling.solved / report.ceiling.of
        yield writer.line(x, TOP - 8, x, base, "ceiling")
