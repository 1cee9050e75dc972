"""Streams that end before the server ends them: all that was asked for has come, or the model goes in circles.

Whoever asks says what is enough, since nothing here knows what a question is about. The connection is closed then,
which frees the server's slot.
"""

from collections.abc import Sequence
from typing import NamedTuple

from chatdev.models.stream import THINK, THINK_END, split_reasoning
from chatdev.models.types import Enough

LOOP = 4_000
"""Characters at the end of an answer that must be one repetition, to be taken for a circle: about 1,000 tokens."""
PERIODS = 10
"""Times at least that the repeated text stands in them."""
_LOOK = 1_000
"""Characters between two looks for a circle."""
_NEEDLE = 64
_SHORT = 400
"""Characters of a line that are looked at: what concludes an answer is no long line."""


class Stop(NamedTuple):
    """Why a stream is left: ``finish_reason`` as the server would have said it (a circle only ends at the limit)."""

    finish_reason: str
    why: str


ENOUGH = Stop("stop", "all that was asked for had come")
CIRCLES = Stop("length", "it went in circles")


class Sentry:
    """Looks at one answer as it comes. ``thinks``: its model may think aloud without saying where that begins."""

    def __init__(self, enough: Enough | None, *, thinks: bool = False) -> None:
        self._enough, self._thinks = enough, thinks
        self._texts = self._reasonings = 0
        self._grown = 0
        self._line = ""
        self._heard = 0
        self._due = 0

    def look(self, texts: Sequence[str], reasonings: Sequence[str]) -> Stop | None:
        """Whether to stop, now that the answer has so many pieces. Each look costs what is new alone."""
        fresh, thought = "".join(texts[self._texts :]), "".join(reasonings[self._reasonings :])
        self._texts, self._reasonings = len(texts), len(reasonings)
        self._grown += len(fresh) + len(thought)
        if self._grown >= _LOOK:
            self._grown = 0
            if circling(_tail(texts if fresh else reasonings)):
                return CIRCLES
        if self._enough and fresh and (upto := self._completed(fresh)):
            said = self._said("".join(texts)[:upto], aloud=self._thinks and not reasonings)
            return ENOUGH if said and self._enough(said) else None
        return None

    def _completed(self, fresh: str) -> int:
        """Where the last line ended that may have been the last one asked for, once something comes after it; else 0.

        A model that ends there by itself is left to do so: then its server still counts the tokens.
        """
        upto = 0
        for number, part in enumerate(fresh.split("\n")):
            if number:
                self._heard += 1
                if self._line.lstrip()[:3] in ("```", "~~~") or "INFO" in self._line.upper():
                    self._due = self._heard
                self._line = ""
            self._heard += len(part)
            self._line = (self._line + part)[:_SHORT]
            if self._due and self._line.strip():
                upto, self._due = self._due, 0
        return upto

    @staticmethod
    def _said(text: str, *, aloud: bool) -> str:
        """The answer without its thoughts; empty while it may still be thinking."""
        if THINK_END not in text and (aloud or text.lstrip().startswith(THINK)):
            return ""
        return split_reasoning(text)[1]


def _tail(pieces: Sequence[str]) -> str:
    found: list[str] = []
    length = 0
    for piece in reversed(pieces):
        found.append(piece)
        length += len(piece)
        if length >= LOOP:
            break
    return "".join(reversed(found))[-LOOP:]


def circling(tail: str) -> bool:
    """Whether the end of an answer is one short text over and over."""
    if len(tail) < LOOP:
        return False
    needle, at = tail[-_NEEDLE:], len(tail) - _NEEDLE
    while (at := tail.rfind(needle, 0, at + _NEEDLE - 1)) >= 0:
        period = len(tail) - _NEEDLE - at
        if period > LOOP // PERIODS:
            return False
        if tail[period:] == tail[:-period]:
            return True
    return False
