"""What a run has spent, according to its log, and whether it may make another call.

A limit is checked before a call. Reaching it is an effect: it is recorded, so that a resume stops there, too.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from chatdev.journal import places
from chatdev.journal.active import Active
from chatdev.journal.events import LimitReached, ModelAnswered, PhaseBegan, RaceDecided
from chatdev.journal.store import Record, Store
from chatdev.models.spending import Budget, Counter


class Exhausted(Exception):
    """A limit was reached, so the model was not called; ``limit`` is the event in the log."""

    def __init__(self, limit: LimitReached) -> None:
        super().__init__(limit.limit)
        self.limit = limit


class Spending:
    """Counts the calls in the log of a run, and those under way. ``budget`` is the run's, ``phases`` are the phases'
    own by name; ``alive`` is a clock in seconds that stops while the machine sleeps.

    Time is the working time of all attempts, the current one up to now. An unknown cost counts as zero.
    """

    def __init__(
        self,
        store: Store,
        budget: Budget,
        phases: Mapping[str, Budget] | None = None,
        alive: Callable[[], float] = time.monotonic,
    ) -> None:
        self._counter, self._alive = Counter(budget, phases or {}), alive
        self._places: dict[str, str] = {}
        self._active, self._counted_at = Active(), alive()
        for record in store:
            self.count(record)
        store.listen(self.count)

    def count(self, record: Record) -> None:
        """Count a record."""
        self._active.add(record)
        self._counted_at = self._alive()
        match record.event:
            case PhaseBegan(place=place, phase=phase):
                self._places[place] = phase
            case ModelAnswered() as answer:
                tokens = answer.prompt_tokens + answer.completion_tokens
                self._counter.add(
                    self._phase_of(answer.place),
                    {"calls": 1, "tokens": tokens, "minutes": answer.seconds / 60, "cost": answer.cost or 0.0},
                )
            case RaceDecided() as race:
                calls, tokens = (sum(getattr(one, name) for one in race.standings) for name in ("calls", "tokens"))
                self._counter.add(self._phase_of(race.place), {"calls": calls, "tokens": tokens})

    @contextmanager
    def call(self, phase: str) -> Iterator[None]:
        """While this lasts, a call is under way and counts as made."""
        self._counter.add(phase, {"calls": 1})
        try:
            yield
        finally:
            self._counter.add(phase, {"calls": -1})

    def reached(self, phase: str, place: str, digest: str) -> LimitReached | None:
        """The limit that forbids one more call in a phase: one of the run's, else one of the phase's own."""
        minutes = (self._active.seconds + self._alive() - self._counted_at) / 60
        found = self._counter.reached(phase, minutes)
        return LimitReached(place, digest, found.name, found.value, found.spent, found.phase) if found else None

    def _phase_of(self, place: str) -> str:
        return places.nearest(self._places, place) or ""
