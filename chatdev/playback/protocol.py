"""The protocol's requests, and what vLLM would refuse in them, with vLLM's own messages (taken from vLLM 0.32).

Tokens are counted without a tokenizer: one for every four characters, rounded up, and four for each message of a
prompt.
"""

from typing import Any, TypeVar

import msgspec

from chatdev.models import constraints
from chatdev.playback.faults import FaultSpec

CHARACTERS = 4
"""Characters that count as one token."""
PER_MESSAGE = 4
"""Tokens that each message of a prompt takes in addition to its text."""

T = TypeVar("T")


class ErrorResponse(Exception):
    """A refused request: an HTTP status and a body."""

    def __init__(self, status: int, body: bytes, content_type: str = "application/json") -> None:
        super().__init__(body.decode())
        self.status = status
        self.body = body
        self.content_type = content_type


class _Part(msgspec.Struct):
    text: str = ""


class ChatMessage(msgspec.Struct):
    """One message; its content is a text, a list of parts, or null."""

    role: str
    content: str | list[_Part] | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class Chat(msgspec.Struct):
    """The fields of ``POST /v1/chat/completions`` that playback reads; all others are ignored."""

    messages: list[ChatMessage]
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    structured_outputs: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None

    @property
    def thinks(self) -> bool:
        """Whether reasoning is wanted: yes, unless the template's arguments turn it off, as for Qwen."""
        return (self.chat_template_kwargs or {}).get("enable_thinking") is not False

    def held(self, text: str) -> str:
        """An answer under vLLM's constraints: ``text`` if it is one of the choices, else the first choice."""
        choices = (self.structured_outputs or {}).get("choice")
        if isinstance(choices, list) and choices:
            return text if text.strip() in choices else str(choices[0])
        match self.response_format:
            case {"json_schema": {"schema": {"properties": {"choice": {"enum": [first, *others]}}}}}:
                kept = constraints.kept(text, (first, *others))
                return text if kept else msgspec.json.encode({"choice": first}).decode()
        return text

    @property
    def prompt_tokens(self) -> int:
        """The size of the prompt in tokens."""
        return tokens(sum(len(message.text) for message in self.messages)) + PER_MESSAGE * len(self.messages)


class Tokenize(msgspec.Struct):
    """The body of ``POST /tokenize``: a text, or messages."""

    prompt: str = ""
    messages: list[ChatMessage] | None = None

    @property
    def count(self) -> int:
        """The size in tokens."""
        return tokens(len(self.prompt)) if self.messages is None else Chat(self.messages).prompt_tokens


