"""The chat chain: phases in order, in loops and side by side, and then the verdict."""

from collections import Counter
from collections.abc import Awaitable, Sequence

import msgspec

from chatdev.company.kinds import KINDS
from chatdev.company.steps import ChainStep, groups, walk
from chatdev.journal import places
from chatdev.journal.effects import JournalScope
from chatdev.journal.events import Diagnostic, RunFinished, VerdictReached
from chatdev.product import languages, verdict
from chatdev.project import checks, evidence, network
from chatdev.project.branches import settle, side_by_side
from chatdev.project.context import RunContext, write
from chatdev.project.phase import hold
from chatdev.project.state import State, merge
from chatdev.project.writing import NoProgram

_SAME = 3
"""Number of cycles with the same outcome that make a circle."""


async def run(run: RunContext, scope: JournalScope, state: State) -> VerdictReached:
    """Run the whole chain for a task and judge the result.

    Raises ModelError (WindowTooSmall included) and JournalError; the log then holds all that was done so far.
    """
    try:
        state = await _steps(run, scope, run.company.chain, state)
        judged = await _judge(run, scope.at(places.VERDICT), state)
    except NoProgram as error:
        judged = verdict.Verdict("not run (no program was written)", error.what)
    here = scope.at(places.VERDICT)
    reached = VerdictReached(here.place, judged.verdict, judged.why, judged.vacuous, judged.version)
    here.record(reached)
    values = state.values
    here.record(
        RunFinished(
            here.place, judged.verdict, values.get("modality", ""), values.get("language", ""), values.get("ideas", "")
        )
    )
    return reached


async def _steps(
    run: RunContext, scope: JournalScope, steps: Sequence[ChainStep], state: State, until: str = ""
) -> State:
    ordinals: Counter[str] = Counter()
    for group in groups(steps):
        if state.stopped or state.holds(until):
            break
        state = await _at_once(run, scope, group, state, ordinals)
    return state


async def _step(run: RunContext, scope: JournalScope, step: ChainStep, ordinal: int, state: State) -> State:
    if step.phase and step.network:
        phase = run.company.phases[step.phase]
        return await network.hold(run, scope.at(step.phase, ordinal), phase, step.network, state)
    if step.phase:
        return await hold(run, scope.at(step.phase, ordinal), run.company.phases[step.phase], state)
    if step.loop:
        return await _loop(run, scope, step, state)
    if step.parallel:
        return await _at_once(run, scope.at(places.TOGETHER, ordinal), step.parallel, state, Counter())
    here = scope.at(step.run, ordinal)
    tried = await (checks.test if step.run == "tests" else checks.start)(run, here, state)
    return evidence.guarded(run, here, tried)


async def _loop(run: RunContext, scope: JournalScope, step: ChainStep, state: State) -> State:
    """Repeat until the loop's condition holds, its cycles are used up, or it goes in circles."""
    before, state = state.finished, msgspec.structs.replace(state, finished=False)
    states: list[State] = []
    writes = any(each.phase and KINDS[run.company.phases[each.phase].kind].writes for each in walk(step.steps))
    for cycle in range(1, step.cycles + 1):
        if state.stopped or state.holds(step.until):
            break
        here = scope.at(step.loop, cycle)
        state = await _steps(run, here, step.steps, state, step.until)
        states.append(state)
        if cycle < step.cycles and not state.holds(step.until) and (why := _circles(states[-_SAME:], writes)):
            note = here.at(places.note("circles"))
            note.record(
                Diagnostic(note.place, "in circles", f"{step.loop}: {why}, {_SAME} times; the loop was stopped")
            )
            break
    return msgspec.structs.replace(state, finished=before)  # an inner loop's end is not the outer one's


def _circles(states: Sequence[State], writes: bool) -> str:
    """What was the same at the end of the last ``_SAME`` cycles; empty if nothing was.

    If the loop writes files (``writes``), only the files are compared, since remarks can be reworded each time. Of a
    failing test only the line that names the error is compared: the rest changes with the program's line numbers.
    """
    if len(states) < _SAME:
        return ""
    conclusions = {() if writes else tuple(sorted(state.values.items())) for state in states}
    if len(conclusions) == 1 and len({(state.digest, *sorted(state.tries.items())) for state in states}) == 1:
        return "the same answer"
    runs = {state.tests.place for state in states if state.tests}
    failures = {state.failures for state in states}
    return "the same failing tests" if len(runs) == _SAME and len(failures) == 1 and failures != {()} else ""


async def _at_once(
    run: RunContext, scope: JournalScope, steps: Sequence[ChainStep], state: State, ordinals: Counter[str]
) -> State:
    """Run branches from the same state and merge them in the order in which the company names them.

    ``ordinals`` numbers the steps of one name at this place. If several reviewers decide whether anything must change,
    all must say that nothing must.
    """
    branches: list[Awaitable[State]] = []
    for step in steps:
        ordinals[step.name] += 1
        branches.append(_step(run, scope, step, ordinals[step.name], state))
    if len(branches) == 1:
        return await branches[0]
    states = await side_by_side(branches)
    merged = merge(state, states)
    reviews_done = [branch.finished for step, branch in zip(steps, states, strict=True) if _is_review(run, step)]
    settle(run.workspace, state, merged)
    return msgspec.structs.replace(merged, finished=all(reviews_done)) if reviews_done else merged


def _is_review(run: RunContext, step: ChainStep) -> bool:
    return bool(step.phase) and KINDS[run.company.phases[step.phase].kind].reviews


async def _judge(run: RunContext, scope: JournalScope, state: State) -> verdict.Verdict:
    """Judge the last version by evidence from exactly that version."""
    if not state.program:
        return verdict.Verdict("not run (no program was written)", "The chain ended without a program.")
    if state.language_support is None:
        why = f"ChatDev cannot run {state.language}"
        return verdict.Verdict(f"not run ({why})", f"ChatDev cannot build and test {state.language}.")
    if manifest := languages.manifest(state.language):
        state = write(run, scope, state, {languages.MANIFEST: manifest})
    if not run.company.tests:
        started = evidence.guarded(run, scope, await checks.start(run, scope, state))
        return _of_version(run, started, verdict.judge_start(started.started))
    state = merge(state, await side_by_side([checks.test(run, scope, state), checks.start(run, scope, state)]))
    state = evidence.guarded(run, scope, state)
    tests, hollow = state.tests if state.tested else None, await checks.hollow(run, scope, state)
    judged = verdict.judge(state.baseline, tests, state.started, state.makes, hollow)
    doubtful = judged.verdict == "passed" or (judged.verdict == verdict.NO_TESTS and state.starts)
    if doubtful and state.unconfirmed == state.digest:
        judged = verdict.unconfirmed(judged, state.doubt)
    return _of_version(run, state, judged)


def _of_version(run: RunContext, state: State, judged: verdict.Verdict) -> verdict.Verdict:
    """The verdict with the version that it is about; logs of an earlier ChatDev have no version there."""
    return msgspec.structs.replace(judged, version=state.digest if run.guarded else "")
