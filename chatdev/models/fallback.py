"""Ordered endpoints as one model: the user's own servers, then OpenAI, and back when a server answers again.

``retry`` sends one call through them. This module holds the endpoints, decides their order, and keeps a run on one of
several replicas.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from chatdev.models import request
from chatdev.models.backend import ModelBackend, OpenAIModel
from chatdev.models.background import BACKGROUND
from chatdev.models.breaker import BACKOFF
from chatdev.models.endpoint import Facts
from chatdev.models.errors import ModelError, NotAModelServer, ServerFault, Unreachable
from chatdev.models.metrics import Load
from chatdev.models.retry import Asking
from chatdev.models.types import Completion, Message, Options, Watch


class Fallback(ModelBackend):
    """Several endpoints as one model, for one run. ``own`` are the user's, in their order; ``last`` is OpenAI: it gets
    no request before all of ``own`` have failed. ``begins``: a run may also start on ``last``. Of ``own``, a run may
    start on the first ``firsts`` (None: all); the others only serve as fallbacks.

    Endpoints that serve the same model are replicas: the run stays on the one with the least load while that one
    answers, so its prefix cache knows the run's prompts. ``notes`` describe the endpoints, after ``facts``.
    """

    def __init__(
        self,
        own: Sequence[OpenAIModel],
        last: OpenAIModel | None = None,
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
        self._home: OpenAIModel | None = None
        self.notes: tuple[str, ...] = ()

    def beside(self) -> "Fallback":
        """The same endpoints for another run, with its own home; ``leave`` that one at the end, and close this one."""
        other = Fallback(self._own, self._last, begins=self._begins, firsts=self._firsts, backoff=self._backoff)
        other.debug = self.debug
        return other

    def leave(self) -> None:
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

    def run(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return BACKGROUND.wait_for(self.arun(messages, **config))

    async def arun(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return (await self.complete(request.messages_from(messages), request.options_from(config))).as_dict()

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ModelBackend."""
        if self._home is None:
            await self._meet()
        for each in self._all:
            each.debug = self.debug
        return await Asking(messages, options, watch, self._backoff, self._out).of(self._in_order(options.avoid))

    def _in_order(self, avoid: Sequence[str] = ()) -> list[OpenAIModel]:
        """The endpoints in the order of use: replicas at the position of the first of them, the run's home before the
        others, and those by calls in flight."""
        first: dict[str, int] = {}
        for number, each in enumerate(self._own):
            first.setdefault(_served(each), number)
        own = sorted(self._own, key=lambda each: (first[_served(each)], each is not self._home, each.breaker.in_flight))
        order = [*own, self._last] if self._last else own
        return [each for each in order if each.address.base_url not in avoid] or order

    def beyond(self, avoid: Sequence[str]) -> bool:
        """See ModelBackend."""
        urls = {each.address.base_url for each in self._all}
        return bool(urls.difference(avoid, self._out))

    async def facts(self) -> Facts:
        """What the run's first endpoint reports about itself. Raises ModelError."""
        home = self._home or await self._meet()
        return await home.facts()

    async def _meet(self) -> OpenAIModel:
        """Ask all of the user's endpoints what they serve, and choose the run's first one. Raises ModelError."""
        answers = await asyncio.gather(*(each.facts() for each in self._own), return_exceptions=True)
        well, failed = [], []
        for each, answer in zip(self._own, answers, strict=True):
            if isinstance(answer, Facts):
                well.append(each)
            elif isinstance(answer, ModelError):
                failed.append(answer)
                self._doubt(each, answer)
            else:
                raise answer
        last = self._usable_last(failed)
        well = [each for each in well if each in self._own[: self._firsts]]
        home = await _least_loaded([each for each in well if _served(each) == _served(well[0])]) if well else last
        if home is None or (not well and (not self._begins or _is_wrong(failed))):
            raise _whole(failed)
        try:
            await home.facts()
        except ModelError as error:
            error.tried += tuple(each.what for each in failed)
            raise
        self._home = home
        home.breaker.homes += 1
        self.notes = (*(each.what for each in failed), *self._told())
        return home

    def _usable_last(self, failed: list[ModelError]) -> OpenAIModel | None:
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

    def _doubt(self, endpoint: OpenAIModel, error: ModelError) -> None:
        """Remember why an endpoint did not describe itself: it may start later, or a person must act."""
        if isinstance(error, Unreachable | ServerFault):
            endpoint.breaker.trip(error.what)
        else:
            self._out[endpoint.address.base_url] = error

    def _told(self) -> list[str]:
        """Notes before the first call: which endpoints are used, and which may be."""
        told = []
        if len(self._own) > 1:
            names = [each.known_facts.model if each.known_facts else "not reached" for each in self._own]
            listed = "; ".join(f"{each.address.base_url} ({n})" for each, n in zip(self._own, names, strict=True))
            told.append(f"Endpoints, in this order: {listed}.")
        if self._last is None or self._last.address.base_url in self._out:
            return told
        name, url = self._last.wanted, self._last.address.base_url
        if self._home is self._last:
            told.append(f"None of your servers answers. OpenAI is used until one does: {name} at {url}.")
        else:
            told.append(f"If none of your servers answers, OpenAI is used instead: {name} at {url}.")
        if not self._last.address.free:
            limit = self._last.cost_budget.limit
            most = "" if limit is None else f", ${limit:g} at most"
            told.append(f"Your task and code then go to OpenAI, and calls cost money{most}; --local-only forbids that.")
        return told

    async def least_window(self) -> int | None:
        """See ModelBackend."""
        if self._home is None:
            await self._meet()
        facts = [each.known_facts for each in self._all if each.address.base_url not in self._out]
        return min((each.window for each in facts if each and each.window), default=None)

    async def load(self) -> Load | None:
        """See ModelBackend; for the run's home endpoint."""
        return await self._home.load() if self._home else None

    async def aclose(self) -> None:
        """See ModelBackend."""
        self.leave()
        for each in self._all:
            await each.aclose()


def _served(endpoint: OpenAIModel) -> str:
    """The model that an endpoint serves, to recognise replicas; its address if the model is not known."""
    facts = endpoint.known_facts
    return facts.model if facts else endpoint.address.base_url


async def _least_loaded(replicas: Sequence[OpenAIModel]) -> OpenAIModel:
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
    """The first endpoint's error, with those of the others as ``tried``."""
    first, *others = failed
    first.tried += tuple(other.what for other in others)
    return first