def tokens(characters: int) -> int:
    """The number of tokens for a number of characters."""
    return -(-characters // CHARACTERS)


def decode(body: bytes, kind: type[T]) -> T:
    """The request in ``body``. Raises Refusal."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise error_object(400, f"1 validation error:\n  {error}", "Bad Request") from None


def admit(chat: Chat, body: bytes, model: str, window: int, manner: FaultSpec) -> int:
    """The most tokens that the answer may have; checks in the same order as vLLM. Raises Refusal."""
    if manner.refuse_fields:
        _refuse_fields(msgspec.json.decode(body), manner.refuse_fields)
    if chat.stream_options and not chat.stream:
        raise _invalid("Stream options can only be defined when `stream=True`.", "stream_options")
    if chat.model and chat.model != model:
        message = f"The model `{chat.model}` does not exist. Valid aliases: {model}."
        raise error_object(404, message, "NotFoundError", "model")
    _check_template([message.role for message in chat.messages], manner)
    name = "max_tokens" if chat.max_completion_tokens is None else "max_completion_tokens"
    requested = chat.max_tokens if chat.max_completion_tokens is None else chat.max_completion_tokens
    prompt = prompt_tokens(chat, manner)
    _check_window(name, requested, prompt, window)
    _check_sampling(chat)
    room = window - prompt
    limit = room if requested is None else min(requested, room)
    if limit < 1:
        raise _invalid(f"max_tokens must be at least 1, got {limit}.", "max_tokens", limit)
    return limit


def prompt_tokens(chat: Chat, manner: FaultSpec) -> int:
    """The size of the prompt in tokens, after ``cut_prompt``."""
    return min(chat.prompt_tokens, manner.cut_prompt or chat.prompt_tokens)


def error_object(status: int, message: str, kind: str, param: str | None = None) -> ErrorResponse:
    """A refusal in vLLM's format."""
    error = {"message": message, "type": kind, "param": param, "code": status}
    return ErrorResponse(status, msgspec.json.encode({"error": error}))


def unauthorized() -> ErrorResponse:
    """The key is missing or wrong; here vLLM returns a string, not an object."""
    return ErrorResponse(401, b'{"error":"Unauthorized"}')


def key_refused() -> ErrorResponse:
    """The key is missing or wrong, with OpenAI's message."""
    message = (
        "Incorrect API key provided: ***. You can find your API key at https://platform.openai.com/account/api-keys."
    )
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": "invalid_api_key"}
    return ErrorResponse(401, msgspec.json.encode({"error": error}))


def engine_died() -> ErrorResponse:
    """vLLM's message when its engine has died, as a whole answer or inside a stream."""
    message = "EngineCore encountered an issue. See stack trace (above) for the root cause."
    return error_object(500, message, "InternalServerError")


def _invalid(message: str, param: str, value: object = None) -> ErrorResponse:
    extras = f"parameter={param}" + ("" if value is None else f", value={value}")
    return error_object(400, f"{message} ({extras})", "BadRequestError", param)


def _refuse_fields(body: dict[str, Any], refused: tuple[str, ...]) -> None:
    """The message of vLLM before 0.6.5: it refused unknown fields, with ``param`` null."""
    extra = [
        {"type": "extra_forbidden", "loc": ("body", name), "msg": "Extra inputs are not permitted", "input": body[name]}
        for name in refused
        if name in body
    ]
    if extra:
        raise error_object(400, str(extra), "BadRequestError")


def _check_template(roles: list[str], manner: FaultSpec) -> None:
    """Chat templates that raise: Gemma's for ``system``, Llama 2's for turns. vLLM quotes their message twice."""
    words = ""
    if manner.no_template:
        words = (
            "As of transformers v4.44, default chat template is no longer allowed, so you must provide a chat template."
        )
    elif manner.refuse_system and "system" in roles:
        words = "System role not supported"
    elif manner.alternate_roles:
        turns = roles[1:] if roles[:1] == ["system"] else roles
        if any((role == "user") != (index % 2 == 0) for index, role in enumerate(turns)):
            words = "Conversation roles must alternate user/assistant/user/assistant/..."
    if words:
        raise error_object(400, f"{words} {words}", "BadRequestError")


def _check_window(name: str, requested: int | None, prompt: int, window: int) -> None:
    if requested is not None and requested > window:
        message = f"{name}={requested} cannot be greater than max_model_len=max_total_tokens={window}."
        raise _invalid(f"{message} Please request fewer output tokens.", name, requested)
    if prompt > window:
        # vLLM stops counting one token past the window, so the prompt's true length is not reported.
        least = window + 1
        raise _invalid(
            f"This model's maximum context length is {window} tokens. However, you requested 0 output tokens and your "
            f"prompt contains at least {least} input tokens, for a total of at least {least} tokens. Please reduce the "
            "length of the input prompt or the number of requested output tokens.",
            "input_tokens",
            least,
        )


def _check_sampling(chat: Chat) -> None:
    temperature, top_p = chat.temperature, chat.top_p
    if temperature is not None and temperature < 0:
        raise _invalid(f"temperature must be non-negative, got {temperature}.", "temperature", temperature)
    if temperature is not None and temperature > 2:
        raise _invalid(f"temperature must be in [0, 2], got {temperature}.", "temperature", temperature)
    if top_p is not None and not 0 < top_p <= 1:
        raise _invalid(f"top_p must be in (0, 1], got {top_p}.", "top_p", top_p)
