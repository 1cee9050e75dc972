"""Parses the protocol's answer, streamed or not and in every dialect, into one value.

The stream is server-sent events (WHATWG HTML, section 9.2): lines of ``data:`` with a JSON object each, comments, blank
lines between; or one JSON object in each line. ``chatdev.models.wire`` reads the values, ``chatdev.models.transport``
feeds the bytes; this module does no I/O.
"""

import json
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from chatdev.models import dialects, refusals, wire
from chatdev.models.errors import CutShort
from chatdev.models.refusals import UNREADABLE, Refusal
from chatdev.models.wire import Chunk
from chatdev.receipt import Usage

Kind = Literal["reasoning", "text"]

BOM = b"\xef\xbb\xbf"


class ServerAnswer(msgspec.Struct, frozen=True):
    """One whole answer as the server sent it. ``usage`` is None if the server counted nothing; ``pieces`` is the number
    of deltas with text, about the number of tokens in a streamed answer.

    ``finish_reason`` is ``stop``, ``length``, ``content_filter`` or ``tool_calls``, whatever the server's word for it.
    ``done``: the end mark came. ``streamed``: it came in events, not in one object. ``field`` is where the reasoning
    was: ``reasoning``, ``reasoning_content`` or ``<think>``; empty if there was none. ``stopped`` says why we closed
    the stream before its end. ``end_assumed``: there was no finish reason, but an end mark after a text. ``notes`` say
    what was unusual; ``text_in`` is the field that had the text of an answer whose content is empty.
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
    end_assumed: bool = False
    notes: tuple[str, ...] = ()
    text_in: str = ""


class AnswerReader:
    """Reads an answer's bytes as they arrive, split anywhere, and returns the answer at the end. Time and memory are
    linear.

    ``pieces`` counts the deltas with text so far; ``done``: the server announced the end; ``finish_reason`` is the
    server's own, in the protocol's words.
    """

    def __init__(self) -> None:
        self.pieces = 0
        self.done = False
        self.finish_reason = ""
        self.stopped = ""
        self._rules = dialects.load()
        self._reasoning_fields = self._rules.reasoning_fields
        self._texts: list[str] = []
        self._reasonings: list[str] = []
        self._usage: Any = None
        self._last: Chunk | None = None
        self._refusal: Refusal | None = None
        self._opening = b""
        self._form: Literal["", "events", "json", "whole", "lines"] = ""
        self._is_json = False
        self._after_cr = False
        self._rest: list[bytes] = []
        self._held: list[bytes] = []
        self._chunks = 0
        self._whole_message = False
        self._repair = False
        self._shown = _Shown()
        self._field = ""
        self._elsewhere = ""
        self._notes: list[str] = []

    def feed(self, data: bytes) -> None:
        """Read the next bytes. This is the hot path: one split per network read, one typed decoding per event."""
        if not self._form and not (data := self._begun(data)):
            return
        if 13 in data or self._after_cr:  # a carriage return
            data = self._with_line_feeds(data)
        if self._is_json:
            self._rest.append(data)
            if self._form == "whole" or b"\n" not in data or not self._is_first_of_lines():
                return
            data, self._rest = b"".join(self._rest), []
        end = data.rfind(b"\n")
        if end < 0:
            self._rest.append(data)
            return
        block = data[:end]
        if self._rest:
            self._rest.append(block)
            block = b"".join(self._rest)
        self._rest = [data[end + 1 :]] if end + 1 < len(data) else []
        for line in block.split(b"\n"):
            if line.startswith(b"data:"):
                source = line[5:]
            elif line and line.startswith((b"{", b"error:")):  # one object per line; an error of an older llama.cpp
                source = line.removeprefix(b"error:")
            else:
                if self._held and not line.strip():
                    self._release()
                continue
            try:
                chunk = wire.decode(source)
            except UNREADABLE:
                self._hold(source)
            else:
                self._add(chunk, source)

    def _begun(self, data: bytes) -> bytes:
        """The first bytes, without a byte-order mark, once they show the form of the answer; empty until then."""
        self._opening += data
        opening = self._opening.lstrip()
        if len(opening) < len(BOM) and BOM.startswith(opening):
            return b""
        opening = opening.removeprefix(BOM).lstrip()
        if opening:
            self._is_json = opening[:1] in (b"{", b"[", b"<")
            self._form = "json" if self._is_json else "events"
        self._opening = opening
        return opening

    def _with_line_feeds(self, data: bytes) -> bytes:
        """The data with every line end as a line feed: a stream may use CR LF, or CR alone."""
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
        self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _is_first_of_lines(self) -> bool:
        """Whether a JSON answer has one object per line: its first line is an object by itself."""
        first = b"".join(self._rest).partition(b"\n")[0]
        self._is_json = not wire.decode_leniently(first)
        self._form = "whole" if self._is_json else "lines"
        return not self._is_json

    def _add(self, chunk: Chunk, source: bytes) -> None:
        self._last = chunk
        self._chunks += 1
        if choices := chunk.choices:
            choice = choices[0] if type(choices) is list else choices
            if type(choice) is dict and not (choice.get("index") and wire.whole_number(choice["index"])):
                self._add_choice(choice)
        if chunk.error or chunk.message:
            self._add_error_or_message(chunk, source)
        if chunk.usage:
            self._usage = chunk.usage

    def _add_choice(self, choice: dict[str, Any]) -> None:
        delta = choice.get("delta")
        if type(delta) is dict and len(delta) == 1 and type(content := delta.get("content")) is str and content:
            self._texts.append(content)  # the usual chunk, without any search
            self.pieces += 1
        elif not delta and (message := choice.get("message")):
            self._whole_message = True
            self._add_delta(message if isinstance(message, dict) else {"content": message})
        elif isinstance(delta, dict):
            self._add_delta(delta)
        elif text := delta or choice.get("text"):
            self._add_delta({"content": text})
        if finish := choice.get("finish_reason"):
            self._finish(wire.word(finish))
        if error := choice.get("error"):
            self._refuse(error, json.dumps({"error": error}).encode())

    def _add_delta(self, delta: dict[str, Any]) -> None:
        content = delta.get("content")
        if content:
            text, thought = (content, "") if isinstance(content, str) else wire.text_in(content)
            if text:
                self._texts.append(text)
                self.pieces += 1
            if thought:
                self._think(thought, "content")
        for name in self._reasoning_fields:
            if value := delta.get(name):
                self._think("".join(wire.text_in(value)), name)
                break
        if not content:
            self._look_elsewhere(delta)

    def _think(self, thought: str, field: str) -> None:
        if thought:
            self._reasonings.append(thought)
            self._field = field
            self.pieces += 1

    def _look_elsewhere(self, delta: dict[str, Any]) -> None:
        """Note a text that is neither content nor reasoning; a run cannot use it, but can say where it was."""
        name = next((name for name in ("tool_calls", "function_call", "refusal", "text") if delta.get(name)), "")
        if name == "text":
            self._add_delta({"content": delta["text"]})
        elif name:
            self._elsewhere = name
            self.pieces += 1

    def _finish(self, word: str) -> None:
        """Take a finish reason over, in the protocol's own words. An unknown word ends an answer all the same."""
        meaning = self._rules.finish.get(word.lower())
        if meaning is None:
            meaning = "stop"
            self._notes.append(f'the finish reason "{word[:40]}" is unknown; the answer counts as whole')
        if meaning == "error":
            message = f"it ended the answer with the finish reason {word[:40]}"
            self._refusal = self._refusal or Refusal(500, message, within_answer=True)
        self.finish_reason = meaning

    def _add_error_or_message(self, chunk: Chunk, source: bytes) -> None:
        """An error object beside the choices, or an answer outside of them."""
        if isinstance(chunk.message, dict) and not chunk.error and ("content" in chunk.message):
            self._whole_message = True
            self._add_delta(chunk.message)
        elif chunk.error or not chunk.choices:
            self._refuse(chunk.error or chunk.message, source)

    def _refuse(self, error: object, body: bytes) -> None:
        """An engine that dies during an answer reports it in an answer whose HTTP status was 200 (vLLM)."""
        if isinstance(error, Mapping) and str(error.get("code") or 0) in ("0", "200") and not error.get("message"):
            return  # an empty form: there was no error
        self._refusal = refusals.read(wire.status_of(error), body, within_answer=True)

    def _hold(self, data: bytes) -> None:
        """Keep a line that is not JSON by itself: the end mark, or part of an event with several data lines."""
        if data.strip().upper() == b"[DONE]":
            self.done = True
        elif data.strip():
            self._held.append(data)
            if self._form == "lines":
                self._release()

    def _release(self) -> None:
        data = b"\n".join(self._held)
        self._held = []
        self._add_leniently(data)

    def _add_leniently(self, data: bytes) -> None:
        """Take what the strict decoder refused: broken UTF-8, or half of an escaped surrogate pair, as a token with
        half an emoji produces. Data that still is not JSON counts as a failure of the server."""
        self._repair = True
        if chunk := wire.decode_leniently(data):
            self._add(chunk, data)
            return
        quoted = data.decode("utf-8", "replace").strip()[:200]
        html = data.lstrip().startswith(b"<")
        message = f"its answer cannot be read: {quoted}"
        self._refusal = Refusal(200 if html else 500, message, html=html, within_answer=not html)

    def news(self) -> list[tuple[Kind, str]]:
        """What came since the last call, for ``watch``."""
        news = self._shown.since(self._reasonings, self._texts)
        return [(kind, wire.repaired(text)) for kind, text in news] if self._repair else news

    @property
    def so_far(self) -> tuple[list[str], list[str]]:
        """The pieces of the text and of the reasoning that came so far."""
        return self._texts, self._reasonings

    def stop_early(self, finish_reason: str, why: str) -> None:
        """Treat what came so far as the whole answer and ignore the rest."""
        self.finish_reason, self.stopped = finish_reason, why
        self._rest, self._held = [], []

    def close(self) -> ServerAnswer | Refusal:
        """The answer, after the last bytes. Raises CutShort if the server sent no finish reason."""
        if self._form in ("json", "whole"):  # the answer in one JSON object, even if a stream was requested
            whole = b"".join(self._rest)
            try:
                self._add(wire.decode(whole), whole)
            except UNREADABLE:
                self._add_leniently(whole)
        elif self._form:
            self.feed(b"\n\n")
        if self._refusal:
            return self._refusal
        end_assumed = self._assume_end() if not self.finish_reason else False
        first, text = split_reasoning(self._joined(self._texts))
        last = self._last or Chunk()
        field = self._field or (THINK if first else "")
        return ServerAnswer(
            text=text,
            reasoning=self._joined(self._reasonings) + first,
            finish_reason=self.finish_reason,
            usage=wire.counted(self._usage, self.pieces),
            pieces=self.pieces,
            id=wire.printable(last.id),
            created=wire.whole_number(last.created) or 0,
            model=wire.printable(last.model),
            done=self.done,
            streamed=self._form == "events" or self._chunks > 1,
            field=field,
            stopped=self.stopped,
            end_assumed=end_assumed,
            notes=tuple(self._notes),
            text_in="" if text.strip() else self._elsewhere or field,
        )

    def _assume_end(self) -> bool:
        """Decide whether an answer without a finish reason is whole: a whole message is. A text before the server's
        end mark is too, and this is noted. Raises CutShort."""
        if self._form != "events" and self._chunks == 1 and (self._whole_message or self._texts):
            self.finish_reason = "stop"
            return False
        if not (self.done and self._texts):
            raise CutShort(f"The answer ended after {self.pieces} chunks without a finish reason.")
        self.finish_reason = "stop"
        self._notes.append("the server sent no finish reason; its end mark counts")
        return True

    def _joined(self, pieces: list[str]) -> str:
        text = "".join(pieces)
        return wire.repaired(text) if self._repair else text


class _Shown:
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
