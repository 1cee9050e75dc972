"""The tester writes acceptance tests as rows; those that stand in the task are read from it by rule."""

import msgspec

from chatdev.agents import fences
from chatdev.agents.chat_agent import Answer, Lack
from chatdev.journal.events import TestsRan
from chatdev.product import examples, rows
from chatdev.product.rows import Row
from chatdev.project import acceptance, writing
from chatdev.project.languages import PYTHON, Product
from chatdev.project.meeting import Meeting
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

MOST = 12
"""Rows that are taken from a tester."""


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
    known = {tuple(step.call for step in row.steps) for row in trusted}

    async def read(answer: Answer) -> Lack | None:
        parsed = rows.parse(_session(answer.text), way.command)
        for row in parsed.rows:
            calls = tuple(step.call for step in row.steps)
            if row.telling and calls not in known and len(found) < MOST:
                known.add(calls)
                found.append(row)
        if found or trusted:
            return None
        why = parsed.unread[0].why if parsed.unread else "there is no line that begins with $"
        return Lack(meeting.office.prompts.request("no_rows", why=why), f"no example could be read ({why})")

    try:
        await meeting.insist(read, attempts=2)
    except Exhausted:
        if not trusted:
            raise
    return tuple(found)


def _session(text: str) -> str:
    """What of an answer may hold rows: all of it, freed of thoughts."""
    return "\n".join(fences.clean(text))
