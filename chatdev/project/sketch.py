"""Programs that are written before the tests and not kept: they show whether the task's program takes any input.

A tester who is asked how a program is used invents arguments even if it needs none, and programmers who see such tests
write a different program from the one that the task describes. When a small model is asked directly, its answer depends
on the wording of the question. A program that it writes for the task alone is better evidence: it prints the same with
input and without, or it does not. If the first program takes no input, a second one is written, because some programs
contain a fixed example where others would read input.
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

    The row's output is not known yet. If the task contains examples, they show how its program is used, and the model
    is not called.
    """
    state, way = meeting.state, meeting.state.way
    if way is None or not state.judged_by_rows or state.acceptance_tests:
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
