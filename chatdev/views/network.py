"""A collaboration network and its result as an SVG picture, drawn from the places of the answers in the log."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from chatdev.journal import places
from chatdev.journal.events import ModelAnswered, RunFinished, RunStarted
from chatdev.journal.store import Record
from chatdev.views import svg

_COLUMNS = 40
"""Levels per row; a longer network continues in the next row."""
_LINES = 4_000
"""The most edges that are drawn."""
_STYLE = (
    svg.BASE_STYLE
    + """.edge { stroke: #8c959f; fill: none; } .once { fill: #2e9e6b; } .again { fill: #d9822b; }
.merged { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) { .merged { stroke: #e6edf3; } }"""
)


class _Agent:
    """What the log says about a node: its calls, merges and completion tokens."""

    def __init__(self) -> None:
        self.calls = self.merges = self.tokens = 0


def picture(records: Sequence[Record]) -> str:
    """The network of a run, with a dot for each agent that answered; empty if the run has none."""
    agents: dict[int, _Agent] = defaultdict(_Agent)
    edges: set[tuple[int, int]] = set()
    title = verdict = ""
    tokens = calls = 0
    for record in records:
        event = record.event
        if isinstance(event, RunStarted):
            stated = json.loads(event.network) if event.network else {}
            title = f"{event.name}: {stated.get('topology') or 'network'}"
        elif isinstance(event, RunFinished):
            verdict = event.verdict
        elif isinstance(event, ModelAnswered):
            if edge := places.edge_of(event.place):
                edges.add(edge)
            elif node := places.node(event.place):
                number, merging = node
                agent = agents[number]
                agent.merges += merging
                agent.calls += not merging
                agent.tokens += event.completion_tokens
            else:
                continue
            calls += 1
            tokens += event.prompt_tokens + event.completion_tokens
    if not agents:
        return ""
    caption = f"{title} of {len(agents):,} agents, {len(edges):,} edges, {calls:,} calls, {tokens:,} tokens"
    return _drawn(f"{caption}: {verdict or 'not finished'}", agents, sorted(edges))


def _drawn(title: str, agents: Mapping[int, _Agent], edges: Sequence[tuple[int, int]]) -> str:
    spots = _spots(agents, edges)
    size = 5 if len(agents) > 100 else 9
    width = max(720, 60 + max(x for x, _ in spots.values()))
    height = 110 + max(y for _, y in spots.values())
    some = f"; {_LINES:,} of {len(edges):,} edges are drawn" if len(edges) > _LINES else ""
    parts = [
        svg.text(20, 28, title, "title"),
        svg.text(20, 48, f"green: one answer; orange: several answers; outlined: merged several inputs{some}"),
    ]
    opacity = "0.6" if len(edges) <= 300 else "0.15"
    for before, after in edges[:: max(1, -(-len(edges) // _LINES))]:
        if before in spots and after in spots:
            (x1, y1), (x2, y2) = spots[before], spots[after]
            parts.append(svg.element("path", class_="edge", stroke_opacity=opacity, d=f"M{x1} {y1}L{x2} {y2}"))
    for number, agent in sorted(agents.items()):
        x, y = spots[number]
        kind = ("once" if agent.calls <= 1 else "again") + (" merged" if agent.merges else "")
        hint = f"agent {number}: {agent.calls} answers, {agent.merges} merges, {agent.tokens:,} tokens"
        parts.append(svg.circle(x, y, size, svg.element("title", hint), kind=kind))
        if len(agents) <= 40:
            parts.append(svg.text(x + size + 2, y + 4, str(number)))
    return svg.document(width, height, parts, style=_STYLE, fixed=False)


def _spots(agents: Mapping[int, _Agent], edges: Sequence[tuple[int, int]]) -> dict[int, tuple[int, int]]:
    """Where each agent is drawn: by its level, one more than the highest level of its inputs. Inputs have lower
    numbers than the agent itself."""
    before: dict[int, list[int]] = defaultdict(list)
    for first, second in edges:
        before[second].append(first)
    levels: dict[int, int] = {}
    columns: dict[int, list[int]] = defaultdict(list)
    for number in sorted(agents):
        level = levels[number] = max((levels[each] + 1 for each in before[number] if each in levels), default=0)
        columns[level].append(number)
    tops = list(_tops(columns))
    step = 14 if len(agents) > 100 else 30
    across = max(14, min(90, 1100 // min(len(columns), _COLUMNS)))
    return {
        number: (40 + across * (level % _COLUMNS), 80 + step * (tops[level // _COLUMNS] + row))
        for level, numbers in columns.items()
        for row, number in enumerate(numbers)
    }


def _tops(columns: Mapping[int, Sequence[int]]) -> Iterator[int]:
    """The row in which each band of levels begins."""
    top = 0
    for first in range(0, len(columns), _COLUMNS):
        yield top
        top += 1 + max(len(columns[level]) for level in range(first, min(first + _COLUMNS, len(columns))))
