"""Measures what a network of agents costs besides its model: CPU per call, and wall time against the critical path.

    .venv/bin/python benchmarks/networks.py [--quick] [--svg docs/agents.svg]

The model is a function in this process that answers immediately, or after a delay, with the same small program. The log
is written and synced as always, and no program runs. CPU is this process's, user and system, all threads.
"""

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from chatdev import runs
from chatdev.company import config
from chatdev.company.graph import Graph, Network, graph
from chatdev.journal.effects import JournalScope
from chatdev.journal.store import Store, read
from chatdev.models.backend import ModelBackend
from chatdev.models.endpoint import Facts
from chatdev.models.types import Completion, Message, Options, Watch
from chatdev.product.workspace import Workspace
from chatdev.project import network
from chatdev.project.context import RunContext
from chatdev.project.prompts import Prompts
from chatdev.project.spending import Spending
from chatdev.project.state import State
from chatdev.receipt import Receipt
from chatdev.sandbox import levels
from chatdev.views import svg as writer

PROGRAM = 'main.py\n```python\n"""Greets."""\n\n\ndef main():\n    """Greet."""\n    print("hello")\n\n\nmain()\n```\n'
ROOMY = (("chain", 1000), ("tree", 1000), ("star", 1000), ("layered", 1000), ("random", 1000), ("mesh", 64))
QUICK = (("chain", 200), ("tree", 200), ("star", 200), ("mesh", 24))
LATENT = (("chain", 10, 1.0), ("tree", 1000, 1.0), ("star", 1000, 1.0), ("layered", 1000, 0.1), ("mesh", 12, 1.0))
SIZES = (4, 16, 64, 256)
MACNET = {256: 48.0}
"""CPU seconds of ChatDev 1.0's MacNet for a tree, with a model that answers immediately."""


class Agents(ModelBackend):
    """Answers after ``seconds``; counts the calls."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.calls = seconds, 0

    def run(self, messages: Sequence[Mapping[str, Any]], **given: Any) -> dict[str, Any]:
        """Not used here."""
        raise NotImplementedError

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """A review for an edge, and the program for a node."""
        self.calls += 1
        await asyncio.sleep(self.seconds)
        text = "Name the greeting." if "/edge-" in options.request_id else PROGRAM
        return Completion(text, "stop", Receipt(100, 20, endpoint="http://here/v1", model="agents"))

    async def facts(self) -> Facts:
        """A large window."""
        return Facts(base_url="http://here/v1", model="agents", window=131_072)

    async def aclose(self) -> None:
        """Nothing is open."""


class Ran(NamedTuple):
    """One network: its calls, CPU and wall time in seconds, those of the critical path, and the log's size in MB."""

    calls: int
    cpu: float
    wall: float
    path: float
    log: float


async def ran(topology: str, agents: int, seconds: float = 0.0) -> Ran:
    """Let a network solve a task."""
    model = Agents(seconds)
    given = msgspec.convert({"topology": topology, "agents": agents, "at_once": 0}, Network)
    company = config.load(config.find("full")).networking(given)
    with tempfile.TemporaryDirectory() as name:
        folder = runs.begin(runs.RunRequest(task="greet", name="Net", config="full", network=given.as_json), Path(name))
        store = Store(runs.log_of(folder))
        run = RunContext(
            company=company,
            prompts=Prompts(company),
            model=model,
            sandbox=levels.at(levels.UNSAFE),
            workspace=Workspace(folder),
            watcher=lambda role, progress: None,
            spending=Spending(store, company.budget),
        )
        state = State(task="greet", name="Net")
        cpu, wall = time.process_time(), time.perf_counter()
        await network.hold(run, JournalScope(store).at("Coding"), company.phases["Coding"], given, state)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        size = runs.log_of(folder).stat().st_size / 1e6
        store.close()
        assert len(read(runs.log_of(folder))) > model.calls
    return Ran(model.calls, cpu, wall, steps(graph(given)) * seconds, size)


