"""More inputs like those of the task's examples, for which the right output is not known.

Two programs that were written independently and give the same output for them are seldom wrong in the same way. The
inputs are made by rule from the rows of the task: a slightly larger number, a reversed text, a list without its last
item, a value from another example. The last ones are much larger, to see whether the program still ends in time. The
same rows give the same probes each time.
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from chatdev.product.rows import Row
from chatdev.product.sessions import Invocation

MOST = 16
"""Most probes that are made from one set of rows."""
_LARGE, _TIMES = 2, 1000
"""Number of large probes, and the factor for their numbers."""
_NUMBER = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?", re.ASCII)


def of_rows(found: Sequence[Row]) -> tuple[Invocation, ...]:
    """Starts of the product that resemble those of these rows and repeat none, spread evenly over the rows."""
    calls = [row.steps[0].call for row in found if len(row.steps) == 1 and not _code(row.steps[0].call)]
    given_calls = set(calls)
    made: list[list[Invocation]] = []
    for number, call in enumerate(calls):
        others = calls[:number] + calls[number + 1 :]
        made.append([probe for probe in _all_variants(call, others) if probe not in given_calls])
    picked: dict[Invocation, None] = {}
    for rank in range(max(map(len, made), default=0)):
        for each in made:
            if rank < len(each) and len(picked) < MOST - _LARGE:
                picked[each[rank]] = None
    larger = [large for call in calls if (large := _larger(call)) not in (*given_calls, *picked)]
    return (*picked, *dict.fromkeys(larger[:_LARGE]))


def _larger(call: Invocation) -> Invocation:
    """The same with every number a thousand times as large."""

    def times(text: str) -> str:
        return _NUMBER.sub(lambda found: f"{_value(found[0]) * _TIMES}", text)

    return Invocation(tuple(times(arg) for arg in call.args), times(call.stdin))


def _all_variants(call: Invocation, others: Sequence[Invocation]) -> tuple[Invocation, ...]:
    """Each variant once; none for a value that is nested too deeply."""
    try:
        return tuple(dict.fromkeys(_variants(call, others)))
    except RecursionError:
        return ()


def _code(call: Invocation) -> bool:
    return call.args[:1] == ("-c",)


def _variants(call: Invocation, others: Sequence[Invocation]) -> Iterator[Invocation]:
    if call.stdin:
        rest = [other.stdin for other in others if other.stdin]
        yield from (Invocation(call.args, text) for text in _texts(call.stdin, rest))
    for number, arg in enumerate(call.args):
        rest = [other.args[number] for other in others if len(other.args) == len(call.args)]
        for text in _texts(arg, rest):
            if text.strip():
                yield Invocation((*call.args[:number], text, *call.args[number + 1 :]), call.stdin)


def _texts(text: str, others: Sequence[str]) -> Iterator[str]:
    """Other texts like this one: JSON stays JSON of the same shape."""
    try:
        value = json.loads(text)
    except ValueError:
        yield from _plain(text)
        return
    ending = "\n" if text.endswith("\n") else ""
    yield from (json.dumps(each, ensure_ascii=False) + ending for each in _values(value, list(_parsed(others))))


def _parsed(texts: Iterable[str]) -> Iterator[Any]:
    for text in texts:
        try:
            yield json.loads(text)
        except ValueError:
            continue


def _plain(text: str) -> Iterator[str]:
    """Numbers changed one by one, words reversed, the first line left out."""
    for found in _NUMBER.finditer(text):
        for other in _number(_value(found[0])):
            yield f"{text[: found.start()]}{other}{text[found.end() :]}"
    lines = text.split("\n")
    if len(lines) > 2:
        yield "\n".join(lines[1:])
    words = text.split()
    if len(words) > 1:
        yield " ".join(reversed(words)) + ("\n" if text.endswith("\n") else "")


def _values(value: Any, others: Sequence[Any]) -> Iterator[Any]:
    """Values of the same shape, the most sensible first: parts of other examples, then small changes."""
    if isinstance(value, dict):
        inner = {key: [other[key] for other in others if isinstance(other, dict) and key in other] for key in value}
        made = {key: list(_values(each, inner[key])) for key, each in value.items()}
        for rank in range(max(map(len, made.values()), default=0)):
            for key, each in made.items():
                if rank < len(each) and key not in _NAMES:
                    yield {**value, key: each[rank]}
    elif isinstance(value, list):
        yield from _lists(value, others)
    else:
        yield from (other for other in others if type(other) is type(value) and other != value)
        yield from _leaf(value)


_NAMES = frozenset(("property", "operation", "op", "command", "action", "method", "type", "kind"))
"""Keys whose values name an operation: another value is another question, or none."""


def _lists(value: list[Any], others: Sequence[Any]) -> Iterator[Any]:
    yield from (other for other in others if isinstance(other, list) and other != value)
    if len(value) > 1:
        yield value[::-1]
        yield value[:-1]
        yield value[1:]
    for number, each in enumerate(value[:4]):
        for changed in list(_values(each, value[:number] + value[number + 1 :]))[:2]:
            yield [*value[:number], changed, *value[number + 1 :]]
    if value:
        yield [*value, value[0]]
    yield []


def _leaf(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield from _number(value)
    elif isinstance(value, str):
        if _NUMBER.fullmatch(value):
            yield from (str(other) for other in _number(_value(value)))
        yield value[::-1]
        yield value[:-1]
        yield value[1:]
        yield value.swapcase()
        yield value + value
        yield ""


def _value(text: str) -> float:
    """The number, also with leading zeros, unlike JSON."""
    return float(text) if "." in text else int(text)


def _number(value: float) -> Iterator[float]:
    yield from (value + 1, value - 1, value * 2, value + 10, -value, 0)
