"""Programs that are written before the tests and not kept: they show whether the task's program takes any input.

A tester often invents arguments for a program that needs none, and programmers who see such tests write a different
program from the one that the task describes. A small model's direct answer depends on the wording of the question. A
program that it writes for the task alone is better evidence: it prints the same with input and without, or it does not.
If the first program takes no input, a second one is written, because some programs contain a fixed example where others
would read input.
"""

from dataclasses import replace

import msgspec

from chatdev.journal import places
from chatdev.product import acceptance, examples, rows
from chatdev.product.languages import PYTHON
from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import Invocation
from chatdev.project import checks, snippet
from chatdev.project.context import PhaseContext
from chatdev.project.phase_result import PhaseResult
from chatdev.project.writing import NoProgram

_CALLS = (Invocation(), Invocation(("7", "abc"), "7\nabc\n"))
"""One call without input, and one with input in both ways: as arguments and on standard input."""
_SKETCHES = 2


async def decide(context: PhaseContext) -> PhaseResult:
    """The state with one row, a start without any input, if that is how a program for the task is used.

    The row's output is not known yet. If the task contains examples, they show how its program is used, and the model
    is not called.
    """
    state, language = context.state, context.state.language_support
    if language is None or not state.judged_by_rows or state.has_tests:
        return PhaseResult(state, "none is needed")
    if examples.of_task(state.task, language.command, calls=state.language == PYTHON):
        return PhaseResult(state, "the task has examples")
    for number in range(1, _SKETCHES + 1):
        run, scope = replace(context.run, candidate=number), context.scope.at(places.CANDIDATE, number)
        if not await _needs_no_input(replace(context, run=run, scope=scope)):
            return PhaseResult(state, "the tester says how it is used")
    state = context.write({rows.FILE: rows.render([Row((RowStep(Invocation()),), "open")], language.command)})
    state = msgspec.structs.replace(state, baseline=acceptance.baseline(()))
    return PhaseResult(state, "the program takes no input")


async def _needs_no_input(context: PhaseContext) -> bool:
    state, language = context.state, context.state.language_support
    assert language is not None
    try:
        program = state.having({language.main: await snippet.code(context)})
    except NoProgram:
        return False
    probed = await checks.probe(context.run, context.scope.at(places.PROBE), program, _CALLS)
    return len(set(probed.outputs)) == 1 and not {"", acceptance.TIMED_OUT}.intersection(probed.outputs)