def steps(made: Graph) -> int:
    """The calls on the longest path through a graph."""
    depth: list[int] = []
    for inputs in made.inputs:
        before = max((depth[each] + 1 for each in inputs), default=0)
        depth.append(before + 1 + merges(len(inputs)))
    sinks = made.sinks
    return max(depth) + (1 + merges(len(sinks)) if len(sinks) > 1 else 0)


def merges(count: int) -> int:
    """How often ``count`` solutions are merged in groups before one agent can combine them."""
    return 0 if count <= network.GROUP else 1 + merges(math.ceil(count / network.GROUP))


def shown(cells: Sequence[object]) -> None:
    """A row of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def chart(points: Mapping[str, Mapping[int, float]]) -> str:
    """Wall time by agents on two logarithmic axes, as SVG."""
    left, top, wide, high = 70, 50, 560, 300
    most, least = 3.0, -3.0  # powers of ten of seconds
    across: Callable[[float], float] = lambda agents: left + wide * math.log(agents / 4) / math.log(1000 / 4)  # noqa: E731
    up: Callable[[float], float] = lambda s: top + high * (most - max(math.log10(s), least)) / (most - least)  # noqa: E731
    colours = ("#2e9e6b", "#d9822b", "#3178c6", "#8250df", "#8c959f", "#cf222e")
    title = "Wall time of a network by its agents, with a model that answers immediately"
    parts = [writer.text(20, 26, title, font_weight=600)]
    for power in range(-3, 4):
        y = up(10.0**power)
        parts.append(writer.line(left, y, left + wide, y, stroke="#8c959f", stroke_opacity=".3"))
        parts.append(writer.text(left - 8, y + 4, f"{10.0**power:g} s", anchor="end"))
    for agents in (*SIZES, 1000):
        parts.append(writer.text(across(agents), top + high + 20, str(agents), anchor="middle"))
    for number, (name, times) in enumerate(points.items()):
        colour, dots = colours[number], [(across(a), up(s)) for a, s in times.items()]
        parts.append(writer.polyline(dots, stroke=colour, stroke_width=2))
        parts += [writer.circle(x, y, 3, fill=colour) for x, y in dots]
        parts.append(writer.rect(650, 60 + 22 * number, 12, 12, fill=colour))
        parts.append(writer.text(668, 71 + 22 * number, name))
    parts.append(writer.text(left + wide / 2, top + high + 44, "agents", anchor="middle"))
    return writer.document(800, top + high + 60, parts, style=writer.BASE_STYLE, fixed=False)


async def measured(*, quick: bool, svg: str) -> None:
    """Print the tables."""
    await ran("tree", 15)  # so that everything is imported and compiled
    shown(("network", "edges", "calls", "CPU ms per call (target < 1)", "wall time s", "log MB"))
    shown(["---"] * 6)
    for topology, agents in QUICK if quick else ROOMY:
        found = await ran(topology, agents)
        edges = graph(msgspec.convert({"topology": topology, "agents": agents}, Network)).edges
        each = 1000 * found.cpu / found.calls
        shown((f"{topology} of {agents}", edges, found.calls, f"{each:.2f}", f"{found.wall:.1f}", f"{found.log:.1f}"))
    if quick:
        return
    print()
    shown(("network", "latency s", "critical path s", "wall time s", "ratio (target <= 1.2)"))
    shown(["---"] * 5)
    for topology, agents, seconds in LATENT:
        found = await ran(topology, agents, seconds)
        ratio = found.wall / found.path
        shown((f"{topology} of {agents}", seconds, f"{found.path:.1f}", f"{found.wall:.1f}", f"{ratio:.2f}"))
    if svg:
        points = {name: {n: (await ran(name, n)).wall for n in (*SIZES, 1000)} for name in ("chain", "tree", "star")}
        points["layered"] = {n: (await ran("layered", n)).wall for n in (*SIZES, 1000)}
        points["mesh"] = {n: (await ran("mesh", n)).wall for n in (4, 16, 64)}
        points["tree, ChatDev 1.0"] = MACNET
        Path(svg).write_text(chart(points), encoding="utf-8")


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small networks, no latency")
    parser.add_argument("--svg", default="", help="the file for the chart")
    given = parser.parse_args()
    asyncio.run(measured(quick=given.quick, svg=given.svg))


if __name__ == "__main__":
    main()
