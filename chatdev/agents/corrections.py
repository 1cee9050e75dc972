"""What went wrong on the way from the model to the answer and can be put right without a doubt.

Line numbers before each line, line breaks written as ``\\n``, typographic quotes, invisible characters, HTML entities.
A text that is valid as it stands is never changed, and where a parser can check the result, it must be valid.
"""

import html
import json
import re
import tomllib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from chatdev.agents import completeness, filenames

_NUMBERED = re.compile(r"\s{0,8}L?(\d{1,5})(\s?[|│┃]|[:.)]|(?=\s|$))(.*)", re.S)
_LEAST_NUMBERED = 3
_NOT_NUMBERED = frozenset("bas csv tsv txt md mdx rst adoc yaml yml log".split())
"""Endings of files that may well begin each line with a number."""
_TYPOGRAPHY = str.maketrans(dict.fromkeys("“”„«»", '"') | dict.fromkeys("‘’‚′", "'") | dict.fromkeys("–—−", "-"))
_INVISIBLE = {
    **dict.fromkeys(map(ord, "\u00a0\u2007\u202f\u3000\u2002\u2003\u2009"), " "),
    **dict.fromkeys(map(ord, "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad")),
}
_FULL_WIDTH = {ord(wide): chr(ord(wide) - 0xFEE0) for wide in "（），：；［］｛｝＝＋＜＞！＂＇"}
_ENTITY = re.compile(r"&(?:lt|gt|amp|quot|apos|nbsp|#\d{1,5}|#x[0-9a-fA-F]{1,4});")
_ESCAPE = re.compile(r'\\([nrt"\'\\/])')
_ESCAPES = {"n": "\n", "r": "", "t": "\t"}
_FEW_LINES = 3
_LEAST_BREAKS = 3


class Corrected(NamedTuple):
    """A text, and what was put right in it, in a few words; empty if nothing was. ``excerpt``: its line numbers do not
    begin with 1, so that it is a part of a file."""

    text: str
    what: str = ""
    excerpt: bool = False


def correct(text: str, ending: str) -> Corrected:
    """The text of a file with this ending (without a dot, in lower case) with what can be put right."""
    valid = _CHECKS.get(ending)
    if valid and valid(text):
        return Corrected(text)
    what: list[str] = []
    numbered = _without_numbers(text.split("\n")) if ending and ending not in _NOT_NUMBERED else None
    if numbered and numbered[0] > 1:
        return Corrected(text, excerpt=True)
    if numbered:
        text = "\n".join(numbered[1])
        what.append("line numbers removed")
    if (broken := _with_breaks(text, valid, ending)) is not None:
        text = broken
        what.append("written line breaks made real")
    if valid and not valid(text):
        for name, change in _CHARACTERS:
            changed = change(text)
            if changed != text and valid(changed):
                text = changed
                what.append(name)
                break
    return Corrected(text, ", ".join(what))


def _is_python(text: str) -> bool:
    tree = completeness.parsed(text)
    # Code behind a comment sign and written line breaks is one comment.
    return tree is not None and (bool(tree.body) or "\\n" not in text)


def is_json(text: str) -> bool:
    """Whether a text is one JSON value."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _is_toml(text: str) -> bool:
    try:
        tomllib.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


_CHECKS: dict[str, Callable[[str], bool]] = {
    "py": _is_python,
    "pyw": _is_python,
    "json": is_json,
    "toml": _is_toml,
}


def _visible(text: str) -> str:
    return text if text.isascii() else text.translate(_INVISIBLE)


def _straight(text: str) -> str:
    return text if text.isascii() else _visible(text).translate(_TYPOGRAPHY)


def _narrow(text: str) -> str:
    return text if text.isascii() else _straight(text).translate(_FULL_WIDTH)


def _decoded(text: str) -> str:
    return _ENTITY.sub(lambda found: html.unescape(found[0]).replace("\u00a0", " "), text) if "&" in text else text


_CHARACTERS: Sequence[tuple[str, Callable[[str], str]]] = (
    ("invisible characters replaced", _visible),
    ("HTML entities decoded", _decoded),
    ("typographic characters replaced", _straight),
    ("typographic characters replaced", _narrow),
    ("HTML entities and typographic characters replaced", lambda text: _straight(_decoded(text))),
)


def _without_numbers(lines: Sequence[str]) -> tuple[int, list[str]] | None:
    """The first number, and the lines without theirs, if each line with text has the next one."""
    found = [(line, _NUMBERED.fullmatch(line)) for line in lines if line.strip()]
    if len(found) < _LEAST_NUMBERED or any(match is None for _, match in found):
        return None
    matches = [match for _, match in found if match]
    first = int(matches[0][1])
    if len({match[2] for match in matches}) > 1:
        return None
    rests = [match[3] for match in matches]
    for mark in ("\t", "  ", " ") if not matches[0][2] else ("\t", " "):
        if all(rest.startswith(mark) or not rest.strip() for rest in rests):
            rests = [rest[len(mark) :] for rest in rests]
            break
    numbers = [int(match[1]) for match in matches]
    if numbers != list(range(first, first + len(numbers))) and not _skips_blanks(lines, numbers):
        return None
    texts = iter(rests)
    return first, [next(texts) if line.strip() else line for line in lines]


def _skips_blanks(lines: Sequence[str], numbers: Sequence[int]) -> bool:
    """Whether blank lines were counted, too, but have no number."""
    places = [number for number, line in enumerate(lines) if line.strip()]
    return all(number - numbers[0] == place - places[0] for number, place in zip(numbers, places, strict=True))


def _with_breaks(text: str, valid: Callable[[str], bool] | None, ending: str) -> str | None:
    """The text with real line breaks if it has written ones in their place, else None."""
    if "\\n" not in text or (valid and valid(text)):
        return None
    candidates = (_without_last_break(text), _unescaped(text), _unescaped_outside(text))
    if valid:
        return next((each for each in candidates if each and "\n" in each.strip() and valid(each)), None)
    lines = [line for line in text.split("\n") if line.strip()]
    outside = _unescaped_outside(text)
    written = outside.count("\n") - text.count("\n")
    if not (filenames.is_source(f"x.{ending}") or ending in ("html", "css", "sh")) or written < _LEAST_BREAKS:
        return None
    return candidates[0] or (outside if len(lines) <= _FEW_LINES else None)


def _without_last_break(text: str) -> str:
    """The text without the written break at the end of each line; empty if most lines have none."""
    lines = text.split("\n")
    texts = [line for line in lines if line.strip()]
    ends = sum(line.rstrip().endswith("\\n") for line in texts)
    if ends < max(2, len(texts) - 1):
        return ""
    return "\n".join(line.rstrip().removesuffix("\\n") if line.rstrip().endswith("\\n") else line for line in lines)


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[1]), text)


def _unescaped_outside(text: str) -> str:
    """The text with the written breaks outside of strings made real."""
    parts: list[str] = []
    quote = ""
    for found in re.finditer(r"\\.|[\"'`]|[^\\\"'`]+|\\", text, re.S):
        part = found[0]
        if part in ("\\n", "\\t", "\\r") and not quote:
            part = _ESCAPES[part[1]]
        elif part in ("'", '"', "`"):
            quote = "" if quote == part else (quote or part)
        parts.append(part)
    return "".join(parts)
