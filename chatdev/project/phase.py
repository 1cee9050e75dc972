"""Runs a phase by its kind."""

import msgspec

from chatdev.company.config import Phase
from chatdev.company.kinds import KINDS
from chatdev.journal.effects import JournalScope
from chatdev.journal.events import LimitReached, PhaseBegan, PhaseEnded
from chatdev.project import kinds, writing
from chatdev.project.context import PhaseContext, RunContext
from chatdev.project.phase_result import PhaseResult
from chatdev.project.spending import Exhausted
from chatdev.project.state import State


async def hold(run: RunContext, scope: JournalScope, phase: Phase, state: State) -> State:
    """Run a phase. Raises ModelError, JournalError, and NoProgram if there is no program to go on with."""
    # A resume may change the number of candidates, but not of a phase that has begun.
    begun = scope.recorded(PhaseBegan)
    candidates = begun.candidates if begun else run.company.racing(phase, run.candidates)
    scope.record(PhaseBegan(scope.place, phase.name, phase.assistant, phase.user, candidates))
    context = PhaseContext(run, scope, phase, state, candidates)
    try:
        held = await kinds.PERFORMERS[phase.kind](context)
    except Exhausted as error:
        held = _broken_off(context, error.limit)
    except writing.NoProgram as error:
        scope.record(PhaseEnded(scope.place, phase.name, error.what))
        raise
    scope.record(PhaseEnded(scope.place, phase.name, held.conclusion, held.reflected))
    return held.state


def _broken_off(context: PhaseContext, limit: LimitReached) -> PhaseResult:
    """End the phase before its conclusion, and the run, too, if the limit is the run's."""
    phase, state = context.phase, context.state
    if KINDS[phase.kind].defaults and not state.values.get(phase.sets):
        state = state.with_value(phase.sets, phase.default or phase.options[0])
    if not limit.phase:
        state = msgspec.structs.replace(state, stopped=True)
    return PhaseResult(state, f"broken off: the limit of {limit.limit} was reached")
