"""Collaboration networks: a directed acyclic graph of agents, given by a topology's name or by its edges.

The topologies are those of ChatDev's MacNet (https://arxiv.org/abs/2406.07155): agents on the nodes solve, agents on
the edges review, and a node's solution is passed along its edges.
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Literal, get_args

import msgspec

Topology = Literal["", "chain", "star", "tree", "mesh", "layered", "random"]
TOPOLOGIES = tuple(name for name in get_args(Topology) if name)
MOST_AGENTS = 10_000
MOST_EDGES = 1_000_000
_WIDE = 10
"""The most agents in a layer of a layered network."""
_INPUTS = 3
"""The most inputs of an agent in a random network."""
Pair = tuple[str, str]


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A collaboration network as a company defines it: a ``topology`` with a number of ``agents``, or its own
    ``edges``, each from one agent's name to another's; ``alone`` names agents without edges.

    ``solve`` and ``review`` are the phases of nodes with inputs and of edges. ``at_once`` limits the calls in flight
    (0: no limit). ``seed`` makes a random network reproducible.
    """

    topology: Topology = ""
    agents: Annotated[int, msgspec.Meta(ge=0, le=MOST_AGENTS)] = 0
    edges: tuple[Pair, ...] = ()
    alone: tuple[str, ...] = ()
    solve: str = "NetworkSolve"
    review: str = "NetworkReview"
    at_once: Annotated[int, msgspec.Meta(ge=0)] = 64
    seed: int = 1

    @property
    def as_json(self) -> str:
        """The network as in ``RunOptions.network``."""
        return msgspec.json.encode(self).decode()


class Graph(msgspec.Struct, frozen=True):
    """Nodes in topological order: each comes after all its inputs. ``inputs`` and ``outputs`` of each node are by
    index, in that order."""

    names: tuple[str, ...]
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]

    @property
    def edges(self) -> int:
        """The number of edges."""
        return sum(map(len, self.inputs))

    @property
    def sinks(self) -> tuple[int, ...]:
        """The nodes without outputs."""
        return tuple(index for index, after in enumerate(self.outputs) if not after)


def graph(network: Network) -> Graph:
    """The graph of a network. Raises ValueError with what is wrong with it."""
    if bool(network.topology) == bool(network.edges or network.alone):
        raise ValueError("expected either a topology or edges")
    if network.topology:
        if network.agents < 1:
            raise ValueError(f"a {network.topology} needs agents: expected 1 or more, found {network.agents}")
        pairs = list(_SHAPES[network.topology](network.agents, network.seed))
        return _sorted([str(number) for number in range(1, network.agents + 1)], pairs)
    if network.agents:
        raise ValueError("agents: expected none with edges, since edges name the agents")
    names = dict.fromkeys((*network.alone, *(name for pair in network.edges for name in pair)))
    numbers = {name: number for number, name in enumerate(names)}
    for first, second in network.edges:
        if first == second:
            raise ValueError(f"edges: {first} leads to itself")
    return _sorted(list(names), [(numbers[first], numbers[second]) for first, second in dict.fromkeys(network.edges)])


def _sorted(names: Sequence[str], pairs: Sequence[tuple[int, int]]) -> Graph:
    """Kahn's algorithm; of several free nodes it takes the first named. Raises ValueError for a cycle."""
    if len(pairs) > MOST_EDGES:
        raise ValueError(f"edges: expected at most {MOST_EDGES:,}, found {len(pairs):,}")
    after: list[list[int]] = [[] for _ in names]
    waits = [0] * len(names)
    for first, second in pairs:
        after[first].append(second)
        waits[second] += 1
    order = [number for number, count in enumerate(waits) if not count]
    for number in order:  # grows during the loop
        for second in after[number]:
            waits[second] -= 1
            if not waits[second]:
                order.append(second)
    if len(order) < len(names):
        left = [names[number] for number, count in enumerate(waits) if count]
        raise ValueError(f"edges: there is a cycle among {', '.join(left[:8])}")
    place = {number: index for index, number in enumerate(order)}
    before: list[list[int]] = [[] for _ in names]
    for first, second in pairs:
        before[place[second]].append(place[first])
    outputs = tuple(tuple(place[second] for second in after[number]) for number in order)
    return Graph(tuple(names[number] for number in order), tuple(tuple(sorted(each)) for each in before), outputs)


def _chain(agents: int, seed: int) -> Iterator[tuple[int, int]]:
    yield from zip(range(agents - 1), range(1, agents), strict=True)


def _star(agents: int, seed: int) -> Iterator[tuple[int, int]]:
    yield from ((0, other) for other in range(1, agents))


def _tree(agents: int, seed: int) -> Iterator[tuple[int, int]]:
    yield from (((child - 1) // 2, child) for child in range(1, agents))


def _mesh(agents: int, seed: int) -> Iterator[tuple[int, int]]:
    yield from ((first, second) for first in range(agents) for second in range(first + 1, agents))


def _layered(agents: int, seed: int) -> Iterator[tuple[int, int]]:
    width = min(_WIDE, max(1, math.isqrt(agents)))
    for second in range(width, agents):
        layer = second // width
        yield from ((first, second) for first in range((layer - 1) * width, layer * width))


def _random(agents: int, seed: int) -> Iterator[tuple[int, int]]:
    draw = random.Random(seed)
    for second in range(1, agents):
        count = draw.randint(1, min(_INPUTS, second))
        yield from ((first, second) for first in sorted(draw.sample(range(second), count)))


_SHAPES: Mapping[str, Callable[[int, int], Iterator[tuple[int, int]]]] = {
    "chain": _chain, "star": _star, "tree": _tree, "mesh": _mesh, "layered": _layered, "random": _random,
}  # fmt: skip
