"""Examples in the task itself, read by rule: rows that do not depend on a model.

The rules read shell sessions (``$ python3 main.py 2 + 3``), pairs under labels such as ``Input:`` and ``Output:`` or
``request:`` and ``answer:``, calls of a function with their results (``>>> f(2)``; ``f(2)`` returns ``4``), and a text
in quotes that the program must print. Only unambiguous examples are read; in doubt they are left to the tester.
"""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Any

from chatdev.agents.corrections import is_json
from chatdev.language_table import interpreters, table
from chatdev.product import rows
from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import Invocation

MOST = 40
"""Most rows that are taken from one task."""
_PLAIN = ("request", "stdin", "standard input")
"""Labels that say by themselves that the text below them is standard input."""

_GIVEN = r"input|sample input|example input|request|stdin|standard input"
_WANTED = r"output|sample output|example output|expected|expected output|answer|response|stdout|standard output|prints"
_LABEL = re.compile(
    rf"\s*(?:[-*>]\s+)?[*_`]*(?:(?P<given>{_GIVEN})|(?P<wanted>{_WANTED}))(?: *#?\d+)?[*_`]*\s*:[*_]*(?P<rest>.*)\Z",
    re.I,
)
_FENCE = re.compile(r"\s*(`{3,}|~{3,})")
_READS = re.compile(r"standard input|\bstdin\b|\breads?\b|\btyped?\b|\benters?\b", re.I)
_ARGUMENTS = re.compile(r"\barguments?\b|\bargv\b|command[- ]line parameters?", re.I)
_CALL = r"(?P<call>[A-Za-z_]\w*\((?:[^()`]|\([^()]*\))*\))"
_VALUE = r"""(?P<value>-?\d[\d_.eE+-]*|True|False|None|"[^"\n]*"|'[^'\n]*'|\[[^\n]*\]|\{[^\n]*\}|\([^\n]*\))"""
_GIVES = r"(?:==?>|->|→|==|returns?|gives?|is|should return|should be|must return|yields?|evaluates to)"
_BARE, _GIVEN_VALUE = _CALL.replace("call", "bare"), _VALUE.replace("value", "given")
_CALLS = re.compile(
    rf"`{_CALL}`\s*{_GIVES}\s*`{_VALUE}`"
    rf"|^\s*(?:[-*]\s+)?`?{_BARE}\s*(?:==?>|->|→|==)\s*{_GIVEN_VALUE}`?\s*[.;]?\s*$",
    re.M,
)
_PRINTS = re.compile(
    r"\b(?:print|output|display|show|write|say)(?:s|ing)?\b(?: out)?(?: exactly)?"
    r"(?: the (?:text|line|words?|message))?:?\s+[\"'`“](?P<text>[^\"'`“”\n]{1,80})[\"'`”]",
    re.I,
)
_INTERPRETERS = "|".join(map(re.escape, interpreters(table())))
_PROGRAM = re.compile(
    rf"(?:^|\|\s*)((?:python[\d.]*|{_INTERPRETERS}|sh|ruby)(?:\s+-\S+)*\s+[\w./-]+|(?:\./)?[\w-]+(?:\.\w+)?)(?=\s|$)"
)
_SHORT = 200


def of_task(task: str, command: str, *, calls: bool = False) -> tuple[Row, ...]:
    """The rows that the task states, each once. ``command`` starts the product; ``calls``: rows can call functions, as
    they can in Python."""
    found = [*_sessions(task, command), *_pairs(task)]
    if calls:
        found += [*_doctests(task), *_calls(task)]
    if not found:
        found += _prints(task)
    return tuple(dict.fromkeys(row for row in found if row.is_meaningful))[:MOST]


def like(text: str, task: str, trusted: Sequence[Row]) -> tuple[Row, ...]:
    """The rows that an answer adds to the ``trusted`` ones of the task, in the same form: pairs under labels, or JSON
    objects that hold both input and output. JSON counts only if it has the keys of a known input."""
    given = {step.call for row in trusted for step in row.steps}
    shapes = {_keys(call.stdin) for call in given}
    found = [*_pairs(text, task), *_objects(text)]
    fitting = (Row(row.steps) for row in found if row.is_meaningful and _keys(row.steps[0].call.stdin) in shapes)
    return tuple(dict.fromkeys(row for row in fitting if row.steps[0].call not in given))


