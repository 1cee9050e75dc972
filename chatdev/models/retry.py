"""The only layer that retries a call: after a temporary fault at the same endpoint, and then at the next one.

Each frame is named by what it adds: ``complete_with_failover``, ``_with_retries``, ``_with_fresh_connection``; below
them is ``ModelCall.complete_in_slot``.

The reaction depends only on the kind of failure (see ``chatdev.models.errors``):

- temporary faults (refused, reset, stalled, 408, 429, 5xx, an answer that broke off): retry after a pause, then use the
  next endpoint. An endpoint whose breaker is open is skipped while another one is left. If the last one is loading its
  model, or restarting, the call waits for it;
- a prompt that does not fit: use the next endpoint, whose window may be larger;
- a call that could cost too much, or an answer that a content filter withheld: use the next endpoint;
- anything else (the key, the model's name, a request refused): skip that endpoint for the rest of the run.
"""

import asyncio
import copy
import itertools
import random
import time
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from typing import Protocol

import msgspec

from chatdev.models.address import Address
from chatdev.models.breaker import Breaker
from chatdev.models.call import ModelCall
from chatdev.models.errors import (
    ContentFiltered,
    CostLimit,
    Disconnected,
    Loading,
    ModelError,
    NotAModelServer,
    PromptCut,
    RequestTooLarge,
    ServerFault,
    Stalled,
    Unreachable,
    WindowTooSmall,
)
from chatdev.models.metrics import Load
from chatdev.models.types import Completion, Message, Options, Watch

LOADING = 5.0
"""Seconds between two requests to a server that is loading its model."""

SHORT = 5.0
"""Seconds of a wait above which it is announced to the user."""

LONG = 60.0
"""Seconds of ``Retry-After`` above which the next endpoint is used instead, if there is one."""


class Endpoint(Protocol):
    """What this layer needs of an endpoint."""

    @property
    def address(self) -> Address: ...

    @property
    def breaker(self) -> Breaker: ...

    async def begin(self, messages: Sequence[Message], options: Options, watch: Watch | None) -> ModelCall:
        """A new call to this endpoint. Raises ModelError if the endpoint does not describe itself."""
        ...

    async def load(self) -> Load | None: ...

    def patience(self, error: ModelError) -> float:
        """How long, in seconds, to wait for a server that is loading or restarting; 0 if ``error`` is no such case."""
        ...

    def announce(self, reason: str, how_long: str) -> None:
        """Show the user why a call waits, and how long."""
        ...

    def log_debug(self, text: str) -> None:
        """Send a text to ``debug``."""
        ...


_OF_ONE_CALL = (WindowTooSmall, PromptCut, CostLimit, ContentFiltered, RequestTooLarge)
"""Errors that say nothing about the endpoint's next call."""

Out = MutableMapping[str, ModelError]
"""The endpoints that are skipped for the rest of the run, by base URL, and why."""


