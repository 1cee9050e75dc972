"""Reads the cure out of a refusal: which value of which field the server would accept.

Servers word it in many ways, so the rules are about the words of a comparison, and not about whole sentences:
``at most 2048``, ``valid range of max_tokens is [1, 2048]``, ``only 1 is allowed``, ``cannot both be set``.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from chatdev.lazy_pattern import LazyPattern

_NUMBER = r"(-?\d{1,3}(?:,\d{3})+|-?\d+(?:\.\d+)?)"
_BE = r"(?:must|should|can|may|has to|have to|needs to|need to)(?: only)?(?: be| equal)?(?: equal to| exactly)?"
_MORE, _LESS = r"(?:more|greater|larger|higher|bigger)", r"(?:less|lower|smaller|fewer)"
_NOT = r"(?:no|not|cannot|can't|never|must not|may not)(?: be)?"

_RULES = tuple(
    (name, LazyPattern(pattern.replace("#", _NUMBER), re.IGNORECASE))
    for name, pattern in (
        ("range", r"([\[(])\s*#\s*(?:,|\.\.|;| to )\s*#\s*([\])])"),
        ("between", r"(?:between|from|range(?: of| is)?:?)\s+#\s+(?:and|to|-|–)\s+#"),
        ("between", r"#\s*(?:<=|≤)\s*\w+\s*(?:<=|≤)\s*#"),
        ("most", rf"(?:at most|up to|<=|≤|{_LESS} than or equal to|{_NOT} {_MORE} than|{_NOT} exceed)\s*#"),
        ("most", r"max(?:imum)?(?: allowed| supported)?(?: value| number)?(?: of \w+)?(?: is|:|=| of)?\s+#"),
        ("most", r"exceed\w* (?:the )?(?:max\w*|limit|allowed)[^\d]{0,40}#"),
        ("least", rf"(?:at least|>=|≥|{_MORE} than or equal to|{_NOT} {_LESS} than)\s*#"),
        ("least", r"min(?:imum)?(?: allowed| supported)?(?: value)?(?: is|:|=| of)?\s+#"),
        ("below", rf"(?:{_LESS} than|below|<)\s*#"),
        ("above", rf"(?:{_MORE} than|above|>)\s*#"),
        ("exactly", r"only\s+(?:the )?(?:default |value |supports? |allows? )*\(?#\)?"),
        ("exactly", rf"(?:{_BE}|expected|fixed (?:at|to))\s+#(?!\s*(?:and|to|or|-|characters|tokens))"),
    )
)
_POSITIVE = re.compile(r"\b(?:strictly )?positive\b", re.IGNORECASE)
_TOGETHER = re.compile(
    r"\bboth\b|\btogether\b|simultaneous|same time|mutually exclusive|only one of|\beither\b|in combination",
    re.IGNORECASE,
)
LIMIT_NAMES = re.compile(
    r"\bmax_?(?:new|completion|output)?_?tokens\b|\b(?:completion|output|new|generated) tokens\b", re.IGNORECASE
)
"""What servers call the limit of an answer's tokens."""

AT_MOST, AT_LEAST, SET_TO = "at most", "at least", "set to"
_ADAPTATION = re.compile(rf"(\w+) ({AT_MOST}|{AT_LEAST}|{SET_TO}) (-?[\d.]+)")


class Bounds(NamedTuple):
    """The values that a server accepts; None where it names no bound. ``open_least`` and ``open_most``: the bound
    itself is not accepted."""

    least: float | None = None
    most: float | None = None
    open_least: bool = False
    open_most: bool = False


def bounds_in(text: str) -> Bounds:
    """The bounds that a refusal names; all None if it names none."""
    found = Bounds()
    rest = text
    for name, pattern in _RULES:
        while (match := pattern.search(rest)) is not None:
            found = _with(found, name, match)
            rest = rest[: match.start()] + " ; " + rest[match.end() :]  # so that a later rule does not read it again
    if found.least is None and _POSITIVE.search(rest):
        found = found._replace(least=0.0, open_least=True)
    return found


def _with(found: Bounds, name: str, match: re.Match[str]) -> Bounds:
    numbers = [float(group.replace(",", "")) for group in match.groups() if group and group not in "[]()"]
    least, most = found.least, found.most
    if name in ("range", "between"):
        is_range = name == "range"
        return Bounds(numbers[0], numbers[1], is_range and match[1] == "(", is_range and match[4] == ")")
    if name == "exactly":
        return found if least is not None or most is not None else Bounds(numbers[0], numbers[0])
    if name in ("most", "below") and most is None:
        return found._replace(most=numbers[0], open_most=name == "below")
    if name in ("least", "above") and least is None:
        return found._replace(least=numbers[0], open_least=name == "above")
    return found


def for_value(field: str, value: object, message: str) -> str | None:
    """The adaptation that brings a field's value into the bounds that a refusal names; None if it names none, or if
    the value is inside."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    bounds, step = bounds_in(message), 1 if isinstance(value, int) else 0.01
    if bounds.least is not None and bounds.least == bounds.most:
        return None if value == bounds.least else f"{field} {SET_TO} {bounds.least:g}"
    if bounds.most is not None and (value > bounds.most or (bounds.open_most and value == bounds.most)):
        return f"{field} {AT_MOST} {_inside(bounds.most, -step, bounds.open_most)}"
    if bounds.least is not None and (value < bounds.least or (bounds.open_least and value == bounds.least)):
        return f"{field} {AT_LEAST} {_inside(bounds.least, step, bounds.open_least)}"
    return None


def _inside(bound: float, step: float, is_open: bool) -> str:
    return f"{bound + step if is_open else bound:.12g}"


def needless_of(fields: Iterable[str], message: str) -> str | None:
    """Which of several fields to leave out if a refusal says that they exclude each other; None if it does not."""
    named = list(fields)
    if len(named) < 2 or not _TOGETHER.search(message):
        return None
    return max(named, key=lambda field: (field not in _IMPORTANT, named.index(field)))


_IMPORTANT = ("max_tokens", "max_completion_tokens", "stream", "temperature", "stop")


def applied(fields: Mapping[str, Any], adaptations: Iterable[str]) -> dict[str, Any]:
    """The fields of a request, brought into the bounds of the adaptations that are in force."""
    changed = dict(fields)
    for adaptation in sorted(adaptations):
        if not (parts := _ADAPTATION.fullmatch(adaptation)):
            continue
        name, how, number = parts[1], parts[2], float(parts[3])
        if name == "max_tokens" and name not in changed:
            name = "max_completion_tokens"
        value = changed.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        new = number if how == SET_TO else min(value, number) if how == AT_MOST else max(value, number)
        changed[name] = int(new) if isinstance(value, int) and new == int(new) else new
    return changed


def tried(field: str, adaptations: Iterable[str]) -> int:
    """How many bounds of a field are in force."""
    return sum(parts[1] == field for each in adaptations if (parts := _ADAPTATION.fullmatch(each)))
