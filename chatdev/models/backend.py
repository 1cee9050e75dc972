"""Model backends under their public names, and the one call that ChatDev itself makes: ``complete``."""

import asyncio
import datetime
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from chatdev.models import address as addresses
from chatdev.models import budget, endpoint, metrics, prices, request
from chatdev.models.address import Address
from chatdev.models.background import BACKGROUND
from chatdev.models.breaker import BACKOFF, Breaker, BreakerRegistry
from chatdev.models.budget import TokenEstimator
from chatdev.models.call import EndpointState, ModelCall
from chatdev.models.cost_budget import CostBudget
from chatdev.models.endpoint import Facts
from chatdev.models.errors import KeyRefused, ModelError, ModelNotServed, ServerBroke
from chatdev.models.metrics import Load
from chatdev.models.profile import Profile, Profiles
from chatdev.models.retry import Asking
from chatdev.models.stream import AnswerReader, ServerAnswer
from chatdev.models.types import Completion, Message, ModelType, Options, Receipt, Target, Usage, Watch
from chatdev.settings import Settings, base_url, load_here

if TYPE_CHECKING:
    from chatdev.models.transport import Transport


class ModelBackend(ABC):
    """Anything that answers a conversation. A subclass needs ``run``; the other methods follow from it.

    If a subclass overrides only ``run``, then ``arun`` and ``complete`` call its ``run`` in a thread, even if its
    parent classes define their own. ``debug`` gets a text for each request and answer.
    """

    debug: Callable[[str], None] | None = None

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "run" in own and "arun" not in own:
            cls.arun = ModelBackend.arun  # type: ignore[method-assign]
        if not own.keys().isdisjoint(("run", "arun")) and "complete" not in own:
            cls.complete = ModelBackend.complete  # type: ignore[method-assign]

    @abstractmethod
    def run(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """Answer ``messages`` (OpenAI's form), blocking, with or without a running event loop in this thread.

        ``config`` has OpenAI's names; the defaults are temperature 0.2, top_p 1 and at most 4096 tokens. Returns an
        OpenAI ``chat.completion`` object as a dict, streamed or not. Raises ModelError, and ValueError for an invalid
        message or option.
        """

    async def arun(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """The same as ``run``, awaited."""
        return await asyncio.to_thread(self.run, messages=messages, **config)

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """Answer a conversation; ``watch`` gets the answer piece by piece if it is streamed. Raises ModelError."""
        config = msgspec.structs.asdict(options)
        extra, _, _ = config.pop("extra"), config.pop("request_id"), config.pop("early")
        config = {name: value for name, value in config.items() if value not in (None, ())}
        answer = await self.arun(
            messages=[{"role": each.role, "content": each.content} for each in messages], **config, **extra
        )
        return _from_dict(answer, messages, type(self).__name__)

    async def facts(self) -> Facts:
        """What the endpoint reports about itself; requested only once. Raises ModelError."""
        return Facts(base_url="", model=type(self).__name__)

    async def least_window(self) -> int | None:
        """The smallest context window, in tokens, of the endpoints that may answer here; None if none is known."""
        return (await self.facts()).window

    def beyond(self, avoid: Sequence[str]) -> bool:
        """Whether there is a usable endpoint other than those at these base URLs."""
        return False

    async def load(self) -> Load | None:
        """The server's own counters now, over all its traffic; None if it does not report them."""
        return None

    async def aclose(self) -> None:
        """Close all connections; they are opened again if the backend is used again."""
        return


def _from_dict(answer: Mapping[str, Any], messages: Sequence[Message], name: str) -> Completion:
    reader = AnswerReader()
    reader.feed(msgspec.json.encode(answer))
    read = reader.close()
    if not isinstance(read, ServerAnswer):
        raise ServerBroke(f"{name}.run did not return a chat.completion: {read.message}.")
    high = budget.TokenEstimator().span(messages)[1]
    return Completion(
        text=read.text,
        reasoning=read.reasoning,
        finish_reason=read.finish_reason,
        usage=read.usage or Usage(high, round(budget.weight(read.text)), estimated=True),
        receipt=Receipt(endpoint="", model=read.model or name),
        id=read.id,
        created=read.created,
    )


class OpenAIModel(ModelBackend):
    """A model behind OpenAI's protocol. ``model_config_dict`` holds options for every call, under OpenAI's names.

    Without ``settings``, those of the process are loaded. ``backoff`` are the seconds before each retry after a
    temporary fault. Backends with the same ``breakers`` share what they know of the endpoint's health; ``cost_budget``
    enforces the cost limit. One instance serves any number of concurrent calls, from any event loop and any thread.
    """

    def __init__(
        self,
        model_type: ModelType | str | None = None,
        model_config_dict: Mapping[str, Any] | None = None,
        *,
        settings: Settings | None = None,
        backoff: Sequence[float] = BACKOFF,
        breakers: BreakerRegistry | None = None,
        cost_budget: CostBudget | None = None,
    ) -> None:
        settings = settings or load_here()
        self._breakers = breakers or BreakerRegistry()
        self.cost_budget = cost_budget or CostBudget(settings.max_cost)
        self._config = dict(model_config_dict or {})
        request.options_from(self._config)  # raise now for an invalid option
        self._backoff = backoff
        self.wanted, self.address = self._target(model_type, settings)
        self._transport: Transport | None = None
        self._known: EndpointState | None = None
        self._profiles = Profiles(settings.cache)
        self._found: Profile | None = None

    def _target(self, model_type: ModelType | str | None, settings: Settings) -> tuple[str, Address]:
        """The model's name and its address."""
        name = model_type.value if isinstance(model_type, ModelType) else model_type
        return name or settings.openai_model or prices.load().default, addresses.of_openai(settings)

    def run(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return BACKGROUND.wait_for(self._answer(messages, config))

    async def arun(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return await self._answer(messages, config)

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ModelBackend."""
        return await self._complete(messages, options, watch)

    async def _answer(self, messages: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> dict[str, Any]:
        options = request.options_from(self._config, config)
        return (await self._complete(request.messages_from(messages), options, None)).as_dict()

    async def _complete(self, messages: Sequence[Message], options: Options, watch: Watch | None) -> Completion:
        return await Asking(messages, options, watch, self._backoff).of((self,))

    async def begin(self, messages: Sequence[Message], options: Options, watch: Watch | None) -> ModelCall:
        """See ``retry.Endpoint``."""
        known = await self._ask_facts()
        return ModelCall(self._line(), known, messages, options, watch, self.cost_budget)

    @property
    def breaker(self) -> Breaker:
        """The circuit breaker of this endpoint."""
        return self._breakers.breaker(self.address.base_url, self.wanted)

    @property
    def known_facts(self) -> Facts | None:
        """What the endpoint reported about itself; None before the first request."""
        return self._known.facts if self._known else None

    def tell(self, text: str) -> None:
        """Send a text to ``debug``."""
        self._line().tell(text)

    async def facts(self) -> Facts:
        """See ModelBackend."""
        return (await self._ask_facts()).facts

    async def _ask_facts(self) -> EndpointState:
        if self._known is None:
            self.check()
            line = self._line()
            async with (await line.opened()).asking:
                if self._known is None:
                    facts = await endpoint.ask(line, self.wanted)
                    self._found = await self._remembered(line, facts)
                    if self._found:
                        facts = msgspec.structs.replace(facts, skill=self._found.skill)
                    self._known = EndpointState(
                        facts,
                        self._found or Profile(facts.base_url, facts.model),
                        TokenEstimator.between(self._found.low, self._found.high) if self._found else TokenEstimator(),
                        heard=self._found is not None,
                    )
        return self._known

    async def answers(self) -> bool:
        """Whether the server describes itself now."""
        try:
            await endpoint.ask(self._line(), self.wanted)
        except ModelError:
            return False
        return True

    async def load(self) -> Load | None:
        """See ModelBackend."""
        return None if self.address.is_openai else await metrics.read(self._line())

    async def _remembered(self, line: "Transport", facts: Facts) -> Profile | None:
        """The profile that an earlier process stored for this endpoint, model and version."""
        if not self._profiles.any(facts.base_url, facts.model):
            return None
        _, version = await endpoint.identify(line)
        return self._profiles.get(facts.base_url, facts.model, version)

    def check(self) -> None:
        """Raise before the request, in plainer words, for what OpenAI would refuse: KeyRefused, ModelNotServed."""
        if not self.address.is_openai:
            return
        if self.address.key is None:
            raise KeyRefused(
                "OpenAI requires an API key, and OPENAI_API_KEY is not set.",
                do="Set it, or start your own model server and set VLLM_ENDPOINT.",
            )
        if retired := prices.load().retired(self.wanted, datetime.date.today()):
            raise ModelNotServed(
                f"OpenAI shut {self.wanted} down on {retired.shutdown}.",
                do=f"Its replacement is {retired.replacement}: --model openai:{retired.replacement}",
            )

    def _line(self) -> "Transport":
        if self._transport is None:
            from chatdev.models.transport import Transport

            self._transport = Transport(self.address)
        self._transport.debug = self.debug
        return self._transport

    async def aclose(self) -> None:
        """See ModelBackend."""
        if self._known and self._found and self._known.profile != self._found:  # a run corrected it
            self._found = self._known.profile
            self._profiles.put(self._found)
        if self._transport:
            await self._transport.aclose()


class VLLMModel(OpenAIModel):
    """The user's own model server: vLLM, or any other with an OpenAI-compatible API. Calls cost nothing."""

    def _target(self, model_type: ModelType | str | None, settings: Settings) -> tuple[str, Address]:
        return settings.vllm_model_name, addresses.of_vllm(settings)

    @classmethod
    def at(
        cls,
        target: Target,
        settings: Settings,
        *,
        backoff: Sequence[float] = BACKOFF,
        breakers: BreakerRegistry | None = None,
    ) -> "VLLMModel":
        """A model of the user's other than the one that the settings name. Raises SettingsError."""
        model = cls(settings=settings, backoff=backoff, breakers=breakers)
        other = base_url(target.endpoint, "endpoint") if target.endpoint else ""
        model.wanted = target.name or ("default" if other else model.wanted)
        model.address = addresses.of_vllm(settings, other)
        return model


class StubModel(ModelBackend):
    """Answers every conversation with the same sentence, without a server: for testing the wiring."""

    TEXT = "This is the stub model's answer to everything."

    def __init__(self, model_type: ModelType | None = None, model_config_dict: Mapping[str, Any] | None = None) -> None:
        pass

    def run(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return self._answer().as_dict()

    async def arun(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return self._answer().as_dict()

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ModelBackend."""
        return self._answer()

    def _answer(self) -> Completion:
        receipt = Receipt(endpoint="", model=ModelType.STUB.value, cost=0.0)
        return Completion(self.TEXT, "stop", Usage(0, 0), receipt, id="stub")

    async def facts(self) -> Facts:
        """See ModelBackend."""
        return Facts(base_url="", model=ModelType.STUB.value, served=(ModelType.STUB.value,))


class ModelFactory:
    """Makes the backend for a model type."""

    @staticmethod
    def create(model_type: ModelType | None, model_config_dict: Mapping[str, Any] | None = None) -> ModelBackend:
        """The backend for ``model_type``; None: the user's own endpoint if VLLM_ENDPOINT is set, else OpenAI if
        OPENAI_API_KEY is, else the endpoint's default address. Sends no request yet.

        Raises ValueError for anything that is not a ModelType, and SettingsError.
        """
        if model_type not in (None, *ModelType):
            known = ", ".join(ModelType.__members__)
            raise ValueError(f"unknown model type {model_type!r}; use one of {known}, or None")
        if model_type is ModelType.STUB:
            return StubModel(model_type, model_config_dict)
        settings = load_here()
        if model_type is None and (settings.vllm_endpoint or not settings.openai_api_key):
            model_type = ModelType.VLLM
        backend = VLLMModel if model_type is ModelType.VLLM else OpenAIModel
        return backend(model_type, model_config_dict, settings=settings)
