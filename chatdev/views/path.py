"""The critical path: which calls and programs, one after another, made up a run's elapsed time. From the log alone.

An effect's record is written when the effect ends, and says how long it took. The path is found backwards from the end:
each effect is preceded by the last one to end among those it could have waited for. These are the effects of its own
phase and branch that ended before it began, and all effects of phases that ended before its own phase began. Phases
that overlap ran in parallel: neither waited for the other.
"""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from chatdev.journal import events, places
from chatdev.journal.active import Active
from chatdev.journal.store import Record

_SLACK = 0.005
"""Tolerance in seconds when a start is compared with an end: times in records are rounded to milliseconds."""


class PathSegment(msgspec.Struct, frozen=True):
    """One step of the path, in seconds of the run's working time: a call (``what`` is its role) or a program (``tests``
    or ``start``). ``waited`` is the time before it without either: ChatDev's own work, queueing, pauses before retries.
    """

    what: str
    phase: str
    place: str
    began: float
    seconds: float
    waited: float
    call: bool


class Path(msgspec.Struct, frozen=True):
    """The steps in order, and ``rest``: the seconds after the last one."""

    legs: tuple[PathSegment, ...]
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
    """An effect and when it began and ended, with its phase's place and when the phase began and ended."""

    event: events.ModelAnswered | events.TestsRan | events.ProductStarted
    began: float
    ended: float
    phase: str
    phase_began: float
    phase_ended: float

    @property
    def branch(self) -> places.Segment | None:
        return places.branch(self.event.place)

    def could_wait_for(self, other: "_Span") -> bool:
        """Whether this effect may have waited for the other one to end."""
        if other.ended > self.began + _SLACK:
            return False
        if other.phase == self.phase:
            return not self.branch or not other.branch or self.branch == other.branch
        if places.parting(self.event.place, other.event.place):
            return False
        return other.phase_ended <= self.phase_began + _SLACK


def critical(records: Sequence[Record]) -> Path:
    """The path of a run, finished or not; without steps if the run made no call and started no program."""
    clock = Active()
    moments = [clock.add(record) for record in records]
    spans = _spans(records, moments)
    if not spans:
        return Path((), clock.seconds)
    chain = [spans.pop()]
    while spans:  # backwards from the end: an effect cannot wait for one recorded later
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
    return next((above for above in places.ancestors(place) if above in began), "")


def _legs(chain: Iterable[_Span], names: Mapping[str, str]) -> Iterable[PathSegment]:
    now = 0.0
    for span in chain:
        event = span.event
        call = isinstance(event, events.ModelAnswered)
        what = event.role if isinstance(event, events.ModelAnswered) else _program(event)
        phase = names.get(span.phase, places.top(event.place))
        began = max(now, span.began)  # both times are rounded to milliseconds
        yield PathSegment(what, phase, event.place, began, span.ended - began, began - now, call)
        now = span.ended


def _program(event: events.TestsRan | events.ProductStarted) -> str:
    return "tests" if isinstance(event, events.TestsRan) else "start"
