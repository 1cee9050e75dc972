"""Ordered endpoints as one model: the user's own servers, then OpenAI, and back when a server answers again.

``retry`` sends one call through them. This module holds the endpoints, decides their order, and keeps a run on one of
several replicas.
"""

import asyncio
from collections.abc import Sequence

from chatdev.models.breaker import BACKOFF
from chatdev.models.chat_model import ChatModel
from chatdev.models.endpoint import Facts
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.errors import Loading, ModelError, NotAModelServer, ServerFault, Unreachable
from chatdev.models.metrics import Load
from chatdev.models.retry import FailoverCall
from chatdev.models.types import Completion, Message, Options, Watch


class Fallback(ChatModel):
    """Several endpoints as one model, for one run. ``own`` are the user's, in their order; ``last`` is OpenAI: it gets
    no request before all of ``own`` have failed. ``begins``: a run may also start on ``last``. Of ``own``, a run may
    start on the first ``firsts`` (None: all); the others only serve as fallbacks.

    Endpoints that serve the same model are replicas: the run stays on the one with the least load while that one
    answers, so its prefix cache knows the run's prompts. ``notes`` describe the endpoints, after ``facts``.
    """

    def __init__(
        self,
        own: Sequence[EndpointModel],
        last: EndpointModel | None = None,
        *,
        begins: bool = True,
        firsts: int | None = None,
        backoff: Sequence[float] = BACKOFF,
    ) -> None:
        self._own = tuple(own)
        self._last = last
        self._all = (*own, last) if last else self._own
        self._begins, self._firsts = begins, firsts
        self._backoff = backoff
        self._out: dict[str, ModelError] = {}
        self._home: EndpointModel | None = None
        self.notes: tuple[str, ...] = ()

    def beside(self) -> "Fallback":
        """The same endpoints for another run, with its own home; ``release`` that one at its end, and close this."""
        other = Fallback(self._own, self._last, begins=self._begins, firsts=self._firsts, backoff=self._backoff)
        other.debug, other.notice = self.debug, self.notice
        return other

    def release(self) -> None:
        """This run is over: its home counts one run less. Connections stay open."""
        if self._home:
            self._home.breaker.homes -= 1
            self._home = None

    async def answers(self) -> bool:
        """Whether any of the endpoints describes itself now."""
        return any(await asyncio.gather(*(each.answers() for each in self._all)))

    async def loads(self) -> tuple[Load | None, ...]:
        """The own counters of each of the user's endpoints."""
        return tuple(await asyncio.gather(*(each.load() for each in self._own)))

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ChatModel."""
        if self._home is None:
            await self._choose_home()
        for each in self._all:
            each.debug, each.notice = self.debug, self.notice
        call = FailoverCall(messages, options, watch, self._backoff, self._out)
        return await call.complete_with_failover(self._in_order(options.avoid))

    def _in_order(self, avoid: Sequence[str] = ()) -> list[EndpointModel]:
        """The endpoints in the order of use: replicas at the position of the first of them, the run's home before the
        others, and those by calls in flight."""
        first: dict[str, int] = {}
        for number, each in enumerate(self._own):
            first.setdefault(_served(each), number)
        own = sorted(self._own, key=lambda each: (first[_served(each)], each is not self._home, each.breaker.in_flight))
        order = [*own, self._last] if self._last else own
        return [each for each in order if each.address.base_url not in avoid] or order

    def beyond(self, avoid: Sequence[str]) -> bool:
        """See ChatModel."""
        urls = {each.address.base_url for each in self._all}
        return bool(urls.difference(avoid, self._out))

    async def facts(self) -> Facts:
        """What the run's first endpoint reports about itself. Raises ModelError."""
        home = self._home or await self._choose_home()
        return await home.facts()

    async def _choose_home(self) -> EndpointModel:
        """Ask all of the user's endpoints what they serve, and choose the run's first one. Raises ModelError."""
        answers = await asyncio.gather(*(each.facts() for each in self._own), return_exceptions=True)
        described, failed = [], []
        for each, answer in zip(self._own, answers, strict=True):
            if isinstance(answer, Facts):
                described.append(each)
                each.breaker.close()
            elif isinstance(answer, ModelError):
                failed.append(answer)
                self._doubt(each, answer)
            else:
                raise answer
        last = self._usable_last(failed)
        firsts = [each for each in described if each in self._own[: self._firsts]]
        replicas = [each for each in firsts if _served(each) == _served(firsts[0])]
        home = await _least_loaded(replicas) if replicas else last
        if home is None or (not replicas and (not self._begins or _is_wrong(failed))):
            raise _whole(failed)
        try:
            await home.facts()
        except ModelError as error:
            error.tried += tuple(each.what for each in failed)
            raise
        self._home = home
        home.breaker.homes += 1
        self.notes = (*(each.what for each in failed), *self._endpoint_notes())
        return home

    def _usable_last(self, failed: list[ModelError]) -> EndpointModel | None:
        """OpenAI, unless it is known now that it would refuse: then the run says so at its start, not hours later."""
        try:
            if self._last:
                self._last.check()
            return self._last
        except ModelError as error:
            failed.append(error)
            assert self._last
            self._out[self._last.address.base_url] = error
            return None

    def _doubt(self, endpoint: EndpointModel, error: ModelError) -> None:
        """Remember why an endpoint did not describe itself: it may start later, or a person must act."""
        if isinstance(error, Unreachable | ServerFault):
            endpoint.breaker.trip(error.what)
        else:
            self._out[endpoint.address.base_url] = error

    def _endpoint_notes(self) -> list[str]:
        """Notes before the first call: which endpoints are used, and which may be."""
        notes = []
        if len(self._own) > 1:
            names = [each.reported_facts.model if each.reported_facts else "not reached" for each in self._own]
            listed = "; ".join(f"{each.address.base_url} ({n})" for each, n in zip(self._own, names, strict=True))
            notes.append(f"Endpoints, in this order: {listed}.")
        if self._last is None or self._last.address.base_url in self._out:
            return notes
        name, url = self._last.wanted, self._last.address.base_url
        if self._home is self._last:
            notes.append(f"None of your servers answers. OpenAI is used until one does: {name} at {url}.")
        else:
            notes.append(f"If none of your servers answers, OpenAI is used instead: {name} at {url}.")
        if not self._last.address.free:
            limit = self._last.cost_budget.limit
            most = "" if limit is None else f", ${limit:g} at most"
            notes.append(
                f"Your task and code then go to OpenAI, and calls cost money{most}; --local-only forbids that."
            )
        return notes

    async def least_window(self) -> int | None:
        """See ChatModel."""
        if self._home is None:
            await self._choose_home()
        facts = [each.reported_facts for each in self._all if each.address.base_url not in self._out]
        return min((each.window for each in facts if each and each.window), default=None)

    async def load(self) -> Load | None:
        """See ChatModel; for the run's home endpoint."""
        return await self._home.load() if self._home else None

    async def aclose(self) -> None:
        """See ChatModel."""
        self.release()
        for each in self._all:
            await each.aclose()


