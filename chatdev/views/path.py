"""The critical path: which calls and programs, one after another, made up a run's wall time. From the log alone.

An effect's record is written when it ends, and tells how long it took. The path is found from the end backwards: before
an effect stands the one that ended last of all those which it could have waited for. Those are what ended in its own
phase and branch before it began, and whatever belongs to a phase that had ended when its own began. Phases that overlap
ran side by side: neither waited for the other.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from chatdev.journal import events
from chatdev.journal.active import Active
from chatdev.journal.store import Record

_BRANCH = re.compile(r"(?:^|/)((?:candidate|beside)\.\d+)(?:/|$)")
_SLACK = 0.005
"""Seconds by which a beginning may seem to lie before an end: clocks in a record have milliseconds."""


class Leg(msgspec.Struct, frozen=True):
    """One stretch of the path, in seconds of the run's work: a call (``what`` is its role) or a program (``tests`` or
    ``start``). ``waited`` passed before it with neither: our own work, a queue of ours, pauses before another try."""

    what: str
    phase: str
    place: str
    began: float
    seconds: float
    waited: float
    call: bool


class Path(msgspec.Struct, frozen=True):
    """The legs in order, and ``rest``: the seconds after the last one."""

    legs: tuple[Leg, ...]
    rest: float

    @property
    def calls(self) -> float:
        """Seconds in calls."""
        return sum(leg.seconds for leg in self.legs if leg.call)

    @property
    def programs(self) -> float:
        """Seconds in programs."""
        return sum(leg.seconds for leg in self.legs if not leg.call)

    @property
    def between(self) -> float:
        """Seconds in neither."""
        return sum(leg.waited for leg in self.legs) + self.rest


class _Span(msgspec.Struct, frozen=True):
    """When something was under way: an effect, with the place of its phase, and when that began and ended."""

    event: events.ModelAnswered | events.TestsRan | events.ProductStarted
    began: float
    ended: float
    phase: str
    phase_began: float
    phase_ended: float

    @property
    def branch(self) -> str:
        found = _BRANCH.search(self.event.place)
        return found[1] if found else ""

    def could_wait_for(self, other: "_Span") -> bool:
        """Whether this may have begun because the other one had ended."""
        if other.ended > self.began + _SLACK:
            return False
        if other.phase == self.phase:
            return not self.branch or not other.branch or self.branch == other.branch
        together, mine, theirs = _parting(self.event.place, other.event.place)
        if together and mine != theirs:
            return False
        return other.phase_ended <= self.phase_began + _SLACK


def _parting(one: str, two: str) -> tuple[bool, str, str]:
    """Whether two places part below a segment ``together.N``, and the segments there."""
    above = ""
    for mine, theirs in zip(one.split("/"), two.split("/"), strict=False):
        if mine != theirs:
            return above.startswith("together."), mine, theirs
        above = mine
    return False, "", ""


def critical(records: Sequence[Record]) -> Path:
    """The path of a run, finished or not; without legs if nothing was asked or run."""
    clock = Active()
    moments = [clock.take(record) for record in records]
    spans = _spans(records, moments)
    if not spans:
        return Path((), clock.seconds)
    chain = [spans.pop()]
    while spans:  # from the end backwards: what was recorded later cannot have been waited for
        if chain[-1].could_wait_for(spans[-1]):
            chain.append(spans[-1])
        spans.pop()
    names = {
        record.event.place: record.event.phase for record in records if isinstance(record.event, events.PhaseBegan)
    }
    return Path(tuple(_legs(reversed(chain), names)), clock.seconds - chain[0].ended)


def _spans(records: Sequence[Record], moments: Sequence[float]) -> list[_Span]:
    began: dict[str, float] = {}
    ended: dict[str, float] = {}
    for record, moment in zip(records, moments, strict=True):
        if isinstance(record.event, events.PhaseBegan):
            began[record.event.place] = moment
        elif isinstance(record.event, events.PhaseEnded):
            ended[record.event.place] = moment
    spans = []
    for record, moment in zip(records, moments, strict=True):
        event = record.event
        if isinstance(event, events.ModelAnswered | events.TestsRan | events.ProductStarted):
            start = max(0.0, moment - event.seconds)
            phase = _phase(event.place, began)
            of_phase = (min(began[phase], start), ended.get(phase, moments[-1])) if phase else (start, moment)
            spans.append(_Span(event, start, moment, phase or event.place, *of_phase))
    return spans


def _phase(place: str, began: Mapping[str, float]) -> str:
    while place and place not in began:
        place = place.rpartition("/")[0]
    return place


def _legs(chain: Iterable[_Span], names: Mapping[str, str]) -> Iterable[Leg]:
    now = 0.0
    for span in chain:
        event = span.event
        call = isinstance(event, events.ModelAnswered)
        what = event.role if isinstance(event, events.ModelAnswered) else _program(event)
        phase = names.get(span.phase, event.place.partition("/")[0].partition(".")[0])
        began = max(now, span.began)  # two clocks in milliseconds
        yield Leg(what, phase, event.place, began, span.ended - began, began - now, call)
        now = span.ended


def _program(event: events.TestsRan | events.ProductStarted) -> str:
    return "tests" if isinstance(event, events.TestsRan) else "start"
