"""The frozen values that are sent to an endpoint and returned by it."""

from collections.abc import Callable
from enum import Enum
from typing import Any, Literal

import msgspec

from chatdev.receipt import Receipt, Usage


class ModelType(Enum):
    """The names of models on the command line; the value is the provider's own identifier.

    ``VLLM`` (and ``VLLM_LOCAL``, the same member) is the model that the user's own endpoint serves. The OpenAI names
    are those of ChatDev 1.0; ``prices.toml`` has their shutdown dates and replacements.
    """

    VLLM = "vllm"
    VLLM_LOCAL = "vllm"  # noqa: PIE796 - an alias on purpose: both names mean the same endpoint
    GPT_3_5_TURBO = "gpt-3.5-turbo"
    GPT_3_5_TURBO_NEW = "gpt-3.5-turbo-16k"
    GPT_4 = "gpt-4"
    GPT_4_32k = "gpt-4-32k"
    GPT_4_TURBO = "gpt-4-turbo"
    GPT_4_TURBO_V = "gpt-4-turbo-vision"
    GPT_4O = "gpt-4o"
    GPT_4O_MINI = "gpt-4o-mini"
    STUB = "stub"


Role = Literal["system", "user", "assistant"]


class Part(msgspec.Struct, frozen=True):
    """A piece of a message, and how it is shortened if the context window is too small for everything.

    ``shorten`` returns the text that then replaces it, and ``how`` describes that in a word or two; a part without
    ``shorten`` is never cut. The part with the lowest ``rank`` in a conversation is cut first.
    """

    text: str
    name: str = ""
    rank: int = 0
    how: str = ""
    shorten: Callable[[], str] | None = None


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a conversation. ``parts``, if any, make up the ``content``; they are never sent themselves."""

    role: Role
    content: str
    parts: tuple[Part, ...] = ()


class Completion(msgspec.Struct, frozen=True):
    """One whole answer. ``text`` never holds reasoning; ``finish_reason`` is the server's own (stop, length)."""

    text: str
    finish_reason: str
    receipt: Receipt
    reasoning: str = ""
    id: str = ""
    created: int = 0

    @property
    def usage(self) -> Usage:
        """The token counts in the receipt."""
        return self.receipt

    def as_dict(self) -> dict[str, Any]:
        """The answer in the form of OpenAI's ``chat.completion`` object, streamed or not."""
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.reasoning:
            message["reasoning"] = self.reasoning
        return {
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.receipt.model,
            "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
            "usage": {
                "prompt_tokens": self.usage.prompt_tokens,
                "completion_tokens": self.usage.completion_tokens,
                "total_tokens": self.usage.total_tokens,
            },
        }


Enough = Callable[[str], bool]
"""Gets an answer's text up to the end of a line; returns whether the answer is complete."""


class EarlyStop:
    """Allows closing a stream early: when the model repeats itself, and when ``enough`` says so (None: never)."""

    def __init__(self, enough: Enough | None = None) -> None:
        self.enough = enough


class Options(msgspec.Struct, frozen=True):
    """The options of one call. ``max_tokens`` is an upper limit, clamped to what the window leaves.

    ``choices`` asks the server to answer with one of these texts, bare or as ``{"choice": …}``; a server may ignore it.
    ``thinking``: False asks a model that thinks to answer without thinking, if the server can switch that off.
    ``request_id`` is sent as ``X-Request-Id``; ``extra`` is added to the request body unchanged. ``avoid`` are base
    URLs of endpoints that are used only if there is no other. ``early``: a streamed answer may be closed early.
    """

    temperature: float = 0.2
    top_p: float = 1.0
    max_tokens: int = 4096
    stream: bool = True
    stop: tuple[str, ...] = ()
    seed: int | None = None
    choices: tuple[str, ...] = ()
    thinking: bool | None = None
    request_id: str = ""
    avoid: tuple[str, ...] = ()
    early: EarlyStop | None = None
    extra: dict[str, Any] = {}


class Target(msgspec.Struct, frozen=True):
    """Which model answers: a served name (or an adapter's), and the base URL of the endpoint that serves it. An empty
    field means the run's own; ``openai:NAME`` is OpenAI's model of that name."""

    name: str = ""
    endpoint: str = ""


class Progress(msgspec.Struct, frozen=True):
    """Progress of a call in flight: ``waiting`` (nothing came yet), ``reasoning`` or ``text`` (a piece came).

    ``seconds`` since the request was sent; ``tokens`` is the number of pieces so far, about the number of tokens.
    ``call`` distinguishes concurrent calls: the place of the answer; empty if it has no name.
    """

    kind: Literal["waiting", "reasoning", "text"]
    text: str = ""
    seconds: float = 0.0
    tokens: int = 0
    call: str = ""


Watch = Callable[[Progress], None]
"""Receives progress as it comes. Lossy by design: nothing may depend on receiving it."""
