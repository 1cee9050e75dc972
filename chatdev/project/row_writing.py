"""The tester writes acceptance tests as rows; those that stand in the task are read from it by rule."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from chatdev.agents import fences
from chatdev.agents.chat_agent import Answer, Lack
from chatdev.journal.events import TestsRan
from chatdev.product import examples, rows
from chatdev.product.rows import Row, Step, Unread
from chatdev.project import acceptance, writing
from chatdev.project.languages import PYTHON, Product
from chatdev.project.meeting import Meeting
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

MOST = 5
"""Rows that are taken from a tester. A small model's first examples are its best."""
_TRACEBACK = "Traceback (most recent call last)"
_START = re.compile(r"\s*(?:echo|printf|python[\d.]*|node|bash|sh|java|\./)\b.*")
_OUTPUT = re.compile(r"\s*(?:#\s*)?(?:Expected )?Output:\s*(.*)\Z", re.I)
_WORD = re.compile(r"[^\W\d_]{3,}")


async def write(meeting: Meeting) -> State:
    """The state with rows as its acceptance tests.

    Where the task has as many examples of its own as the phase calls enough, nobody is asked. A product that is not
    started from a command line has tests that are programs instead.
    """
    way = meeting.state.way
    if way is None or not way.launch({way.main: b""}).program:
        return await writing.tests(meeting)
    trusted = examples.of_task(meeting.state.task, way.command, calls=meeting.state.language == PYTHON)
    if trusted:
        meeting.note("tests", 1, f"{len(trusted)} from the task itself")
    enough = meeting.phase.examples
    doubtful = () if enough and len(trusted) >= enough else await _asked(meeting, way, trusted)
    found = (*trusted, *doubtful)
    if not found:
        meeting.note("tests", 2, "no acceptance test was written; the product cannot be judged")
        return meeting.state
    state = meeting.write({rows.FILE: rows.render(found, way.command)})
    return msgspec.structs.replace(state, baseline=_baseline(state, way))


def _baseline(state: State, way: Product) -> TestsRan:
    return acceptance.baseline(acceptance.rows_of(state.product, way.command))


async def _asked(meeting: Meeting, way: Product, trusted: tuple[Row, ...]) -> tuple[Row, ...]:
    """What the tester adds to the rows of the task."""
    found: list[Row] = []
    known = {step.call for row in trusted for step in row.steps}

    async def read(answer: Answer) -> Lack | None:
        text = "\n".join(_in_form(line, way.command) for line in fences.clean(answer.text))
        written = rows.commands(text, way.command)
        steps = [each for each in written if isinstance(each, Step) and each.call not in known]
        found.extend(in_order(steps))
        if found or trusted:
            return None
        why = "there is no line that begins with $"
        if steps:
            why = "below the commands there is nothing that they print"
        elif written:
            why = next(each.why for each in written if isinstance(each, Unread))
        return Lack(meeting.office.prompts.request("no_rows", why=why), f"no example could be read ({why})")

    try:
        await meeting.insist(read, attempts=2)
    except Exhausted:
        if not trusted:
            raise
    return tuple(found[:MOST])


def _in_form(line: str, command: str) -> str:
    """A line of a tester's answer in the form of ours: models leave out the ``$``, and label what is printed."""
    if _START.match(line) and command.rpartition(" ")[2] in line:
        return f"$ {line.strip()}"
    if found := _OUTPUT.match(line):
        return found[1]
    return "" if line.startswith("# ") else line


def in_order(steps: Iterable[Step]) -> list[Row]:
    """A row for each command that says something, of commands that were written as used one after another.

    A command that stands there twice counts as it was written first. If the output of one tells of what another was
    given before it, the program remembers, and each row begins with all the commands before its own.
    """
    found = list({step.call: step for step in reversed(list(steps))}.values())[::-1]
    remembers = any(_tells_of(step, found[:number]) for number, step in enumerate(found))
    made: list[Row] = []
    for number, step in enumerate(found):
        before = tuple(Step(each.call) for each in found[:number]) if remembers else ()
        row = Row((*before, step))
        if row.telling and _TRACEBACK not in step.expected:  # nobody wishes for a program that breaks
            made.append(row)
    return made


def _tells_of(step: Step, before: Sequence[Step]) -> bool:
    """Whether the output holds a word that an earlier command was given, and this one was not."""
    earlier = {word for each in before for word in _given(each)} - _given(step)
    return bool(earlier & set(_WORD.findall(step.expected.casefold())))


def _given(step: Step) -> set[str]:
    return set(_WORD.findall(f"{' '.join(step.call.args)} {step.call.stdin}".casefold()))
