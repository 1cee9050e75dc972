"""How many projects to run in parallel: as many as the server can handle, found as TCP finds the capacity of a path.

One more step while the server has spare capacity, a quarter less when it is overloaded (additive increase,
multiplicative decrease); twice as many until it is overloaded for the first time. The server's own queue and KV cache
say which it is. If a server does not report them, the answers do: more parallel calls that bring no more tokens per
second, but longer answers, are too many.
"""

from collections.abc import Sequence
from typing import Protocol

from chatdev.models.metrics import Load

FIRST = 8
"""Projects at the start, before anything is known about the server."""
MOST = 512
"""Maximum number of projects where the number is found automatically: about 1 MB of memory each."""
BACK = 0.75
KV_ROOM, KV_FULL = 0.85, 0.95
"""Used shares of the KV cache: below the first there is spare capacity; above the second, running requests are
preempted and computed again."""
QUEUE = 0.25
"""Waiting requests for each running one: a short queue keeps the batch full, a long one only delays projects."""
GAIN, SLOWER = 1.05, 1.25
"""Without metrics: throughput that grows by this factor is a gain; answers longer by this factor, without a gain, mean
a queue."""


class ConcurrencyController(Protocol):
    """How many projects may run now."""

    limit: int

    def adjust(
        self, loads: Sequence[Load], *, running: int, calls: int, tokens: int, seconds: float, span: float
    ) -> None:
        """Adjust to the last ``span`` seconds: what the servers report now, the running projects, and the number, the
        completion tokens and the total duration of the calls that ended."""
        ...


class FixedConcurrency:
    """The number that the user set."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def adjust(
        self, loads: Sequence[Load], *, running: int, calls: int, tokens: int, seconds: float, span: float
    ) -> None:
        """See ``ConcurrencyController``."""


class AdaptiveConcurrency:
    """As many as the server can handle, at most ``most``."""

    def __init__(self, first: int = FIRST, most: int = MOST) -> None:
        self.limit = min(first, most)
        self._most = most
        self._doubling = True
        self._roomy = self._reports = False
        self._preempted: int | None = None
        self._calls = self._tokens = 0
        self._seconds = self._span = 0.0
        self._best, self._answer = 0.0, 0.0

    def adjust(
        self, loads: Sequence[Load], *, running: int, calls: int, tokens: int, seconds: float, span: float
    ) -> None:
        """See ``ConcurrencyController``."""
        reporting = [load for load in loads if load.waiting is not None]
        if reporting:
            self._reports = True
            room = self._room(reporting)
            # Between the answers of a few projects a queue is briefly empty: only twice in a row counts as capacity.
            before, self._roomy = self._roomy, room is True
            if room and not before:
                room = None
        elif self._reports:
            return  # a server that is too busy to report its queue has no spare capacity
        else:
            self._calls += calls
            self._tokens += tokens
            self._seconds += seconds
            self._span += span
            if self._calls < max(running, FIRST):  # too few to judge by
                return
            room = self._gain()
        self._step(room, running)

    def _room(self, loads: Sequence[Load]) -> bool | None:
        """True for more, False for fewer, None for no change, by what the servers report."""
        queues = [(load.waiting or 0, load.running or 0) for load in loads]
        fullest = max((load.kv_used for load in loads if load.kv_used is not None), default=0.0)
        preempted = sum(load.preemptions or 0 for load in loads)
        thrown_out = self._preempted is not None and preempted > self._preempted
        self._preempted = preempted
        if thrown_out or fullest > KV_FULL or all(waits > max(1, QUEUE * runs) for waits, runs in queues):
            return False
        return True if fullest < KV_ROOM and any(not waits for waits, _ in queues) else None

    def _gain(self) -> bool | None:
        """The same, judged by the answers: throughput in tokens per second, and seconds per answer."""
        throughput, answer = self._tokens / self._span, self._seconds / self._calls
        self._calls = self._tokens = 0
        self._seconds = self._span = 0.0
        if throughput > GAIN * self._best or not self._best:
            self._best, self._answer = throughput, answer
            return True
        if answer > SLOWER * self._answer:
            self._best *= 0.98  # perhaps the work changed, not the server
            return False
        return None

    def _step(self, room: bool | None, running: int) -> None:
        if room is False and running <= self.limit:  # otherwise the last reduction has not taken effect yet
            self.limit = max(1, int(running * BACK))
            self._doubling = False
        elif room and running >= self.limit:  # otherwise more would not be used
            self.limit = min(self._most, 2 * self.limit if self._doubling else self.limit + max(1, self.limit // 16))
