"""Reads the values of one chunk or one whole answer leniently: servers differ in the types that they send.

Strict is only what an answer needs: that a chunk is JSON. Counts, indexes and finish reasons of another type than
documented are read if they can be, and otherwise ignored.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from chatdev.models import refusals
from chatdev.receipt import Usage


class Chunk(msgspec.Struct, gc=False):
    """One chunk or one whole answer, with fields of any type.

    A ``message`` outside the choices is an error's text (older vLLM), or the answer (Ollama's own API).
    """

    choices: Any = None
    usage: Any = None
    id: Any = None
    created: Any = None
    model: Any = None
    error: Any = None
    message: Any = None


decode = msgspec.json.Decoder(Chunk).decode
"""The chunk in UTF-8 JSON. Raises one of ``refusals.UNREADABLE`` for what only ``decode_leniently`` can read."""


def decode_leniently(data: bytes) -> Chunk | None:
    """The chunk in JSON with broken UTF-8, halves of escaped surrogate pairs or control characters; None if it is no
    JSON. Bytes that are no UTF-8 become surrogates, see ``repaired``."""
    try:
        value = json.loads(data.decode("utf-8", "surrogateescape"), strict=False)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, list) and len(value) == 1:  # Gemini wraps an error in a list
        value = value[0]
    if not isinstance(value, dict):
        return Chunk()  # no part of an answer
    return Chunk(**{name: value.get(name) for name in Chunk.__struct_fields__})


def text_in(content: object) -> tuple[str, str]:
    """The text and the reasoning in a content of any type: a text, a part, or a list of parts."""
    if isinstance(content, str):
        return content, ""
    if isinstance(content, list):
        texts, thoughts = [], []
        for part in content:
            text, thought = text_in(part)
            texts.append(text)
            thoughts.append(thought)
        return "".join(texts), "".join(thoughts)
    if isinstance(content, Mapping):
        inner = content.get("thinking") or content.get("reasoning")
        if inner and not content.get("text"):
            return "", "".join(text_in(inner))
        return text_in(content.get("text") or content.get("content") or "")
    return "", ""


def word(value: object) -> str:
    """A finish reason as one word; some servers send an object with the word in ``type`` or ``reason``."""
    if isinstance(value, Mapping):
        value = value.get("type") or value.get("reason")
    return refusals.words(value).strip()


def whole_number(value: object) -> int | None:
    """A count, as a number or as text; None if it is neither, or negative."""
    if isinstance(value, str) and re.fullmatch(r"\s*[0-9]{1,15}(\.[0-9]{0,15})?\s*", value):
        return int(float(value))
    if isinstance(value, float) and math.isfinite(value):
        return int(value) if value >= 0 else None
    return value if isinstance(value, int) and value >= 0 else None


def counted(usage: object, pieces: int) -> Usage | None:
    """The token counts in a ``usage`` of any form; None without a count of the prompt. ``pieces`` stands for a missing
    count of the answer."""
    if not isinstance(usage, Mapping):
        return None
    prompt = _count(usage, "prompt_tokens", "input_tokens")
    if prompt is None:
        return None
    completion = _count(usage, "completion_tokens", "output_tokens")
    return Usage(
        prompt_tokens=prompt,
        completion_tokens=pieces if completion is None else completion,
        cached_tokens=_count(usage.get("prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=_count(usage.get("completion_tokens_details"), "reasoning_tokens"),
    )


def _count(value: object, *names: str) -> int | None:
    if not isinstance(value, Mapping):
        return None
    return next((count for name in names if (count := whole_number(value.get(name))) is not None), None)


_LONE_SURROGATE = re.compile("[\ud800-\udc7f\udd00-\udfff]")


def repaired(text: str) -> str:
    """A text with the halves of surrogate pairs combined, and the bytes of characters that were split over chunks; what
    cannot be combined is replaced."""
    paired = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    escaped = _LONE_SURROGATE.sub("\ufffd", paired)
    return escaped.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def printable(value: object) -> str:
    """A name or id of any type as a text that can be written."""
    return refusals.words(value).encode("utf-8", "replace").decode()


def status_of(error: object) -> int:
    """The HTTP status that an error object inside an answer stands for: its code if that is one, else by its type."""
    if not isinstance(error, Mapping):
        return 500
    code = refusals.words(error.get("code")).strip()
    if re.fullmatch(r"[45][0-9][0-9](\.0)?", code):
        return int(code[:3])
    named = f"{code} {refusals.words(error.get('type'))}".lower()
    return next((status for words, status in _STATUS if words in named), 500)


_STATUS = (("invalid_request", 400), ("badrequest", 400), ("rate_limit", 429), ("overloaded", 503))
"""Types of errors in answers whose code is no HTTP status."""
