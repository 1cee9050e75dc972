"""Networks of agents at work: who is asked after whom, what a resume repeats, and what a limit leaves."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from helpers.support import ANSWERS, WORDS

from chatdev import runs, wiring
from chatdev.company import config
from chatdev.company.config import CompanyError
from chatdev.company.graph import TOPOLOGIES, Network, graph
from chatdev.journal import store
from chatdev.journal.events import ModelAnswered, PhaseEnded
from chatdev.models.backend import ModelBackend
from chatdev.models.choose import Choice
from chatdev.models.endpoint import Facts
from chatdev.models.errors import ServerBroke
from chatdev.models.types import Completion, Message, Options, Watch
from chatdev.project.network import GROUP
from chatdev.receipt import Receipt
from chatdev.settings import load


class Agents(ModelBackend):
    """Answers by place after so many seconds, and notes what it was asked; it ``fails`` after so many answers."""

    def __init__(self, *, fails: int = 10**9, waits: float = 0.0, bad: Sequence[str] = ()) -> None:
        self.asked: list[tuple[str, str]] = []
        self.fails, self.waits, self.bad = fails, waits, bad
        self.out = self.most = 0

    def run(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        raise NotImplementedError

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        place = options.request_id
        self.out += 1
        self.most = max(self.most, self.out)
        try:
            await asyncio.sleep(self.waits)
        finally:
            self.out -= 1
        if len(self.asked) >= self.fails:
            raise ServerBroke("It broke.")
        self.asked.append((place, messages[-1].content))
        return Completion(self._text(place), "stop", Receipt(10, 5, endpoint="http://here/v1", model="agents"))

    def _text(self, place: str) -> str:
        if any(part in place for part in self.bad):
            return "I would rather not."
        if "/edge-" in place:
            return f"Mind the {place.split('/')[1]}."
        if "/node." in place or "/final." in place:
            who = place.removesuffix("/Programmer.1/ask.1").replace("/", " ")
            return f"{WORDS}\nmain.py\n```python\n# by {who}\nfrom words import greeting\n\nprint(greeting())\n```\n"
        return ANSWERS.get(place) or next(
            text for recorded, text in ANSWERS.items() if recorded.rsplit("/", 3)[-2:] == place.rsplit("/", 3)[-2:]
        )

    async def facts(self) -> Facts:
        return Facts(base_url="http://here/v1", model="agents", window=32768)

    async def aclose(self) -> None:
        """Nothing is open."""


async def ran(
    folder: Path, agents: Agents, network: Network, *, limits: dict[str, float] | None = None, again: Path | None = None
) -> tuple[str, Path]:
    settings = load({}, folder)
    order = runs.RunRequest(task="greet", name="Greeting", config="full", limits=limits or {}, network=network.as_json)
    where = again or runs.begin(order, folder)
    choice = Choice(agents, await agents.facts(), "VLLM", settings)
    return (await wiring.work(where, choice)).verdict, where


def answers(folder: Path) -> list[str]:
    found = [r.event.place for r in store.read(runs.log_of(folder)) if isinstance(r.event, ModelAnswered)]
    return [place for place in found if place.startswith("Coding.")]


def named(topology: str, agents: int, **more: Any) -> Network:
    return msgspec.convert({"topology": topology, "agents": agents, **more}, Network)


@pytest.mark.parametrize(
    ("topology", "agents", "edges", "sinks"),
    [
        ("chain", 5, 4, 1), ("chain", 1, 0, 1), ("star", 5, 4, 4), ("tree", 7, 6, 4), ("mesh", 6, 15, 1),
        ("layered", 9, 18, 3), ("chain", 1000, 999, 1), ("layered", 1000, 9900, 10),
    ],
)  # fmt: skip
def test_a_topology_is_the_graph_that_its_name_says(topology: str, agents: int, edges: int, sinks: int) -> None:
    made = graph(named(topology, agents))
    assert (len(made.names), made.edges, len(made.sinks)) == (agents, edges, sinks)
    assert all(before < index for index, inputs in enumerate(made.inputs) for before in inputs)


def test_a_random_network_is_the_same_each_time_and_reaches_all() -> None:
    made = graph(named("random", 50))
    assert made == graph(named("random", 50))
    assert made != graph(named("random", 50, seed=2))
    assert all(made.inputs[1:])
    assert all(1 <= len(inputs) <= 3 for inputs in made.inputs[1:])


def test_a_graph_of_the_users_own_is_put_in_order() -> None:
    made = graph(Network(edges=(("b", "c"), ("a", "b"), ("a", "c"), ("a", "b")), alone=("d",)))
    assert made.names == ("d", "a", "b", "c")
    assert made.inputs == ((), (), (1,), (1, 2))
    assert made.sinks == (0, 3)


@pytest.mark.parametrize(
    ("network", "why"),
    [
        ({"edges": [["a", "b"], ["b", "c"], ["c", "a"]]}, "there is a cycle among a, b, c"),
        ({"edges": [["a", "a"]]}, "a leads to itself"),
        ({"topology": "tree"}, "needs agents"),
        ({"topology": "tree", "agents": 3, "edges": [["a", "b"]]}, "either a topology or edges"),
        ({}, "either a topology or edges"),
        ({"edges": [["a", "b"]], "agents": 3}, "agents: expected none"),
        ({"topology": "mesh", "agents": 2000}, "found 1,999,000"),
        ({"topology": "ring", "agents": 3}, "Invalid enum value 'ring'"),
        ({"topology": "chain", "agents": 3, "solve": "Nobody"}, "phases/Nobody.md"),
    ],
)
def test_a_network_that_cannot_be_is_refused_by_the_company(network: dict[str, Any], why: str) -> None:
    sources = dict(config.read(config.BUILT_IN / "full"))
    words = _inline(network)
    sources["company.toml"] = sources["company.toml"].replace(
        'phase = "Coding"\n', f'phase = "Coding"\nnetwork = {words}\n'
    )
    with pytest.raises(CompanyError, match=why):
        config.from_sources(sources)


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_inline(each)}" for key, each in value.items()) + " }"
    return msgspec.json.encode(value).decode()


def test_only_a_phase_that_writes_the_program_has_a_network() -> None:
    sources = dict(config.read(config.BUILT_IN / "full"))
    network = 'network = { topology = "chain", agents = 2 }\n'
    sources["company.toml"] = sources["company.toml"].replace(
        'phase = "DemandAnalysis"\n', f'phase = "DemandAnalysis"\n{network}'
    )
    with pytest.raises(CompanyError, match="only a phase that writes the program"):
        config.from_sources(sources)


@pytest.mark.parametrize("topology", TOPOLOGIES)
async def test_each_topology_ends_in_a_product_that_is_judged(tmp_path: Path, topology: str) -> None:
    agents = Agents()
    verdict, folder = await ran(tmp_path, agents, named(topology, 7))
    assert verdict == "passed"
    made = graph(named(topology, 7))
    places = answers(folder)
    edges = [place for place in places if "/edge-" in place]
    assert len(edges) == len(set(edges)) == made.edges
    nodes = [place for place in places if "/node." in place and "/merge." not in place]
    assert len(nodes) == len(set(nodes)) == 7
    last = "final.1" if len(made.sinks) > 1 else f"node.{made.sinks[0] + 1}"
    assert f"# by Coding.1 {last}" in (folder / "main.py").read_text()
    ended = [r.event for r in store.read(runs.log_of(folder)) if isinstance(r.event, PhaseEnded)]
    assert any(f"7 agents, {made.edges} edges" in event.conclusion for event in ended)
    assert "by a network" not in (folder / ".chatdev" / "company" / "company.toml").read_text()


async def test_a_node_reads_every_solution_once_and_what_was_said_of_it(tmp_path: Path) -> None:
    agents = Agents()
    await ran(tmp_path, agents, Network(edges=tuple((f"s{n}", "end") for n in range(2 * GROUP + 2))))
    prompts = dict(agents.asked)
    merges = [place for place in prompts if "/merge." in place]
    assert len(merges) == 3
    end = f"Coding.1/node.{2 * GROUP + 3}"
    for number in range(1, 2 * GROUP + 3):
        holding = [
            place for place, text in prompts.items() if f"# by Coding.1 node.{number}\n" in text and end in place
        ]
        assert len(holding) == 1
        assert f"Mind the edge-{number}.{2 * GROUP + 3}." in prompts[holding[0]]
    whole = prompts[f"{end}/Programmer.1/ask.1"]
    assert whole.count("# by ") == 3


async def test_nodes_run_as_soon_as_their_inputs_are_there_within_the_bound(tmp_path: Path) -> None:
    agents = Agents(waits=0.01)
    await ran(tmp_path, agents, named("star", 30, at_once=5))
    assert agents.most == 5
    free = Agents(waits=0.01)
    await ran(tmp_path, free, named("star", 30, at_once=0))
    assert free.most == 29


@pytest.mark.parametrize("fails", range(4, 22, 3))
async def test_a_network_that_broke_off_goes_on_and_asks_nothing_twice(tmp_path: Path, fails: int) -> None:
    network = named("layered", 6)
    broken = Agents(fails=fails, waits=0.001)
    where = runs.begin(runs.RunRequest(task="greet", name="Greeting", config="full", network=network.as_json), tmp_path)
    with pytest.raises(ServerBroke):
        await ran(tmp_path, broken, network, again=where)
    kept = [r.event for r in store.read(runs.log_of(where)) if isinstance(r.event, ModelAnswered)]
    mended = Agents()
    verdict, _ = await ran(tmp_path, mended, network, again=where)
    assert verdict == "passed"
    assert not {event.place for event in kept} & {place for place, _ in mended.asked}
    _, whole = await ran(tmp_path, Agents(), network)
    assert sorted(answers(where)) == sorted(answers(whole))
    assert (where / "main.py").read_text() == (whole / "main.py").read_text()


async def test_agents_without_a_solution_are_passed_over(tmp_path: Path) -> None:
    agents = Agents(bad=("/node.1/",))
    verdict, folder = await ran(tmp_path, agents, Network(edges=(("a", "c"), ("b", "c"))))
    assert verdict == "passed"
    assert not any("edge-1.3" in place for place in answers(folder))
    nobody = Agents(bad=("/node.",))
    assert (await ran(tmp_path, nobody, named("chain", 3)))[0] == "not run (no program was written)"


async def test_at_a_limit_what_is_there_is_delivered(tmp_path: Path) -> None:
    agents = Agents()
    verdict, folder = await ran(tmp_path, agents, named("chain", 9), limits={"calls": 8.0})
    assert verdict == "passed"
    assert len(agents.asked) == 8
    ended = [r.event.conclusion for r in store.read(runs.log_of(folder)) if isinstance(r.event, PhaseEnded)]
    assert any("the limit of calls was reached; 9 agents" in each for each in ended)
