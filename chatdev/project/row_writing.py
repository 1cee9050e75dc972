"""The tester writes acceptance tests as rows; those that stand in the task are read from it by rule."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import msgspec

from chatdev.agents import fences
from chatdev.models.types import Message
from chatdev.product import compare, examples, rows
from chatdev.product.rows import Row, Step, Unread
from chatdev.product.sessions import Call
from chatdev.project import acceptance, writing
from chatdev.project.languages import PYTHON, Product
from chatdev.project.meeting import Meeting
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

MOST = 5
"""Rows that are taken from a tester. A small model's first examples are its best."""
_TRACEBACK = "Traceback (most recent call last)"
_ALIKE = 2
_FORM = "OUTPUT"
"""What our question shows in the place of an output."""
_START = re.compile(r"\s*(?:echo|printf|python[\d.]*|node|bash|sh|java|\./)\b.*")
_OUTPUT = re.compile(r"\s*(?:#\s*)?(?:Expected )?Output:\s*(.*)\Z", re.I)
_WORD = re.compile(r"[^\W\d_]{3,}")


async def write(meeting: Meeting) -> State:
    """The state with rows as its acceptance tests.

    Where the task has as many examples of its own as the phase calls enough, those of the tester are kept apart, as
    ``State.further``. Rows that are there already stay the only ones. A product that is not started from a command line
    has tests that are programs instead.
    """
    way = meeting.state.way
    if way is None or not meeting.state.judged_by_rows:
        return await writing.tests(meeting)
    if rows.FILE in meeting.state.files:
        return meeting.state
    trusted = examples.of_task(meeting.state.task, way.command, calls=meeting.state.language == PYTHON)
    if trusted:
        meeting.note("tests", 1, f"{len(trusted)} from the task itself")
    enough = 0 < meeting.phase.examples <= len(trusted)
    doubtful = await _asked(meeting, way, trusted, enough=enough)
    found = trusted if enough else (*trusted, *doubtful)
    if not found:
        meeting.note("tests", 2, "no acceptance test was written; the product cannot be judged")
        return meeting.state
    state = meeting.write({rows.FILE: rows.render(found, way.command)})
    return msgspec.structs.replace(
        state, baseline=acceptance.baseline_of(state.product, way.command), further=doubtful if enough else ()
    )


async def _asked(meeting: Meeting, way: Product, trusted: tuple[Row, ...], *, enough: bool) -> tuple[Row, ...]:
    """What the tester adds to the rows of the task, from the first answer that holds any.

    Each time the same is asked, with another seed: shown its own answer, a small model gives it again.
    """
    role, attempts = meeting.phase.assistant, meeting.phase.attempts if not trusted else 1
    question = meeting.question(role, further="yes" if enough else "")
    messages = (*meeting.seat(role).beginning, Message("user", question))
    known = {step.call for row in trusted for step in row.steps}
    for attempt in range(1, attempts + 1):
        asking = replace(meeting, office=replace(meeting.office, candidate=attempt))
        try:
            answer = await asking.ask(role, 1, attempt, messages)
        except Exhausted:
            if attempt == 1 and not trusted:
                raise
            return ()
        lines = fences.clean(answer.text)
        if enough and (like := examples.like("\n".join(lines), meeting.state.task, trusted)):
            return like[:MOST]
        text = "\n".join(_in_form(line, way.command) for line in lines)
        written = rows.commands(text, way.command)
        steps = [each for each in written if isinstance(each, Step) and each.call not in known]
        if found := in_order(steps):
            return tuple(list(_varied(found))[:MOST])
        if attempt < attempts:
            meeting.note("asked again", attempt, f"no example could be read ({_why(written)})")
    return ()


def _why(written: Sequence[Step | Unread]) -> str:
    if any(isinstance(each, Step) for each in written):
        return "below the commands there is nothing that they print"
    return next((each.why for each in written if isinstance(each, Unread)), "there is no line that begins with $")


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
    given before it, the program remembers, and each row begins with all the commands before its own. An output that
    repeats the input, or our question, is none: a small model writes that where it does not know.
    """
    first: dict[Call, Step] = {}
    for step in steps:
        first.setdefault(step.call, step)
    found = list(first.values())
    remembers = any(_tells_of(step, found[:number]) for number, step in enumerate(found))
    made: list[Row] = []
    for number, step in enumerate(found):
        before = tuple(Step(each.call) for each in found[:number]) if remembers else ()
        row = Row((*before, step))
        if row.telling and _TRACEBACK not in step.expected:  # no program should end in a traceback
            made.append(Row((*before, Step(step.call)), "open") if _repeats(step) else row)
    return made


def _repeats(step: Step) -> bool:
    given = " ".join(step.call.args), step.call.stdin
    return step.expected == _FORM or any(compare.repeats(step.expected, each) for each in given)


def _varied(found: Iterable[Row]) -> Iterator[Row]:
    """The rows without what comes again and again: a command that is called by a word is shown ``_ALIKE`` times."""
    shown: Counter[str] = Counter()
    for row in found:
        word = next(iter(row.steps[-1].call.args), "")
        shown[word] += 1
        if not word.isalpha() or shown[word] <= _ALIKE:
            yield row


def _tells_of(step: Step, before: Sequence[Step]) -> bool:
    """Whether the output holds a word that an earlier command was given, and this one was not."""
    earlier = {word for each in before for word in _given(each)} - _given(step)
    return bool(earlier & set(_WORD.findall(step.expected.casefold())))


def _given(step: Step) -> set[str]:
    return set(_WORD.findall(f"{' '.join(step.call.args)} {step.call.stdin}".casefold()))
