"""An evaluation as one self-contained SVG chart, in light or dark colours as the reader prefers."""

import html
from collections.abc import Iterator

from chatdev.evaluation.figures import ArmFigures, EvalReport

WIDTH, LEFT, RIGHT, TOP, ROW, BAR = 760, 200, 170, 84, 34, 20
"""In user units (pixels); bars are horizontal, one for each arm."""
_NAME, _PIXELS = 26, WIDTH - LEFT - RIGHT
_STYLE = """<style>
text { font: 12px system-ui, "DejaVu Sans", sans-serif; fill: #1f2328; } .title { font-size: 15px; font-weight: 600; }
.faint { fill: #59636e; } .paper { fill: #fff; } .grid { stroke: #d1d9e0; } .cases { fill: #b9cfe6; }
.solved { fill: #2f6fb4; } .ceiling { stroke: #d9822b; stroke-width: 2; stroke-dasharray: 5 3; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .faint { fill: #9198a1; } .paper { fill: #0d1117; } .grid { stroke: #3d444d; }
.cases { fill: #2b4058; } .solved { fill: #6aa8e8; } .ceiling { stroke: #f0a65a; }
}
</style>"""


def svg(report: EvalReport) -> str:
    """A bar for each arm: the tasks that it solved, in front of the share of cases that pass; the ceiling is a line."""
    height = TOP + ROW * len(report.arms) + 30
    base = TOP + ROW * len(report.arms)
    title = f"{report.set}: tasks solved with {report.model}"
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
            f'height="{height}" role="img">',
            f"<title>{html.escape(title)}</title>",
            _STYLE,
            f'<rect class="paper" width="{WIDTH}" height="{height}"/>',
            _text(16, 26, title if len(title) <= 90 else f"{title[:89]}…", "title"),
            *_legend(report),
            *_axis(base),
            *(line for number, arm in enumerate(report.arms) for line in _bar(arm, TOP + ROW * number)),
            *_ceiling(report, base),
            "</svg>\n",
        )
    )


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    named = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{named}>{html.escape(text)}</text>'


def _legend(report: EvalReport) -> Iterator[str]:
    for x, kind, what in ((LEFT, "solved", "all hidden cases pass"), (LEFT + 170, "cases", "share of cases that pass")):
        yield f'<rect class="{kind}" x="{x}" y="46" width="12" height="12" rx="2"/>'
        yield _text(x + 18, 56, what)
    if report.ceiling:
        yield f'<line class="ceiling" x1="{LEFT + 360}" x2="{LEFT + 384}" y1="52" y2="52"/>'
        yield _text(LEFT + 390, 56, f"any of {report.ceiling.answers} answers")


def _axis(base: float) -> Iterator[str]:
    for percent in (0, 25, 50, 75, 100):
        x = LEFT + _PIXELS * percent / 100
        yield f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{base}"/>'
        yield _text(x, base + 18, f"{percent} %", "faint", "middle")


def _bar(arm: ArmFigures, y: float) -> Iterator[str]:
    name = arm.name if len(arm.name) <= _NAME else f"{arm.name[: _NAME - 1]}…"
    yield _text(LEFT - 10, y + 14, name, anchor="end")
    yield f'<rect class="cases" x="{LEFT}" y="{y}" width="{arm.cases * _PIXELS:.1f}" height="{BAR}" rx="2"/>'
    yield f'<rect class="solved" x="{LEFT}" y="{y}" width="{arm.share * _PIXELS:.1f}" height="{BAR}" rx="2"/>'
    tokens = arm.per_task.prompt_tokens + arm.per_task.completion_tokens
    yield _text(WIDTH - RIGHT + 10, y + 9, f"{arm.solved} of {arm.runs}")
    yield _text(WIDTH - RIGHT + 10, y + 22, f"{tokens:,.0f} tokens per task", "faint")


def _ceiling(report: EvalReport, base: float) -> Iterator[str]:
    if report.ceiling:
        x = LEFT + _PIXELS * report.ceiling.solved / report.ceiling.of
        yield f'<line class="ceiling" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{base}"/>'
