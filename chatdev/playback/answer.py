"""One answer in the protocol's two forms: a whole object, or a stream of events."""

import asyncio
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any

import msgspec

from chatdev.playback.protocol import CHARACTERS

Pieces = tuple[bytes, ...]
"""A text in pieces of one token each, every piece encoded as a JSON string."""

_encode = msgspec.json.encode
DONE = b"data: [DONE]\n\n"
BATCH = 256
"""Tokens per write when there is no delay between them: about 50 kB. This takes a third of the CPU time of one large
write, since no new memory is mapped for it (measured on an answer of 1,500 tokens)."""


def pieces(text: str) -> Pieces:
    """``text`` in pieces."""
    return tuple(_encode(text[start : start + CHARACTERS]) for start in range(0, len(text), CHARACTERS))


class PlayedAnswer(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """An answer up to its token limit: first the reasoning (``thought``), then the content (``text_pieces``).

    ``field`` is the name of the reasoning field. ``null``: the content is null, not empty. ``cached_tokens`` are the
    prompt tokens that a prefix cache would have saved; None if that is not computed.
    """

    id: str
    model: str
    created: int
    thought: Pieces
    text_pieces: Pieces
    finish_reason: str
    prompt_tokens: int
    cached_tokens: int | None = None
    field: str = "reasoning"
    null: bool = False

    @property
    def tokens(self) -> int:
        """The size of the completion."""
        return len(self.thought) + len(self.text_pieces)

    def usage(self) -> dict[str, Any]:
        """The ``usage`` object."""
        completion = {"reasoning_tokens": len(self.thought)} if self.thought else None
        return {
            "prompt_tokens": self.prompt_tokens,
            "total_tokens": self.prompt_tokens + self.tokens,
            "completion_tokens": self.tokens,
            "prompt_tokens_details": None if self.cached_tokens is None else {"cached_tokens": self.cached_tokens},
            "completion_tokens_details": completion,
        }

    def whole(self, *, usage: bool) -> bytes:
        """The ``chat.completion`` object; its content is null if there is only reasoning, as with vLLM's parsers."""
        message: dict[str, Any] = {"role": "assistant", "content": _joined(self.text_pieces)}
        if self.null or (self.thought and not self.text_pieces):
            message["content"] = None
        if self.thought:
            message[self.field] = _joined(self.thought)
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        whole = {"id": self.id, "object": "chat.completion", "created": self.created, "model": self.model}
        return _encode(whole | {"choices": [choice]} | ({"usage": self.usage()} if usage else {}))

    @cached_property
    def _lead(self) -> bytes:
        """The beginning of every event, up to the value of ``choices``."""
        lead = {"id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model}
        return b"data: " + _encode(lead)[:-1] + b',"choices":'

    @property
    def _nothing(self) -> bytes:
        return b"null" if self.null else b'""'

    def opening(self) -> bytes:
        """The event that names the role."""
        delta = b'[{"index":0,"delta":{"role":"assistant","content":%b},"logprobs":null,"finish_reason":null}]}\n\n'
        return self._lead + delta % self._nothing

    def between(self, start: int, end: int) -> bytes:
        """The events of the tokens from ``start`` up to ``end``."""
        split = len(self.thought)
        thought, text_pieces = self.thought[start:end], self.text_pieces[max(start - split, 0) : max(end - split, 0)]
        return self._events(_encode(self.field), thought) + self._events(b'"content"', text_pieces)

    def _events(self, field: bytes, some: Pieces) -> bytes:
        if not some:
            return b""
        before = self._lead + b'[{"index":0,"delta":{%b:' % field
        after = b'},"logprobs":null,"finish_reason":null}]}\n\n'
        return before + (after + before).join(some) + after

    def closing(self, *, usage: bool) -> bytes:
        """The event with the finish reason and, if requested, the one with the usage and no choices."""
        end = b'[{"index":0,"delta":{"content":%b},"logprobs":null,"finish_reason":%b,"stop_reason":null}]}\n\n'
        closing = self._lead + end % (self._nothing, _encode(self.finish_reason))
        return closing + (self._lead + b'[],"usage":%b}\n\n' % _encode(self.usage()) if usage else b"")


def _joined(some: Pieces) -> msgspec.Raw:
    """The JSON string of all pieces together, without decoding them."""
    return msgspec.Raw(b'"' + b"".join([piece[1:-1] for piece in some]) + b'"')


async def pace(total: int, first: float, each: float) -> AsyncIterator[int]:
    """How many of ``total`` tokens are due, as time passes: one after ``first`` seconds, then one every ``each``.

    Each token's time is counted from the start: a late token delays no other, and all tokens due are sent together.
    """
    now = asyncio.get_running_loop().time
    start = now() + first
    await asyncio.sleep(first)
    due = 0
    while due < total:
        if (wait := start + due * each - now()) > 0:
            await asyncio.sleep(wait)
        due = min(total, max(due + 1, int((now() - start) / each) + 1)) if each else min(total, due + BATCH)
        yield due
