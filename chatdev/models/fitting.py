"""Fits a conversation and its answer into the context window, without a tokenizer.

Tokens are estimated from characters and corrected by the endpoint's own counts. An estimate is a span: a prompt whose
lower end does not fit cannot fit, and the space for the answer is computed from the upper end.
"""

import math
from collections.abc import Mapping, Sequence
from enum import Enum

import msgspec

from chatdev.models import dialects
from chatdev.models.errors import WindowTooSmall
from chatdev.models.types import Message, Part

MINIMUM_ANSWER = 256
"""Tokens that an answer needs to be useful: about 25 lines of code."""

SHARE = 3
"""An answer gets at least one third of the window: a model that changes a file reads it and returns all of it."""

PER_MESSAGE = 8
"""Tokens that a chat template adds to a message: 4 to 7 in ChatML, Llama 3 and Gemma."""

LARGE_ENOUGH = 200
"""Tokens from which a prompt corrects the estimate: below, the template's own text outweighs the conversation's."""


def weight(text: str) -> float:
    """Tokens in a text, rather over- than underestimated.

    2.5 ASCII characters per token (code has 2.5 to 3.5, English prose 4 or more), and 2 bytes of UTF-8 per token for
    all other characters (an old vocabulary has 1.5 for a Chinese character, 2 for an emoji).
    """
    if text.isascii():
        return len(text) / 2.5
    plain = len(text.encode("ascii", "ignore"))
    return plain / 2.5 + (len(text.encode("utf-8", "replace")) - plain) / 2


def prompt_weight(messages: Sequence[Message]) -> float:
    """Tokens in a conversation as the chat template renders it, before any correction."""
    return PER_MESSAGE * (len(messages) + 1) + sum(weight(message.content) for message in messages)


class TokenEstimator(msgspec.Struct, frozen=True):
    """How far the real counts of one endpoint differ from ``prompt_weight``, as factors.

    The initial span covers real tokenizers: at best 6 characters per token, at worst the estimate's own 2.5.
    """

    low: float = 0.4
    high: float = 1.0

    @classmethod
    def between(cls, low: float | None, high: float | None) -> "TokenEstimator":
        """An estimator that was learned before; the initial one if there is none."""
        return cls(low, high) if low and high and low <= high else cls()

    def span(self, messages: Sequence[Message]) -> tuple[int, int]:
        """The fewest and the most tokens that a conversation is likely to have."""
        tokens = prompt_weight(messages)
        return math.floor(tokens * self.low), math.ceil(tokens * self.high)

    def learn(self, messages: Sequence[Message], counted: int) -> "TokenEstimator":
        """The estimator after the server counted ``counted`` tokens in ``messages``.

        A count outside the span widens it immediately; the span narrows slowly, since the next prompt is another text.
        """
        tokens = prompt_weight(messages)
        if tokens < LARGE_ENOUGH or counted <= 0:
            return self
        low, high = 0.9 * counted / tokens, 1.1 * counted / tokens
        return TokenEstimator(
            low=min(low, self.low + (low - self.low) / 4),
            high=max(high, self.high + (high - self.high) / 4),
        )


def clamp(max_tokens: int, window: int | None, prompt: int) -> int:
    """The tokens of ``window`` left for an answer after a prompt of ``prompt`` tokens, at most ``max_tokens``.

    At least the minimum answer (or ``max_tokens``, if that is less), since the prompt is an upper estimate: only the
    server knows whether it really fits.
    """
    if window is None:
        return max_tokens
    return min(max_tokens, max(window - prompt, MINIMUM_ANSWER))


def roomy(messages: Sequence[Message], window: int | None) -> bool:
    """Whether a conversation is so short that it fits with any tokenizer, so that nothing needs to be prepared for a
    cut: below a quarter of the window, by the estimate. An unknown window is not treated as small."""
    return prompt_weight(messages) * 4 < (window or 32_768)


class Fitted(msgspec.Struct, frozen=True):
    """A conversation as it is sent, and a description of each cut."""

    messages: tuple[Message, ...]
    cuts: tuple[str, ...] = ()


def fit(messages: Sequence[Message], estimator: TokenEstimator, max_tokens: int, window: int | None) -> Fitted:
    """Cut parts, in the order of their rank, until the upper estimate leaves an answer its share of ``window``.

    A part whose short form is not shorter stays as it is. The result may still be too long: see ``require``.
    """
    if window is None:
        return Fitted(tuple(messages))
    room = (window - min(max_tokens, max(window // SHARE, MINIMUM_ANSWER))) / estimator.high
    tokens = prompt_weight(messages)
    parts = [part for message in messages for part in message.parts if part.shorten is not None]
    shorter: dict[Part, str] = {}
    cuts: list[str] = []
    for part in sorted(parts, key=lambda part: part.rank):
        if tokens <= room:
            break
        assert part.shorten is not None
        text = part.shorten()
        saved = weight(part.text) - weight(text)
        if saved > 0:
            tokens -= saved
            shorter[part] = text
            cuts.append(f"{part.name} {part.how} ({len(text):,} of {len(part.text):,} characters)")
    return Fitted(tuple(_shortened(message, shorter) for message in messages), tuple(cuts))


def _shortened(message: Message, shorter: Mapping[Part, str]) -> Message:
    if shorter.keys().isdisjoint(message.parts):
        return message
    return Message(message.role, "".join(shorter.get(part, part.text) for part in message.parts))


def require(
    max_tokens: int, window: int | None, prompt: int, *, counted: bool = False, cuts: Sequence[str] = ()
) -> None:
    """Raise WindowTooSmall unless ``prompt`` tokens and a minimum answer fit into ``window``."""
    minimum = min(max_tokens, MINIMUM_ANSWER)
    if window is not None and prompt + minimum > window:
        raise too_small(minimum, window, prompt, counted=counted, cuts=cuts)


def too_small(
    minimum: int, window: int | None, prompt: int, *, counted: bool = False, cuts: Sequence[str] = ()
) -> WindowTooSmall:
    """The error with the arithmetic in tokens; ``counted`` if the server counted the prompt, else it is estimated."""
    about = "" if counted else "about "
    size = "an unknown number of tokens" if window is None else window
    return WindowTooSmall(
        f"The conversation does not fit the model's context window: it takes {about}{prompt} tokens, the shortest "
        f"useful answer {minimum}, together {about}{prompt + minimum}; the window has {size}.",
        tried=[f"cut to fit: {cut}" for cut in cuts],
        do=f"Serve the model with a window of at least {1 << (prompt + 4095).bit_length()} tokens "
        f"({dialects.load().options('window_option')}), or give a smaller task.",
    )


class Doubt(Enum):
    """Whether a server's count means that it read the whole prompt."""

    NONE = "it did"
    SOME = "it may not have"
    CERTAIN = "it did not"


def doubt(span: tuple[int, int], counted: int) -> Doubt:
    """Whether the server truncated the prompt, as Ollama does silently: it counted far fewer tokens than expected.

    Texts differ in characters per token, but not enough for a count below half. A count below two thirds must not
    correct the estimator: otherwise a prompt that grows while its count stays the same would lower the expectation step
    by step. Below a thousand tokens, the chat template's share is too large to decide, and no window is that small.
    """
    expected = sum(span) / 2
    if counted >= expected * 2 / 3:
        return Doubt.NONE
    return Doubt.CERTAIN if counted < expected / 2 and expected >= 1_000 else Doubt.SOME
