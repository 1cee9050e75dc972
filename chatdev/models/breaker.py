"""Circuit breakers: an endpoint that failed several times in a row gets no calls for a while, then one probe call.

The states have their usual names. *Closed*: calls go through. *Open*: no calls go through, since the last ones failed;
each failed probe doubles the pause. *Half-open*: the pause is over, and one call at a time probes the endpoint.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

from chatdev.models.errors import ModelError, NotAModelServer, ServerFault, Unreachable

BACKOFF = (1.0, 4.0)
"""Seconds before each retry after a temporary fault: an engine that lost one request may answer the next."""

THRESHOLD = 3
"""Failures in a row that open a breaker: the number of tries of one call."""

REST, LONGEST = 2.0, 60.0
"""Seconds that a breaker stays open at first, and at most: each failed probe doubles them. vLLM restarts in 30 to 60
seconds."""

State = Literal["closed", "open", "half-open"]


class Breaker:
    """What this process knows of one endpoint's health and load. ``in_flight`` counts its calls, ``homes`` the runs
    that prefer it, ``why`` is the last failure in words."""

    def __init__(self, rest: float = REST, clock: Callable[[], float] = time.monotonic) -> None:
        self.in_flight = 0
        self.homes = 0
        self.why = ""
        self._rest = rest
        self._clock = clock
        self._failures = 0
        self._opened = 0
        self._until = 0.0
        self._probing = False

    @property
    def state(self) -> State:
        """One of the three states."""
        if not self._opened:
            return "closed"
        return "open" if self._probing or self._clock() < self._until else "half-open"

    def trip(self, why: str) -> None:
        """Open immediately: nothing answered there at all."""
        self.why = why
        self._failures = max(self._failures, THRESHOLD)
        self._until = self._clock() + min(self._rest * 2**self._opened, LONGEST)
        self._opened += 1

    def close(self) -> None:
        """Close: the endpoint has answered."""
        self._failures = self._opened = 0

    @contextlib.contextmanager
    def call(self) -> Iterator[None]:
        """One call to the endpoint; its outcome is counted. Anything other than a failure of the server (an answer, a
        refusal) closes the breaker; a cancelled call changes nothing."""
        probe = self.state == "half-open"
        self._probing |= probe
        self.in_flight += 1
        try:
            yield
        except (ServerFault, Unreachable, NotAModelServer) as fault:
            self._failed(fault, probe)
            raise
        except ModelError:
            self.close()
            raise
        else:
            self.close()
        finally:
            self.in_flight -= 1
            self._probing &= not probe

    def _failed(self, fault: ModelError, probe: bool) -> None:
        self.why = fault.what
        self._failures += 1
        if probe or (self._failures >= THRESHOLD and not self._opened):
            self.trip(fault.what)


class BreakerRegistry:
    """The breakers of all endpoints, by base URL and model; all users of one registry share them. ``backoff`` are
    the seconds before each retry of a call at the same endpoint, ``rest`` those that a breaker stays open at first."""

    def __init__(self, backoff: Sequence[float] = BACKOFF, rest: float = REST) -> None:
        self.backoff = backoff
        self._rest = rest
        self._breakers: dict[tuple[str, str], Breaker] = {}

    def breaker(self, base_url: str, model: str) -> Breaker:
        """The breaker of an endpoint and a model."""
        breaker = self._breakers.get((base_url, model))
        if breaker is None:
            breaker = self._breakers[base_url, model] = Breaker(self._rest)
        return breaker
