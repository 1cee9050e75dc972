"""Compares what a product printed with what a row expects. Nothing here runs inside the sandbox."""

import json
import math
import re
from collections.abc import Sequence
from typing import Any

from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import Ended

_SHOWN = 400
_EDGES = " \t.,:;!?\"'`()[]{}*_"


def fault(row: Row, ended: tuple[Ended, ...]) -> str:
    """Why the row fails; empty if it passes. In words for a programmer, with the expected and the printed output."""
    exact = row.tier in ("trusted", "agreed")
    for number, (step, one) in enumerate(zip(row.steps, ended, strict=True), 1):
        if why := _fault(step, one, exact=exact):
            return f"step {number}: {why}" if len(row.steps) > 1 else why
    return ""


def _fault(step: RowStep, one: Ended, *, exact: bool) -> str:
    if one.stopped:
        how = "it did not end in time" if one.stopped == "time" else f"stopped by the {one.stopped} limit"
        return f"{how}; printed {_quoted(one.stdout)}"
    if step.status is not None and one.status != step.status:
        return f"exit status {one.status} instead of {step.status}; {_printed(one)}"
    if step.expected and not matches(step.expected, one, exact=exact):
        return f"expected {_quoted(step.expected)}, {_printed(one)}"
    return ""


def unmoved(found: Sequence[Row], ended: Sequence[tuple[Ended, ...]]) -> str:
    """Why a model's rows do not count for a program that prints the same for every input; empty for another program.

    Such a program would pass many rows, since a line of a doubtful row may be anywhere in an output. Rows without an
    output each want a different one.
    """
    doubtful = [(row, came) for row, came in zip(found, ended, strict=True) if row.tier in ("doubtful", "open")]
    wanted = {row.steps[-1].expected or row.steps[-1].call for row, _ in doubtful}
    printed = {canonical(came[-1].stdout) for _, came in doubtful}
    exact = any(_trimmed(row.steps[-1].expected) == _trimmed(came[-1].stdout) for row, came in doubtful)
    if len(wanted) > 1 and len(printed) == 1 and printed != {""} and not exact:
        return f"it prints the same whatever it is given: {_quoted(doubtful[0][1][-1].stdout)}"
    return ""


def matches(expected: str, one: Ended, *, exact: bool) -> bool:
    """Whether the output is the expected one.

    ``exact``: the same JSON value, or the same lines apart from white space at their ends. Else each expected line must
    be in the output as whole words, in this order: an example shows what matters, not every word around it.
    """
    if _same_json(expected, one.stdout) or _trimmed(expected) == _trimmed(one.stdout):
        return True
    both = "\n".join((one.stdout.rstrip("\n"), one.stderr))
    if exact:
        return bool(one.stderr) and _trimmed(expected) in (_trimmed(one.stderr), _trimmed(both))
    return holds(expected, both)


def _trimmed(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.replace("\r\n", "\n").strip("\n").split("\n")]
    return [line for line in lines if line] if not any(lines) else lines


def _same_json(expected: str, printed: str) -> bool:
    try:
        return same(json.loads(expected), json.loads(printed))
    except (ValueError, RecursionError):
        return False


def canonical(printed: str) -> str:
    """An output in a form that is equal for equal outputs: JSON in one notation, else lines without white space at
    their ends."""
    try:
        return json.dumps(json.loads(printed), sort_keys=True)
    except (ValueError, RecursionError):
        return "\n".join(_trimmed(printed))


def same(expected: Any, found: Any) -> bool:
    """Whether two JSON values are the same: numbers by value, all else exactly. The wording of an ``{"error": …}`` is
    free: an example of an error only says that there is one."""
    if isinstance(expected, dict) and set(expected) == {"error"}:
        return isinstance(found, dict) and "error" in found
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if isinstance(expected, int | float) and isinstance(found, int | float):
        return expected == found or math.isclose(expected, found, rel_tol=1e-9)
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(same, expected, found))
    if isinstance(expected, dict) and isinstance(found, dict):
        return set(expected) == set(found) and all(same(value, found[name]) for name, value in expected.items())
    return type(expected) is type(found) and expected == found


def holds(expected: str, printed: str) -> bool:
    """Whether the words of each expected line are together in the output, line after line."""
    words = [_plain(word) for word in printed.split()]
    words = [word for word in words if word]
    at = 0
    for line in expected.split("\n"):
        wanted = [plain for word in line.split() if (plain := _plain(word))]
        if not wanted:
            continue
        found = next((n for n in range(at, len(words) - len(wanted) + 1) if words[n : n + len(wanted)] == wanted), None)
        if found is None:
            return False
        at = found + len(wanted)
    return True


def repeats(expected: str, given: str) -> bool:
    """Whether an output only repeats the input, word by word."""
    return [_plain(word) for word in expected.split()] == [_plain(word) for word in given.split()]


def _plain(word: str) -> str:
    word = word.strip(_EDGES).casefold() or word
    if re.fullmatch(r"-?\d+\.\d+", word):
        return word.rstrip("0").rstrip(".")
    return word


def _printed(one: Ended) -> str:
    text = f"printed {_quoted(one.stdout)}"
    errors = one.stderr.strip().split("\n")[-1]
    return f"{text}, and on standard error: {errors[:_SHOWN]}" if errors else text


def _quoted(text: str) -> str:
    text = text.strip("\n")
    return json.dumps(text if len(text) <= _SHOWN else text[:_SHOWN] + "…", ensure_ascii=False)
