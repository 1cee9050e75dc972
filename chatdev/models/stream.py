"""Parses the protocol's answer, streamed or not and in every dialect, into one value.

The stream is server-sent events (WHATWG HTML, section 9.2): lines of ``data:`` with a JSON object each, comments, blank
lines between. Differences between servers are noted where they are handled. ``chatdev.models.transport`` feeds the
bytes; this module does no I/O.
"""

import json
import math
import re
from typing import Any, Literal

import msgspec

from chatdev.models import refusals
from chatdev.models.errors import CutShort
from chatdev.models.refusals import UNREADABLE, Refusal
from chatdev.receipt import Usage


class _Details(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None
    completion_tokens_details: _Details | None = None


class _Said(msgspec.Struct, gc=False):
    """A ``delta`` or a ``message``. Reasoning has two names: vLLM's today, and DeepSeek's in older servers."""

    content: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None
    index: int | None = 0


class _Event(msgspec.Struct, gc=False):
    """One chunk or one whole answer. A ``message`` outside the choices is an error object (older vLLM)."""

    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    id: Any = None
    created: Any = None
    model: Any = None
    error: Any = None
    message: Any = None


_decode = msgspec.json.Decoder(_Event).decode

Kind = Literal["reasoning", "text"]


class ServerAnswer(msgspec.Struct, frozen=True):
    """One whole answer as the server sent it. ``usage`` is None if the server counted nothing; ``pieces`` is the number
    of deltas with text, about the number of tokens in a streamed answer.

    ``done``: the end mark came. ``streamed``: it came in events, not in one object. ``field`` is where the reasoning
    was: ``reasoning``, ``reasoning_content`` or ``<think>``; empty if there was none. ``stopped`` says why we closed
    the stream before its end.
    """

    text: str
    reasoning: str
    finish_reason: str
    usage: Usage | None
    pieces: int
    id: str
    created: int
    model: str
    done: bool = False
    streamed: bool = False
    field: str = ""
    stopped: str = ""


class AnswerReader:
    """Reads an answer's bytes as they arrive, split anywhere, and returns the answer at the end. Time and memory are
    linear.

    ``pieces`` counts the deltas with text so far; ``done``: the server announced the end; ``finish_reason`` is the
    server's own.
    """

    def __init__(self) -> None:
        self.pieces = 0
        self.done = False
        self.finish_reason = ""
        self.stopped = ""
        self._texts: list[str] = []
        self._reasonings: list[str] = []
        self._usage: _Usage | None = None
        self._last: _Event | None = None
        self._refusal: Refusal | None = None
        self._start = b""
        self._whole = False
        self._rest: list[bytes] = []
        self._held: list[bytes] = []
        self._mend = False
        self._told = _Told()
        self._field = ""

    def feed(self, data: bytes) -> None:
        """Read the next bytes. This is the hot path: one split per network read, one typed decoding per event."""
        if not self._start:
            self._start = data.lstrip()[:1]
            self._whole = self._start in (b"{", b"[", b"<")
        end = data.rfind(b"\n")
        if end < 0 or self._whole:
            self._rest.append(data)
            return
        block = data[:end]
        if self._rest:
            self._rest.append(block)
            block = b"".join(self._rest)
        self._rest = [data[end + 1 :]] if end + 1 < len(data) else []
        for line in block.split(b"\n"):
            if line.startswith(b"data:"):
                try:
                    event = _decode(line[5:])
                except UNREADABLE:
                    self._hold(line[5:])
                else:
                    self._take(event, line)
            elif self._held and not line.strip():
                self._release()

    def _take(self, event: _Event, source: bytes) -> None:
        self._last = event
        if event.choices:
            choice = event.choices[0]
            said = choice.delta or choice.message
            if said and not choice.index:
                if said.content:
                    self._texts.append(said.content)
                    self.pieces += 1
                if reasoning := said.reasoning or said.reasoning_content:
                    self._reasonings.append(reasoning)
                    self._field = "reasoning" if said.reasoning else "reasoning_content"
                    self.pieces += 1
            if choice.finish_reason:
                self.finish_reason = choice.finish_reason
        elif event.error or event.message:
            self._refuse(event, source)
        if event.usage and event.usage.prompt_tokens is not None:
            self._usage = event.usage

    def _refuse(self, event: _Event, source: bytes) -> None:
        """An engine that dies during an answer reports it inside a stream whose HTTP status was 200 (vLLM)."""
        code = refusals.words(event.error.get("code") if isinstance(event.error, dict) else "")
        status = int(code) if re.fullmatch("[45][0-9][0-9]", code) else 500
        self._refusal = refusals.read(status, source.removeprefix(b"data:"))

    def _hold(self, data: bytes) -> None:
        """Keep a line that is not JSON by itself: the end mark, or part of an event with several data lines."""
        if data.strip() == b"[DONE]":
            self.done = True
        else:
            self._held.append(data)

    def _release(self) -> None:
        data = b"\n".join(self._held)
        self._held = []
        if event := self._decode_leniently(data):
            self._take(event, data)

    def _decode_leniently(self, data: bytes) -> _Event | None:
        """Decode what the strict decoder refused: broken UTF-8, or half of an escaped surrogate pair, as a token with
        half an emoji produces. Data that still is not JSON counts as a failure of the server."""
        self._mend = True
        try:
            return msgspec.convert(json.loads(data.decode("utf-8", "replace")), _Event)
        except (ValueError, msgspec.ValidationError, RecursionError):
            quoted = data.decode("utf-8", "replace").strip()[:200]
            html = self._start == b"<"
            self._refusal = Refusal(200 if html else 500, f"its answer cannot be read: {quoted}", html=html)
            return None

    def news(self) -> list[tuple[Kind, str]]:
        """What came since the last call, for ``watch``."""
        return self._told.since(self._reasonings, self._texts)

    @property
    def so_far(self) -> tuple[list[str], list[str]]:
        """The pieces of the text and of the reasoning that came so far."""
        return self._texts, self._reasonings

    def leave(self, finish_reason: str, why: str) -> None:
        """Treat what came so far as the whole answer and ignore the rest."""
        self.finish_reason, self.stopped = finish_reason, why
        self._rest, self._held = [], []

    def close(self) -> ServerAnswer | Refusal:
        """The answer, after the last bytes. Raises CutShort if the server sent no finish reason."""
        if self._whole:  # the answer in one JSON object, even if a stream was requested
            whole = b"".join(self._rest)
            if event := self._decode_leniently(whole):
                self._take(event, whole)
                self.finish_reason = self.finish_reason or ("stop" if event.choices else "")
        else:
            self.feed(b"\n\n")
        if self._refusal:
            return self._refusal
        if not self.finish_reason:
            raise CutShort(f"The answer ended after {self.pieces} chunks without a finish reason.")
        first, text = split_reasoning(self._mended(self._texts))
        last = self._last or _Event()
        return ServerAnswer(
            text=text,
            reasoning=self._mended(self._reasonings) + first,
            finish_reason=self.finish_reason,
            usage=_counted(self._usage),
            pieces=self.pieces,
            id=refusals.words(last.id),
            created=_whole_number(last.created),
            model=refusals.words(last.model),
            done=self.done,
            streamed=not self._whole,
            field=self._field or (THINK if first else ""),
            stopped=self.stopped,
        )

    def _mended(self, pieces: list[str]) -> str:
        """The pieces joined, with the halves of surrogate pairs combined again."""
        text = "".join(pieces)
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if self._mend else text


class _Told:
    """How much of an answer was passed to ``watch``, and whether that was inside a think block."""

    def __init__(self) -> None:
        self._reasonings = 0
        self._texts = 0
        self._thinking: bool | None = None
        self._tail = ""

    def since(self, reasonings: list[str], texts: list[str]) -> list[tuple[Kind, str]]:
        news: list[tuple[Kind, str]] = []
        if len(reasonings) > self._reasonings:
            news.append(("reasoning", "".join(reasonings[self._reasonings :])))
            self._reasonings = len(reasonings)
        if len(texts) > self._texts:
            fresh = "".join(texts[self._texts :])
            news.append(("reasoning" if self._in_thought(fresh) else "text", fresh))
            self._texts = len(texts)
        return news

    def _in_thought(self, fresh: str) -> bool:
        if self._thinking is None and fresh.strip():
            self._thinking = fresh.lstrip().startswith(THINK)
        thinking = bool(self._thinking)
        if thinking and THINK_END in self._tail + fresh:
            self._thinking = False
        self._tail = fresh[-len(THINK_END) :]
        return thinking


THINK, THINK_END = "<think>", "</think>"


def split_reasoning(text: str) -> tuple[str, str]:
    """Reasoning and answer of a text that may begin with a think block.

    The block may not be closed (the answer was cut while the model was thinking), and its start may be missing (the
    chat template put it into the prompt). A block further inside belongs to the answer.
    """
    begun = text.lstrip().startswith(THINK)
    thought, end, answer = text.partition(THINK_END)
    if begun:
        return thought.lstrip()[len(THINK) :].strip(), answer.lstrip()
    if end and THINK not in thought:
        return thought.strip(), answer.lstrip()
    return "", text


def _whole_number(value: object) -> int:
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else 0
    return value if isinstance(value, int) else 0


def _counted(usage: _Usage | None) -> Usage | None:
    if usage is None:
        return None
    prompt, completion = usage.prompt_tokens_details, usage.completion_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=prompt.cached_tokens if prompt else None,
        reasoning_tokens=completion.reasoning_tokens if completion else None,
    )