def _keys(text: str) -> frozenset[str] | None:
    """The keys of a JSON object, and of the objects in it; None for anything else."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    inner = (f"{key}.{name}" for key, each in value.items() if isinstance(each, dict) for name in each)
    return frozenset((*value, *inner))


def _objects(text: str) -> Iterator[Row]:
    """Rows from JSON objects such as ``{"request": …, "answer": …}``, anywhere in the text."""
    decoder, at = json.JSONDecoder(), 0
    while (at := text.find("{", at)) >= 0:
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if row := _object(value):
            yield row


def _object(value: dict[str, Any]) -> Row | None:
    wanted = [key for key in value if re.fullmatch(_WANTED, key, re.I)]
    if len(wanted) != 1 or len(value) < 2:
        return None
    rest = {key: each for key, each in value.items() if key not in wanted}
    (name, *others) = rest
    given = rest[name] if not others and re.fullmatch(_GIVEN, name, re.I) else rest
    return Row((RowStep(Invocation(stdin=_text(given) + "\n"), _text(value[wanted[0]])),))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def as_json(found: Sequence[Row]) -> bool:
    """Whether the outputs of these rows are JSON, and not only by chance: a bare number is JSON, too."""
    outputs = [step.expected for row in found for step in row.steps if step.expected]
    inputs = [step.call.stdin for row in found for step in row.steps if step.call.stdin]
    by_form = any(text.lstrip()[:1] in tuple('"[{') or text.strip() in ("true", "false", "null") for text in outputs)
    return bool(outputs) and all(map(is_json, outputs)) and (by_form or (bool(inputs) and all(map(is_json, inputs))))


def _sessions(task: str, command: str) -> Iterator[Row]:
    """Shell sessions of the program that most of their commands start."""
    lines = [line for line in task.split("\n") if not _FENCE.match(line)]
    starts = [line.strip()[2:].strip() for line in lines if line.strip().startswith("$ ")]
    names = [_program(start) for start in starts]
    name = max(set(names) - {""}, key=names.count, default="")
    if not name:
        return
    text = "\n".join(
        line.replace(name, command, 1) if line.strip().startswith("$ ") and name in line else line for line in lines
    )
    yield from rows.parse(text, command, "trusted").rows


def _program(start: str) -> str:
    """The words of a command line that start a program: an interpreter with a script, or a name alone."""
    found = _PROGRAM.search(start)
    return found[1] if found and found[1] not in ("echo", "printf", "cat", "cd", "pip", "pip3") else _piped(start)


def _piped(start: str) -> str:
    found = re.search(r"\|\s*(\S+(?:\s+\S+\.\w+)?)", start)
    return found[1] if found else ""


def _pairs(text: str, task: str = "") -> Iterator[Row]:
    """The text under a label for input and under the next one for output; of the labels used, the most frequent ones.

    A task may also explain itself with pairs that are not literal input and output, so labels are not mixed. The
    ``task``, if it is another text, says whether the input is arguments or standard input.
    """
    task = task or text
    by_argument = bool(_ARGUMENTS.search(task)) and not _READS.search(task)
    plain = by_argument or bool(_READS.search(task))
    found: dict[str, list[Row]] = {}
    given: tuple[str, str] | None = None
    for kind, label, content in _labelled(text.split("\n")):
        if kind == "given":
            given = (label, content)
        elif given is not None:
            name, fed = given
            given = None
            row = _pair(fed, content, by_argument=by_argument) if plain or name in _PLAIN else None
            if row:
                found.setdefault(name, []).append(row)
    yield from max(found.values(), key=len, default=())


def _pair(given: str, wanted: str, *, by_argument: bool) -> Row | None:
    if by_argument:
        try:
            call = Invocation(tuple(shlex.split(given)))
        except ValueError:
            return None
    else:
        call = Invocation(stdin=given.rstrip("\n") + "\n" if given else "")
    return Row((RowStep(call, wanted.strip("\n")),), "trusted")


def _labelled(lines: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Each label as ``given`` or ``wanted``, its word, and its text: the rest of its line, else the block below it."""
    for number, line in enumerate(lines):
        if found := _LABEL.match(line):
            kind = "given" if found["given"] else "wanted"
            rest = found["rest"].strip()
            if len(rest) > 1 and rest[0] == rest[-1] == "`":
                rest = rest[1:-1]
            yield kind, found[kind].casefold(), rest or _below(lines, number + 1)


def _below(lines: Sequence[str], number: int) -> str:
    """The fenced block that comes next, else the lines up to a blank one or a label."""
    while number < len(lines) and not lines[number].strip():
        number += 1
    if number < len(lines) and (fence := _FENCE.match(lines[number])):
        end = next((at for at in range(number + 1, len(lines)) if lines[at].strip().startswith(fence[1])), len(lines))
        return "\n".join(lines[number + 1 : end])
    end = number
    while end < len(lines) and lines[end].strip() and not _LABEL.match(lines[end]):
        end += 1
    return "\n".join(lines[number:end])


def _doctests(task: str) -> Iterator[Row]:
    lines = task.split("\n")
    for line, wanted in zip(lines, [*lines[1:], ""], strict=True):
        if (
            (found := re.match(rf"\s*>>> {_CALL}\s*\Z", line))
            and wanted.strip()
            and not wanted.lstrip().startswith(">>>")
        ):
            yield calling(found["call"], wanted.strip())


def _calls(task: str) -> Iterator[Row]:
    for found in _CALLS.finditer(task):
        yield calling(found["call"] or found["bare"], found["value"] or found["given"])


def calling(call: str, value: str) -> Row:
    """A row that calls a function of ``main`` and compares its value as Python writes it."""
    name = call.partition("(")[0]
    code = f"from main import {name}; print(repr({call}))"
    return Row((RowStep(Invocation(("-c", code)), value),), "trusted")


def _prints(task: str) -> Iterator[Row]:
    """The one text in quotes that a short task wants printed, if the program takes no input."""
    found = list(_PRINTS.finditer(task))
    if len(found) == 1 and len(task) <= _SHORT and not _READS.search(task) and not _ARGUMENTS.search(task):
        yield Row((RowStep(Invocation(), found[0]["text"]),), "trusted")
