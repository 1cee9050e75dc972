"""A program's answer against the one that is expected: JSON, compared by value, in our own process."""

import json
import math
from typing import Any

_TOLERANCE = 1e-9
"""Relative, of numbers that are not whole on both sides."""


def request(name: str, value: Any) -> str:
    """What a program reads: one JSON object on one line."""
    return json.dumps({"property": name, "input": value}, ensure_ascii=False) + "\n"


def holds(output: str, expected: Any) -> bool:
    """Whether all that a program printed is one JSON value, and the expected one.

    Where an object with an ``error`` is expected, any object with one will do.
    """
    try:
        found = json.loads(output, parse_constant=_refuse)
        if isinstance(expected, dict) and "error" in expected:
            return isinstance(found, dict) and "error" in found
        return same(found, expected)
    except (ValueError, RecursionError):
        return False


def same(found: Any, expected: Any) -> bool:
    """Whether two JSON values are the same. Numbers compare as numbers: 1 is 1.0, but neither is true."""
    if _is_number(found) and _is_number(expected):
        return _equal(found, expected)
    if type(found) is not type(expected):
        return False
    if isinstance(found, dict):
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in found)
    if isinstance(found, list):
        return len(found) == len(expected) and all(map(same, found, expected))
    return bool(found == expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(found: float, expected: float) -> bool:
    if isinstance(found, int) and isinstance(expected, int):
        return found == expected
    try:
        return math.isclose(found, expected, rel_tol=_TOLERANCE)
    except OverflowError:  # a whole number past any float
        return False


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
