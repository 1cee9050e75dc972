"""Compares a program's answer with the expected one: JSON, by value, in our own process."""

import json
import math
from typing import Any

_TOLERANCE = 1e-9
"""Relative tolerance for numbers, unless both are integers."""


def request(name: str, value: Any) -> str:
    """A program's input: one JSON object on one line."""
    return json.dumps({"property": name, "input": value}, ensure_ascii=False) + "\n"


def holds(output: str, expected: Any) -> bool:
    """Whether a program's whole output is one JSON value that equals the expected one.

    If an object with an ``error`` is expected, any object with an ``error`` matches.
    """
    try:
        actual = json.loads(output, parse_constant=_refuse)
        if isinstance(expected, dict) and "error" in expected:
            return isinstance(actual, dict) and "error" in actual
        return same(actual, expected)
    except (ValueError, RecursionError):
        return False


def same(actual: Any, expected: Any) -> bool:
    """Whether two JSON values are the same. Numbers compare as numbers: 1 is 1.0, but neither is true."""
    if _is_number(actual) and _is_number(expected):
        return _equal(actual, expected)
    if type(actual) is not type(expected):
        return False
    if isinstance(actual, dict):
        return actual.keys() == expected.keys() and all(same(actual[key], expected[key]) for key in actual)
    if isinstance(actual, list):
        return len(actual) == len(expected) and all(map(same, actual, expected))
    return bool(actual == expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _equal(actual: float, expected: float) -> bool:
    if isinstance(actual, int) and isinstance(expected, int):
        return actual == expected
    try:
        return math.isclose(actual, expected, rel_tol=_TOLERANCE)
    except OverflowError:  # an integer that is too large for a float
        return False


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
