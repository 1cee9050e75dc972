"""Places: where in a run an event belongs, as a path of ``name.ordinal`` segments, unique in the run.

    Drafting.1/candidate.2/Programmer.1/ask.1
    Coding.1/node.12/merge.1/Integrator.1/ask.1

The first segments are phases and the company's loops and runs, by their names; then come the segments named below, and
the roles. Old logs contain these names, so they never change.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeVar

T = TypeVar("T")

TOGETHER = "together"
"""Steps of the chain that run in parallel."""
VERDICT = "Verdict"
CANDIDATE = "candidate"
"""One of several solutions of a phase, numbered from 1: in its own branch of the log."""
BESIDE = "beside"
"""A conversation about another file, parallel to that of its phase: in its own branch, too."""
ASK = "ask"
"""A call, numbered by its attempt, below the role that answers and its turn."""
SECOND_OPINION = "second-opinion"
BASELINE = "baseline"
"""A run of the tests without the product."""
TESTS, START, PROBE = "tests", "start", "probe"
REPAIR, UNDONE, FURTHER, DROPPED = "repair", "undone", "further", "dropped"
FILE, GONE, REFUSED = "file", "gone", "refused"
"""A file that was written, removed or refused, numbered within the same answer."""
NODE, MERGE, FINAL = "node", "merge", "final"
"""An agent of a network, numbered from 1; what it merges; the result of them all."""
DOCTOR = "doctor"
"""Calls that belong to no run."""

PATTERN = r"[\w-]*\.[0-9]+(?:/[\w-]*\.[0-9]+)*"
"""A regular expression for a whole place, without groups."""

_NOT_IN_NAMES = re.compile(r"[^\w-]")
_EDGE = "edge-"
_DIGITS = 18
"""The most digits of an ordinal that is read as a number; ``int`` refuses several thousand."""


class Segment(NamedTuple):
    """One segment. ``ordinal`` is 0 if the segment has no number."""

    name: str
    ordinal: int


def below(place: str, name: str, ordinal: int = 1) -> str:
    """The place one step below: at ``name.ordinal``. Only letters, digits, ``_`` and ``-`` of the name are kept."""
    segment = f"{_NOT_IN_NAMES.sub('', name)}.{ordinal}"
    return f"{place}/{segment}" if place else segment


def note(kind: str) -> str:
    """The name of the segment of a diagnostic of this kind."""
    return f"note-{kind.replace(' ', '-')}"


def edge(before: int) -> str:
    """The name of the segment of a network's edge from the agent ``before``; its ordinal is the agent after it."""
    return f"{_EDGE}{before}"


def parse(place: str) -> tuple[Segment, ...]:
    """The segments of a place, from the top. Never fails: a segment that is not well formed has the ordinal 0."""
    return tuple(map(_segment, place.split("/"))) if place else ()


def _segment(text: str) -> Segment:
    name, _, ordinal = text.rpartition(".")
    if ordinal.isascii() and ordinal.isdecimal() and len(ordinal) <= _DIGITS:
        return Segment(name, int(ordinal))
    return Segment(text, 0)


def top(place: str) -> str:
    """The name of a place's first segment: a phase, a loop or a run of the company."""
    return _segment(place.partition("/")[0]).name


def ancestor(place: str) -> str:
    """The place one step above; empty for the first segment and for the run itself."""
    return place.rpartition("/")[0]


def ancestors(place: str) -> Iterator[str]:
    """The place itself and all places above it, from below, without the run itself."""
    while place:
        yield place
        place = ancestor(place)


def nearest(values: Mapping[str, T], place: str) -> T | None:
    """The value of a place, or of the closest place above it that has one."""
    return next((values[above] for above in ancestors(place) if above in values), None)


def contains(above: str, place: str) -> bool:
    """Whether ``place`` is ``above`` or below it. The run itself, the empty place, contains all."""
    return not above or place == above or place.startswith(f"{above}/")


def candidate(place: str) -> int:
    """The number of the candidate whose branch a place is in; 0 outside of races."""
    return next((number for name, number in parse(place) if name == CANDIDATE), 0)


def branch(place: str) -> Segment | None:
    """The first segment that separates a place from work that ran at the same time in the same phase."""
    return next((each for each in parse(place) if each.name in (CANDIDATE, BESIDE)), None)


def parting(one: str, two: str) -> bool:
    """Whether two places are in different ones of the steps that ran together."""
    above = Segment("", 0)
    for first, second in zip(parse(one), parse(two), strict=False):
        if first != second:
            return above.name == TOGETHER
        above = first
    return False


def node(place: str) -> tuple[int, bool] | None:
    """The number of the network's agent that a place below a phase belongs to, and whether it merges inputs there."""
    match parse(place):
        case [_, (name, number), _, *_] as segments if name == NODE and number:
            return number, any(each.name == MERGE for each in segments)
    return None


def edge_of(place: str) -> tuple[int, int] | None:
    """The numbers of the two agents of a network's edge that a place below a phase belongs to."""
    match parse(place):
        case [_, (name, after), _, *_] if after and name.startswith(_EDGE):
            before = name.removeprefix(_EDGE)
            if before.isascii() and before.isdecimal() and len(before) <= _DIGITS:
                return int(before), after
    return None


def without_candidates(place: str) -> str:
    """The place of the same work in a phase that one candidate solves alone."""
    texts = place.split("/")
    inner = [text for text in texts[1:-1] if _segment(text).name != CANDIDATE]
    return "/".join((texts[0], *inner, *texts[1:][-1:]))
