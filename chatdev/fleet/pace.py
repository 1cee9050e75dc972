"""How many projects to carry at once: what the server bears, found out as TCP finds out what a path bears.

One more step while there is room, a quarter less when there is none (additive increase, multiplicative decrease); until
the first time that there was none, twice as many. Whether there is room, the server's own queue and KV cache say; of a
server that does not tell, the answers: when more calls at once bring no more tokens per second, but longer answers.
"""

from collections.abc import Sequence
from typing import Protocol

from chatdev.models.metrics import Load

FIRST = 8
"""Projects at the beginning, before anything is known of the server."""
MOST = 512
"""Projects that are ever carried where the number is found out: about 1 MB of memory each."""
BACK = 0.75
KV_ROOM, KV_FULL = 0.85, 0.95
"""Used shares of the KV cache: up to the first there is room for more, past the second running requests are thrown out
and computed again (vLLM calls that preemption)."""
QUEUE = 0.25
"""Requests that may wait for each that runs: a short queue keeps the batch full, a long one only lets projects age."""
GAIN, SLOWER = 1.05, 1.25
"""Without metrics: so much more throughput is a gain, and so much longer answers without a gain are a queue."""


class Pace(Protocol):
    """How many projects may be under way now."""

    limit: int

    def look(
        self, loads: Sequence[Load], *, running: int, calls: int, tokens: int, seconds: float, span: float
    ) -> None:
        """Take what was seen in the last ``span`` seconds: what the servers tell of themselves now, the projects under
        way, and of the calls that ended their number, their completion tokens and their time, added up."""
        ...


class Fixed:
    """As many as a person said."""

    def __init__(self, limit: int) -> None:
        self.limit = limit

    def look(
        self, loads: Sequence[Load], *, running: int, calls: int, tokens: int, seconds: float, span: float
    ) -> None:
        """See Pace."""


class Adaptive:
    """As many as the server bears, ``most`` at most."""

    def __init__(self, first: int = FIRST, most: int = MOST) -> None:
        self.limit = min(first, most)
        self._most = most
        self._doubling = True
        self._roomy = self._tells = False
        self._preempted: int | None = None
        self._calls = self._tokens = 0
        self._seconds = self._span = 0.0
        self._best, self._answer = 0.0, 0.0

    def look(
        self, loads: Sequence[Load], *, running: int, calls: int, tokens: int, seconds: float, span: float
    ) -> None:
        """See Pace."""
        telling = [load for load in loads if load.waiting is not None]
        if telling:
            self._tells = True
            room = self._room(telling)
            # Between the answers of a few projects a queue is empty for a moment: only twice in a row it is room.
            before, self._roomy = self._roomy, room is True
            if room and not before:
                room = None
        elif self._tells:
            return  # a server that is too busy to tell of its queue has no room to give away
        else:
            self._calls += calls
            self._tokens += tokens
            self._seconds += seconds
            self._span += span
            if self._calls < max(running, FIRST):  # too few to tell
                return
            room = self._gain()
        self._step(room, running)

    def _room(self, loads: Sequence[Load]) -> bool | None:
        """True for more, False for fewer, None for as many, by what servers tell of themselves."""
        queues = [(load.waiting or 0, load.running or 0) for load in loads]
        fullest = max((load.kv_used for load in loads if load.kv_used is not None), default=0.0)
        preempted = sum(load.preemptions or 0 for load in loads)
        thrown_out = self._preempted is not None and preempted > self._preempted
        self._preempted = preempted
        if thrown_out or fullest > KV_FULL or all(waits > max(1, QUEUE * runs) for waits, runs in queues):
            return False
        return True if fullest < KV_ROOM and any(not waits for waits, _ in queues) else None

    def _gain(self) -> bool | None:
        """The same by what came back: the throughput in tokens per second, and the seconds of an answer."""
        throughput, answer = self._tokens / self._span, self._seconds / self._calls
        self._calls = self._tokens = 0
        self._seconds = self._span = 0.0
        if throughput > GAIN * self._best or not self._best:
            self._best, self._answer = throughput, answer
            return True
        if answer > SLOWER * self._answer:
            self._best *= 0.98  # the work may have changed, and not the server
            return False
        return None

    def _step(self, room: bool | None, running: int) -> None:
        if room is False:
            self.limit = max(1, int(min(self.limit, max(running, 1)) * BACK))
            self._doubling = False
        elif room and running >= self.limit:  # else more would not be used
            self.limit = min(self._most, 2 * self.limit if self._doubling else self.limit + max(1, self.limit // 16))
