"""Close a stream before the server ends it: the answer is complete, or the model repeats itself.

The caller says what is enough, since nothing here knows what a question is about. Closing the connection frees the
server's slot.
"""

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from chatdev.models.stream import THINK, THINK_END, split_reasoning
from chatdev.models.types import Enough

LOOP = 4_000
"""Characters at the end of an answer that must be one repetition to count as a loop: about 1,000 tokens."""
PERIODS = 10
"""How often the repeated text must occur in them at least."""
PROSE, PROSE_PERIODS = 1_200, 6
"""The same for prose: text outside code, with some words in each period."""
LINES = 10
"""Lines in a row outside code that begin and end alike, apart from numbers, to count as a loop."""
_HEAD, _END = 40, 24
_WORDS = 5
_DENSE, _RATIO, _LETTERS, _SPACES = 2_000, 10, 0.8, 0.05
"""Characters of words, and the DEFLATE ratio from which they count as a loop: ordinary prose reaches 2 to 5."""
_LOOK = 500
"""Characters between two checks for a loop."""
_NEEDLE = 64
_WORD, _NUMBER = re.compile(r"[^\W\d_]{2,}"), re.compile(r"\d+")
_SHORT = 400
"""Characters of a line that are examined: a line that concludes an answer is short."""


class Stop(NamedTuple):
    """Why a stream is closed: ``finish_reason`` as the server would have given it (a loop ends only at the limit)."""

    finish_reason: str
    why: str


ENOUGH = Stop("stop", "the answer was complete")
CIRCLES = Stop("length", "the model repeated itself")


class StopCondition:
    """Watches one answer as it arrives. ``thinks``: its model may think aloud without marking where that begins."""

    def __init__(self, enough: Enough | None, *, thinks: bool = False) -> None:
        self._enough, self._thinks = enough, thinks
        self._texts = self._reasonings = 0
        self._grown = self._length = 0
        self._seen, self._edge, self._fences = 0, "", 0
        self._line = ""
        self._seen_characters = 0
        self._due = 0

    def check(self, texts: Sequence[str], reasonings: Sequence[str]) -> Stop | None:
        """Whether to stop now. Each look examines only what is new."""
        fresh, thought = "".join(texts[self._texts :]), "".join(reasonings[self._reasonings :])
        self._texts, self._reasonings = len(texts), len(reasonings)
        self._grown += len(fresh) + len(thought)
        if self._grown >= _LOOK:
            self._length += self._grown
            self._grown = 0
            if self._length >= PROSE and self._circles(texts, texts if fresh else reasonings):
                return CIRCLES
        if self._enough and fresh and (upto := self._completed(fresh)):
            answer = self._answer_in("".join(texts)[:upto], aloud=self._thinks and not reasonings)
            return ENOUGH if answer and self._enough(answer) else None
        return None

    def _circles(self, texts: Sequence[str], growing: Sequence[str]) -> bool:
        """Whether the end of the growing text is a loop. Code repeats more by nature, so it needs stronger evidence."""
        since = self._edge + "".join(texts[self._seen :])
        self._seen, self._edge, self._fences = len(texts), since[-2:], self._fences + since.count("```")
        tail = _tail(growing)
        return circling(tail) or (not self._fences % 2 and rambling(tail))

    def _completed(self, fresh: str) -> int:
        """The end of the last line that may conclude the answer, once more text follows it; else 0.

        A model that ends there by itself may do so: then its server still counts the tokens.
        """
        upto = 0
        for number, part in enumerate(fresh.split("\n")):
            if number:
                self._seen_characters += 1
                if self._line.lstrip()[:3] in ("```", "~~~") or "INFO" in self._line.upper():
                    self._due = self._seen_characters
                self._line = ""
            self._seen_characters += len(part)
            self._line = (self._line + part)[:_SHORT]
            if self._due and self._line.strip():
                upto, self._due = self._due, 0
        return upto

    @staticmethod
    def _answer_in(text: str, *, aloud: bool) -> str:
        """The answer without its reasoning; empty while the model may still be thinking."""
        if THINK_END not in text and (aloud or text.lstrip().startswith(THINK)):
            return ""
        return split_reasoning(text)[1]


def _tail(pieces: Sequence[str]) -> str:
    return "".join(pieces[-LOOP:])[-LOOP:]  # none of them is empty


def circling(tail: str) -> bool:
    """Whether the end of an answer is one short text, repeated."""
    return len(tail) >= LOOP and bool(_period(tail[-LOOP:], LOOP // PERIODS))


def rambling(tail: str) -> bool:
    """The same outside code: fewer repetitions suffice, and they may vary a little.

    Measured on 1,360 answers of real models: 2 of them are detected as loops, and both are loops.
    """
    return _repeats(tail) or _are_alike(tail.split("\n")[-LINES - 2 : -1]) or _is_dense(tail[-_DENSE:])


def _repeats(tail: str) -> bool:
    if len(tail) < PROSE:
        return False
    period = _period(tail[-PROSE:], len(tail) // PROSE_PERIODS)
    length = max(PROSE, PROSE_PERIODS * period)
    if not period or len(set(_WORD.findall(tail[-period:]))) < _WORDS:
        return False
    return len(tail) >= length and tail[-length + period :] == tail[-length:-period]


def _period(text: str, most: int) -> int:
    """The period of a text that is one repetition, if it is at most ``most`` characters; else 0."""
    needle, at = text[-_NEEDLE:], len(text) - _NEEDLE
    while (at := text.rfind(needle, 0, at + _NEEDLE - 1)) >= 0:
        period = len(text) - _NEEDLE - at
        if period > most:
            return 0
        if text[period:] == text[:-period]:
            return period
    return 0


def _are_alike(lines: Sequence[str]) -> bool:
    """Whether all lines begin and end alike, apart from numbers. Empty lines do not count."""
    ends = None
    alike = 1
    for line in reversed(lines):
        if not line.strip():
            continue
        bare = _NUMBER.sub("0", line.strip())
        if len(bare) < _HEAD + _END or ends not in (None, (bare[:_HEAD], bare[-_END:])):
            return False
        alike += ends is not None
        ends = bare[:_HEAD], bare[-_END:]
    return alike >= LINES


def _is_dense(text: str) -> bool:
    """Whether the same words recur many times, in any order."""
    if len(text) < _DENSE:
        return False
    data = text.encode(errors="replace")
    if len(data) < _RATIO * len(zlib.compress(data, 1)):
        return False
    spaces = sum(map(str.isspace, text))
    return spaces > _SPACES * len(text) and spaces + sum(map(str.isalpha, text)) > _LETTERS * len(text)
