"""Programs that are written before the tests and not kept: they show whether the task's program takes any input.

A tester who is asked how a program is used thinks of arguments, also where there is nothing to say, and programmers
who are shown such tests write what nobody asked for. Small models that are asked about it in words answer by the
wording. What they write for the task alone tells it: it prints the same with input and without, or it does not. A
second program is asked for where the first takes none, since some hold an example where others ask.
"""

from dataclasses import replace

import msgspec

from chatdev.product import examples, rows
from chatdev.product.rows import Row, Step
from chatdev.product.sessions import Call
from chatdev.project import acceptance, snippet, trials
from chatdev.project.languages import PYTHON
from chatdev.project.meeting import Meeting
from chatdev.project.state import State
from chatdev.project.writing import NoProgram

_CALLS = (Call(), Call(("7", "abc"), "7\nabc\n"))
"""Without any input, and with some, by both of the ways in which a program may take it."""
_SKETCHES = 2


async def take(meeting: Meeting) -> tuple[State, str]:
    """The state with one row, a start without any input, if that is how a program for the task is used; and what was
    found, in a few words.

    Nobody knows the row's output yet. A task with examples of its own says how its program is used, and nobody is
    asked.
    """
    state, way = meeting.state, meeting.state.way
    if way is None or not way.launch({way.main: b""}).program or state.acceptance_tests:
        return state, "none is needed"
    if examples.of_task(state.task, way.command, calls=state.language == PYTHON):
        return state, "the task has examples"
    for number in range(1, _SKETCHES + 1):
        office, desk = replace(meeting.office, candidate=number), meeting.desk.at("candidate", number)
        if not await _takes_none(replace(meeting, office=office, desk=desk)):
            return state, "the tester says how it is used"
    state = meeting.write({rows.FILE: rows.render([Row((Step(Call()),), "open")], way.command)})
    return msgspec.structs.replace(state, baseline=acceptance.baseline(())), "the program takes no input"


async def _takes_none(meeting: Meeting) -> bool:
    state, way = meeting.state, meeting.state.way
    assert way is not None
    try:
        program = state.having({way.main: await snippet.code(meeting)})
    except NoProgram:
        return False
    probed = await trials.probe(meeting.office, meeting.desk.at("probe"), program, _CALLS)
    return len(set(probed.outputs)) == 1 and not {"", acceptance.TIMED_OUT}.intersection(probed.outputs)
