"""Model backends under the names of ChatDev 1.0: ``ModelBackend``, ``OpenAIModel``, ``ModelFactory`` and the others.

They exist for programs that use ChatDev as a library. ChatDev itself uses ``ChatModel``; each backend delegates to one.
"""

import asyncio
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from chatdev.models import fitting, request
from chatdev.models.background import BACKGROUND
from chatdev.models.breaker import BACKOFF
from chatdev.models.chat_model import ChatModel
from chatdev.models.endpoint import Facts
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.errors import ServerBroke
from chatdev.models.metrics import Load
from chatdev.models.stream import AnswerReader, ServerAnswer
from chatdev.models.types import Completion, Message, ModelType, Options, Watch
from chatdev.receipt import Receipt, Usage
from chatdev.settings import Settings, load_here


class ModelBackend(ABC):
    """Anything that answers a conversation in OpenAI's form. A subclass needs ``run``; other methods follow from it.

    If a subclass overrides only ``run``, then ``arun`` and ``complete`` call its ``run`` in a thread, even if its
    parent classes define their own. All methods of a ChatModel delegate to ``chat_model``, so a backend can be used as
    one.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "run" in own and "arun" not in own:
            cls.arun = ModelBackend.arun  # type: ignore[method-assign]
        if not own.keys().isdisjoint(("run", "arun")) and "complete" not in own:
            cls.complete = ModelBackend.complete  # type: ignore[method-assign]

    @functools.cached_property
    def chat_model(self) -> ChatModel:
        """The model behind this backend; by default one that calls ``arun``."""
        return _ModelOfRun(self)

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
        """See ChatModel."""
        return await _ModelOfRun(self).complete(messages, options, watch)

    @property
    def debug(self) -> Callable[[str], None] | None:
        """See ChatModel."""
        return self.chat_model.debug

    @debug.setter
    def debug(self, debug: Callable[[str], None] | None) -> None:
        self.chat_model.debug = debug

    @property
    def notice(self) -> Callable[[str], None] | None:
        """See ChatModel."""
        return self.chat_model.notice

    @notice.setter
    def notice(self, notice: Callable[[str], None] | None) -> None:
        self.chat_model.notice = notice

    async def facts(self) -> Facts:
        """See ChatModel."""
        return await self.chat_model.facts()

    async def least_window(self) -> int | None:
        """See ChatModel."""
        return await self.chat_model.least_window()

    def beyond(self, avoid: Sequence[str]) -> bool:
        """See ChatModel."""
        return self.chat_model.beyond(avoid)

    async def load(self) -> Load | None:
        """See ChatModel."""
        return await self.chat_model.load()

    async def aclose(self) -> None:
        """See ChatModel."""
        await self.chat_model.aclose()


class _ModelOfRun(ChatModel):
    """A ChatModel whose answers come from a backend's ``arun``."""

    def __init__(self, backend: ModelBackend) -> None:
        self._backend = backend

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ChatModel."""
        config = msgspec.structs.asdict(options)
        extra, _, _ = config.pop("extra"), config.pop("request_id"), config.pop("early")
        config = {name: value for name, value in config.items() if value not in (None, ())}
        answer = await self._backend.arun(
            messages=[{"role": each.role, "content": each.content} for each in messages], **config, **extra
        )
        return _from_dict(answer, messages, type(self._backend).__name__)

    async def facts(self) -> Facts:
        """See ChatModel."""
        return Facts(base_url="", model=type(self._backend).__name__)

    async def least_window(self) -> int | None:
        """See ChatModel."""
        return (await self._backend.facts()).window


def _from_dict(answer: Mapping[str, Any], messages: Sequence[Message], name: str) -> Completion:
    reader = AnswerReader()
    reader.feed(msgspec.json.encode(answer))
    parsed = reader.close()
    if not isinstance(parsed, ServerAnswer):
        raise ServerBroke(f"{name}.run did not return a chat.completion: {parsed.message}.")
    high = fitting.TokenEstimator().span(messages)[1]
    usage = parsed.usage or Usage(high, round(fitting.weight(parsed.text)), estimated=True)
    return Completion(
        text=parsed.text,
        reasoning=parsed.reasoning,
        finish_reason=parsed.finish_reason,
        receipt=Receipt(**msgspec.structs.asdict(usage), endpoint="", model=parsed.model or name),
        id=parsed.id,
        created=parsed.created,
    )


class OpenAIModel(ModelBackend):
    """A model behind OpenAI's protocol. ``model_config_dict`` holds options for every call, under OpenAI's names.

    Without ``settings``, those of the process are loaded. ``backoff`` are the seconds before each retry after a
    temporary fault. One instance serves any number of concurrent calls, from any event loop and any thread.
    """

    chat_model: EndpointModel

    def __init__(
        self,
        model_type: ModelType | str | None = None,
        model_config_dict: Mapping[str, Any] | None = None,
        *,
        settings: Settings | None = None,
        backoff: Sequence[float] = BACKOFF,
    ) -> None:
        self._config = dict(model_config_dict or {})
        request.options_from(self._config)  # raise now for an invalid option
        name = model_type.value if isinstance(model_type, ModelType) else model_type
        self.chat_model = self._endpoint(name, settings or load_here(), backoff)

    def _endpoint(self, name: str | None, settings: Settings, backoff: Sequence[float]) -> EndpointModel:
        return EndpointModel.of_openai(settings, name, backoff=backoff)

    def run(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return BACKGROUND.wait_for(self._as_dict(messages, config))

    async def arun(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return await self._as_dict(messages, config)

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ChatModel."""
        return await self.chat_model.complete(messages, options, watch)

    async def _as_dict(self, messages: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> dict[str, Any]:
        options = request.options_from(self._config, config)
        return (await self.chat_model.complete(request.messages_from(messages), options)).as_dict()


class VLLMModel(OpenAIModel):
    """The user's own model server: vLLM, or any other with an OpenAI-compatible API. Calls cost nothing."""

    def _endpoint(self, name: str | None, settings: Settings, backoff: Sequence[float]) -> EndpointModel:
        return EndpointModel.of_vllm(settings, backoff=backoff)


class StubChatModel(ChatModel):
    """Answers every conversation with the same sentence, without a server: for testing the wiring."""

    TEXT = "This is the stub model's answer to everything."

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ChatModel."""
        return self.answer()

    def answer(self) -> Completion:
        """The one answer."""
        receipt = Receipt(0, 0, endpoint="", model=ModelType.STUB.value, cost=0.0)
        return Completion(self.TEXT, "stop", receipt, id="stub")

    async def facts(self) -> Facts:
        """See ChatModel."""
        return Facts(base_url="", model=ModelType.STUB.value, served=(ModelType.STUB.value,))


class StubModel(ModelBackend):
    """``StubChatModel`` under ChatDev 1.0's name."""

    TEXT = StubChatModel.TEXT

    def __init__(self, model_type: ModelType | None = None, model_config_dict: Mapping[str, Any] | None = None) -> None:
        self.chat_model = StubChatModel()

    def run(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return StubChatModel().answer().as_dict()

    async def arun(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        """See ModelBackend."""
        return StubChatModel().answer().as_dict()

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ChatModel."""
        return await self.chat_model.complete(messages, options, watch)


class ModelFactory:
    """Makes the backend for a model type."""

    @staticmethod
    def create(model_type: ModelType | None, model_config_dict: Mapping[str, Any] | None = None) -> ModelBackend:
        """The backend for ``model_type``; None: the user's own endpoint if VLLM_ENDPOINT is set, else OpenAI if
        OPENAI_API_KEY is, else the endpoint's default address. Sends no request yet.

        Raises ValueError for anything that is not a ModelType, and SettingsError.
        """
        if model_type not in (None, *ModelType):
            names = ", ".join(ModelType.__members__)
            raise ValueError(f"unknown model type {model_type!r}; use one of {names}, or None")
        if model_type is ModelType.STUB:
            return StubModel(model_type, model_config_dict)
        settings = load_here()
        if model_type is None and (settings.vllm_endpoint or not settings.openai_api_key):
            model_type = ModelType.VLLM
        backend = VLLMModel if model_type is ModelType.VLLM else OpenAIModel
        return backend(model_type, model_config_dict, settings=settings)