def _served(endpoint: EndpointModel) -> str:
    """The model that an endpoint serves, to recognise replicas; its address if the model is not known."""
    facts = endpoint.reported_facts
    return facts.model if facts else endpoint.address.base_url


async def _least_loaded(replicas: Sequence[EndpointModel]) -> EndpointModel:
    """The replica with the fewest calls, by its own count if it reports one, and then with the fewest runs."""
    if len(replicas) == 1:
        return replicas[0]
    loads = await asyncio.gather(*(each.load() for each in replicas))

    def busy(number: int) -> tuple[int, int]:
        load, breaker = loads[number], replicas[number].breaker
        counted = (load.running or 0) + (load.waiting or 0) if load else 0
        return max(counted, breaker.in_flight), breaker.homes

    return replicas[min(range(len(replicas)), key=busy)]


def _is_wrong(failed: Sequence[ModelError]) -> bool:
    """Whether an address is not that of a model server: a mistake in the settings, and no reason to pay OpenAI."""
    return any(isinstance(error, NotAModelServer) for error in failed)


def _whole(failed: Sequence[ModelError]) -> ModelError:
    """The error of an endpoint that is loading, else of the first one, with those of the others as ``tried``."""
    first = next((error for error in failed if isinstance(error, Loading)), failed[0])
    first.tried += tuple(other.what for other in failed if other is not first)
    return first
