"""Ordered endpoints as one model: the user's own servers, then OpenAI, and back when a server is well again.

How one call goes through them is told in ``retry``. Here is which endpoints there are, in which order they are asked,
and which of several replicas a run is kept on.
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
    """Several endpoints as one model, for one run. ``own`` are the user's, in their order; ``last`` is OpenAI, which is
    asked when none of them answers, and not even spoken to before. ``begins``: it may be the first to answer, too.
    Of ``own``, so many may be, as ``firsts`` says (None: all); the others stand behind them.

    Endpoints that serve the same model are replicas: the run is kept on the one with the least load, whose prefix cache
    then knows its prompts, while that one answers. ``notes`` say who was met, once ``facts`` were asked.
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
        """The same endpoints for another run, with a home of its own; ``leave`` it in the end, and close this one."""
        other = Fallback(self._own, self._last, begins=self._begins, firsts=self._firsts, backoff=self._backoff)
        other.debug = self.debug
        return other

    def leave(self) -> None:
        """This run is over: its home has one less. Connections stay open."""
        if self._home:
            self._home.breaker.homes -= 1
            self._home = None

    async def answers(self) -> bool:
        """Whether any of the endpoints says what it is at this moment."""
        return any(await asyncio.gather(*(each.answers() for each in self._all)))

    async def loads(self) -> tuple[Load | None, ...]:
        """What each of the user's endpoints counts of itself."""
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
        """The endpoints as they are to be asked: replicas stand where the first of them does, the run's own before the
        others, and those by the calls in flight."""
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
        """What the endpoint says of itself that the run begins with. Raises ModelError."""
        home = self._home or await self._meet()
        return await home.facts()

    async def _meet(self) -> OpenAIModel:
        """Ask all of the user's endpoints who they are, and choose the one to begin with. Raises ModelError."""
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
        """OpenAI, unless it is known already that it would refuse: then that is told at the start, not at night."""
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
        """Remember how an endpoint failed to say what it is: it may come up later, or a person must act."""
        if isinstance(error, Unreachable | ServerFault):
            endpoint.breaker.trip(error.what)
        else:
            self._out[endpoint.address.base_url] = error

    def _told(self) -> list[str]:
        """What to say before the first call of who is asked, and who may be."""
        told = []
        if len(self._own) > 1:
            names = [each.known_facts.model if each.known_facts else "not met" for each in self._own]
            listed = "; ".join(f"{each.address.base_url} ({n})" for each, n in zip(self._own, names, strict=True))
            told.append(f"Endpoints, in this order: {listed}.")
        if self._last is None or self._last.address.base_url in self._out:
            return told
        name, url = self._last.wanted, self._last.address.base_url
        if self._home is self._last:
            told.append(f"No server of yours answers: OpenAI is asked instead, until one does ({name} at {url}).")
        else:
            told.append(f"If no server of yours answers, OpenAI is asked instead: {name} at {url}.")
        if not self._last.address.free:
            limit = self._last.purse.limit
            most = "" if limit is None else f", ${limit:g} at most"
            told.append(f"Your task and code go to OpenAI then, and it takes money{most}; --local-only forbids that.")
        return told

    async def least_window(self) -> int | None:
        """See ModelBackend."""
        if self._home is None:
            await self._meet()
        facts = [each.known_facts for each in self._all if each.address.base_url not in self._out]
        return min((each.window for each in facts if each and each.window), default=None)

    async def load(self) -> Load | None:
        """See ModelBackend; of the endpoint that the run began with."""
        return await self._home.load() if self._home else None

    async def aclose(self) -> None:
        """See ModelBackend."""
        self.leave()
        for each in self._all:
            await each.aclose()


def _served(endpoint: OpenAIModel) -> str:
    """The model that an endpoint serves, by which replicas are known; by its address, if it has not told that."""
    facts = endpoint.known_facts
    return facts.model if facts else endpoint.address.base_url


async def _least_loaded(replicas: Sequence[OpenAIModel]) -> OpenAIModel:
    """The replica with the fewest calls, by its own count where it gives one, and then with the fewest runs."""
    if len(replicas) == 1:
        return replicas[0]
    loads = await asyncio.gather(*(each.load() for each in replicas))

    def busy(number: int) -> tuple[int, int]:
        load, breaker = loads[number], replicas[number].breaker
        counted = (load.running or 0) + (load.waiting or 0) if load else 0
        return max(counted, breaker.in_flight), breaker.homes

    return replicas[min(range(len(replicas)), key=busy)]


def _is_wrong(failed: Sequence[ModelError]) -> bool:
    """Whether an address is not that of a model server: a slip of the user's, and no reason to pay somebody else."""
    return any(isinstance(error, NotAModelServer) for error in failed)


def _whole(failed: Sequence[ModelError]) -> ModelError:
    """The first endpoint's error, with what became of the others."""
    first, *others = failed
    first.tried += tuple(other.what for other in others)
    return first
