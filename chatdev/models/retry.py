"""The one layer that asks again: after a passing fault at the same endpoint, and then at the next one.

What is done depends on the kind of failure alone (see ``chatdev.models.errors``):

- passing faults (refused, reset, stalled, 408, 429, 5xx, an answer that broke off): again, after a pause, then the next
  endpoint. An endpoint whose breaker is open is passed over while another one is left;
- a prompt that does not fit: the next endpoint, which may have a larger window;
- a call that could cost too much: the next endpoint;
- anything else (the key, the model's name, a request refused): that endpoint is out, and never asked the same again.
"""

import asyncio
import copy
import random
import time
from collections.abc import Iterable, MutableMapping, Sequence
from typing import Protocol

import msgspec

from chatdev.models.address import Address
from chatdev.models.breaker import Breaker
from chatdev.models.call import Call
from chatdev.models.errors import (
    CostLimit,
    ModelError,
    NotAModelServer,
    PromptCut,
    ServerFault,
    Stalled,
    Unreachable,
    WindowTooSmall,
)
from chatdev.models.metrics import Load
from chatdev.models.types import Completion, Message, Options, Watch

LONG = 60.0
"""Seconds of ``Retry-After`` that are not waited for where another endpoint is left."""


class Endpoint(Protocol):
    """One endpoint, as far as this layer knows it."""

    @property
    def address(self) -> Address: ...

    @property
    def breaker(self) -> Breaker: ...

    async def begin(self, messages: Sequence[Message], options: Options, watch: Watch | None) -> Call:
        """A call to be answered there. Raises ModelError if the endpoint does not even say what it is."""
        ...

    async def load(self) -> Load | None: ...

    def tell(self, text: str) -> None:
        """Say something to whoever debugs."""
        ...


Out = MutableMapping[str, ModelError]
"""The endpoints that are not asked any more, by base URL, and why."""


class Asking:
    """One conversation, put to endpoints in turn until one of them answers."""

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
        self._sent = 0
        self._errors: dict[str, ModelError] = {}
        self._tried: dict[str, str] = {}

    async def of(self, endpoints: Iterable[Endpoint]) -> Completion:
        """The answer of the first endpoint that gives one. Raises ModelError: what the first one that was asked said,
        and beside it what became of the others."""
        left, resting = list(endpoints), []
        while left:
            endpoint = left.pop(0)
            url = endpoint.address.base_url
            if error := self._out.get(url):
                self._tried[url] = f"out for this run: {_short(error.what, url)}"
            elif endpoint.breaker.state == "open":
                resting.append(endpoint)
                self._tried[url] = f"left alone, since it failed before: {_short(endpoint.breaker.why, url)}"
            elif answer := await self._at(endpoint, others=bool(left)):
                return answer
        for endpoint in resting:  # a last try costs less than a stopped run
            if answer := await self._at(endpoint, others=False):
                return answer
        raise self._failed()

    async def _at(self, endpoint: Endpoint, *, others: bool) -> Completion | None:
        """The answer of one endpoint; None if it gave none, for the reason that is kept. ``others`` are left to ask."""
        url, probing = endpoint.address.base_url, endpoint.breaker.state == "half-open"
        self._tried.pop(url, None)
        call: Call | None = None
        for number, pause in enumerate((*self._backoff, None), 1):
            before = call.sent if call else 0
            try:
                with endpoint.breaker.call():
                    call = call or await endpoint.begin(self._messages, self._options, self._watch)
                    answer = await call.answer()
                return self._with_receipt(answer, self._sent + call.sent - before)
            except ModelError as error:
                self._sent += call.sent - before if call else 1
                self._errors[url] = error
                self._tried[url] = _short(error.what, url) + (f" ({number} tries)" if number > 1 else "")
                wait = None
                if _passes(error, met=call is not None):
                    wait = None if pause is None else await self._pause(endpoint, error, pause, others=others)
                elif not isinstance(error, WindowTooSmall | PromptCut | CostLimit):  # those hold for one call alone
                    self._out[url] = error
                if wait is None or (others and (probing or endpoint.breaker.state == "open")):
                    break
            endpoint.tell(f"~ {self._options.request_id}: asked again in {wait:.1f} s, since {self._errors[url].what}")
            await asyncio.sleep(wait)
        if others:
            endpoint.tell(f"~ {self._options.request_id}: the next endpoint is asked, since {self._errors[url].what}")
        return None

    async def _pause(self, endpoint: Endpoint, fault: ModelError, pause: float, *, others: bool) -> float | None:
        """Seconds until the same endpoint is asked again; None if that would lead to nothing."""
        asked = fault.retry_after if isinstance(fault, ServerFault) else None
        wait = max(pause * random.uniform(0.8, 1.2), asked or 0.0)
        if time.monotonic() - self._began + wait > endpoint.address.deadlines.total:
            self._add(endpoint, f"not asked again: it would be later than deadlines.total, which {wait:.0f} s more are")
            return None
        if others and wait > LONG:
            return None
        if isinstance(fault, Stalled) and (queue := await _queue(endpoint)):
            self._add(endpoint, f"not asked again, since {queue}")
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
        """The first endpoint's error, of those that may be over soon if there is one, with all that was tried."""
        asked = [*self._errors.items(), *self._out.items()]
        url, first = next((each for each in asked if _passes(each[1], met=True)), asked[0])
        error = copy.copy(first)
        if len(self._tried) > 1:
            error.tried += tuple(f"{url}: {why}" for url, why in self._tried.items())
        elif _passes(error, met=True):
            error.tried += (f"{self._sent} requests within {time.monotonic() - self._began:.0f} s",)
            error.tried += (self._tried[url],) if "not asked again" in self._tried[url] else ()
        return error


def _passes(error: ModelError, *, met: bool) -> bool:
    """Whether a fault may be over soon. A web page from an endpoint that was ``met`` as a model server is a proxy's;
    from one that was not, it is all there is."""
    return isinstance(error, ServerFault | Unreachable) or (met and isinstance(error, NotAModelServer))


def _short(what: str, url: str) -> str:
    """What happened, for a line that begins with the endpoint."""
    return what.replace(f" at {url}", "")


async def _queue(endpoint: Endpoint) -> str:
    """What speaks against asking a server again that did not answer in time: its queue, or if it does not tell that,
    what became of other calls; empty if nothing does."""
    load = await endpoint.load()
    if load and load.waiting is not None:
        return f"{load.waiting} requests wait there already" if load.waiting else ""
    return "its last calls all failed" if endpoint.breaker.state == "open" else ""