class FailoverCall:
    """One conversation, sent to one endpoint after another until one answers."""

    def __init__(
        self,
        messages: Sequence[Message],
        options: Options,
        watch: Watch | None,
        backoff: Sequence[float],
        out: Out | None = None,
    ) -> None:
        self._messages = messages
        self._options = options
        self._watch = watch
        self._backoff = backoff
        self._out: Out = {} if out is None else out
        self._began = time.monotonic()
        self._waiting_since = 0.0
        self._sent = 0
        self._errors: dict[str, ModelError] = {}
        self._tried: dict[str, str] = {}

    async def complete_with_failover(self, endpoints: Iterable[Endpoint]) -> Completion:
        """The answer of the first endpoint that gives one. Raises ModelError: the error of the first endpoint, with
        those of the others as ``tried``."""
        left, resting = list(endpoints), []
        while left:
            endpoint = left.pop(0)
            url = endpoint.address.base_url
            if error := self._out.get(url):
                self._tried[url] = f"skipped for the rest of this run: {_short(error.what, url)}"
            elif endpoint.breaker.state == "open":
                resting.append(endpoint)
                self._tried[url] = f"skipped (circuit breaker open): {_short(endpoint.breaker.why, url)}"
            elif answer := await self._with_retries(endpoint, others=bool(left)):
                return answer
        for endpoint in resting:  # a last try costs less than a stopped run
            if answer := await self._with_retries(endpoint, others=False):
                return answer
        raise self._failed()

    async def _with_retries(self, endpoint: Endpoint, *, others: bool) -> Completion | None:
        """The answer of one endpoint; None if it failed; the reason is kept. ``others``: more endpoints are left."""
        url, probing = endpoint.address.base_url, endpoint.breaker.state == "half-open"
        self._tried.pop(url, None)
        call: ModelCall | None = None
        pauses = iter(self._backoff)
        for number in itertools.count(1):
            before = call.sent if call else 0
            try:
                with endpoint.breaker.call():
                    call = call or await endpoint.begin(self._messages, self._options, self._watch)
                    answer = await self._with_fresh_connection(endpoint, call)
                return self._with_receipt(answer, self._sent + call.sent - before)
            except ModelError as error:
                self._sent += call.sent - before if call else 1
                self._errors[url] = error
                self._tried[url] = _short(error.what, url) + (f" ({number} tries)" if number > 1 else "")
                wait = None
                if _passes(error, described=call is not None):
                    wait = await self._wait(endpoint, error, pauses, others=others)
                elif not isinstance(
                    error, WindowTooSmall | PromptCut | CostLimit | ContentFiltered
                ):  # those concern one call only
                    self._out[url] = error
                if wait is None or (others and (probing or endpoint.breaker.state == "open")):
                    break
            endpoint.log_debug(f"~ {self._options.request_id}: retrying in {wait:.1f} s: {self._errors[url].what}")
            await asyncio.sleep(wait)
        if others:
            endpoint.log_debug(f"~ {self._options.request_id}: trying the next endpoint: {self._errors[url].what}")
        return None

    async def _with_fresh_connection(self, endpoint: Endpoint, call: ModelCall) -> Completion:
        """The answer of a call; sent once more, immediately, if a connection of the pool turned out to be closed."""
        try:
            return await call.complete_in_slot()
        except Disconnected:
            endpoint.log_debug(f"~ {self._options.request_id}: connection closed, sent again on a new one")
            return await call.complete_in_slot(fresh=True)

    async def _wait(
        self, endpoint: Endpoint, error: ModelError, pauses: Iterator[float], *, others: bool
    ) -> float | None:
        """Seconds until a retry at the same endpoint; None if there is none. A longer wait is announced."""
        patience = 0.0 if others else endpoint.patience(error)
        if patience and isinstance(error, Loading | Unreachable):
            self._waiting_since = self._waiting_since or time.monotonic()
            left = self._waiting_since + patience - time.monotonic()
            if left < LOADING:
                self._add(endpoint, f"not ready after {patience:.0f} s")
                return None
            endpoint.announce(error.what, f"Trying again every {LOADING:.0f} s, until {clock(left)} at the latest.")
            return LOADING
        pause = next(pauses, None)
        wait = None if pause is None else await self._pause(endpoint, error, pause, others=others)
        if wait is not None and wait > SHORT:
            endpoint.announce(error.what, f"Trying again at {clock(wait)}.")
        return wait

    async def _pause(self, endpoint: Endpoint, fault: ModelError, pause: float, *, others: bool) -> float | None:
        """Seconds of an ordinary pause before a retry; None if it would be useless."""
        retry_after = fault.retry_after if isinstance(fault, ServerFault) else None
        wait = max(pause * random.uniform(0.8, 1.2), retry_after or 0.0)
        if time.monotonic() - self._began + wait > endpoint.address.deadlines.total:
            self._add(endpoint, f"not retried: waiting {wait:.0f} s more would exceed deadlines.total")
            return None
        if others and wait > LONG:
            return None
        if isinstance(fault, Stalled) and (queue := await _queue(endpoint)):
            self._add(endpoint, f"not retried: {queue}")
            return None
        return wait

    def _add(self, endpoint: Endpoint, remark: str) -> None:
        self._tried[endpoint.address.base_url] += f" ({remark})"

    def _with_receipt(self, answer: Completion, sent: int) -> Completion:
        if not self._tried:
            return answer
        tried = tuple(f"{url}: {why}" for url, why in self._tried.items())
        receipt = msgspec.structs.replace(answer.receipt, tries=sent, tried=tried)
        return msgspec.structs.replace(answer, receipt=receipt)

    def _failed(self) -> ModelError:
        """The first endpoint's error, a temporary one if there is one, with everything that was tried."""
        errors = [*self._errors.items(), *self._out.items()]
        url, first = next((each for each in errors if _passes(each[1], described=True)), errors[0])
        error = copy.copy(first)
        if len(self._tried) > 1:
            error.tried += tuple(f"{url}: {why}" for url, why in self._tried.items())
        elif _passes(error, described=True):
            error.tried += (f"{self._sent} requests within {time.monotonic() - self._began:.0f} s",)
            error.tried += (self._tried[url],) if "not retried" in self._tried[url] else ()
        return error


def _passes(error: ModelError, *, described: bool) -> bool:
    """Whether a fault is temporary. If an endpoint ``described`` itself as a model server, a web page from it is a
    proxy's error page; otherwise it is not a model server."""
    return isinstance(error, ServerFault | Unreachable) or (described and isinstance(error, NotAModelServer))


def _short(what: str, url: str) -> str:
    """What happened, for a line that begins with the endpoint."""
    return what.replace(f" at {url}", "")


def clock(seconds: float) -> str:
    """The time of day after these seconds."""
    return time.strftime("%H:%M:%S", time.localtime(time.time() + seconds))


async def _queue(endpoint: Endpoint) -> str:
    """Why a retry at a server that did not answer in time is useless: its queue, or if it does not report that, the
    outcome of other calls; empty if nothing speaks against it."""
    load = await endpoint.load()
    if load and load.waiting is not None:
        return f"{load.waiting} requests are already waiting there" if load.waiting else ""
    return "its last calls all failed" if endpoint.breaker.state == "open" else ""
