"""The chat chain: phases in order, in loops and side by side, and then the verdict."""

from collections import Counter
from collections.abc import Awaitable, Sequence

import msgspec

from chatdev.company.steps import Step, groups, walk
from chatdev.journal.effects import Desk
from chatdev.journal.events import Noted, RunFinished, VerdictReached
from chatdev.project import evidence, languages, network, trials, verdict
from chatdev.project.branches import settle, side_by_side
from chatdev.project.meeting import Office, write
from chatdev.project.phase import hold
from chatdev.project.state import State, merge
from chatdev.project.writing import NoProgram

WRITING = ("code", "complete", "tests", "amend", "document", "snippet")
"""Kinds of phases that write files."""

_SAME = 3
"""So many cycles with the same outcome are a circle."""


async def run(office: Office, desk: Desk, state: State) -> VerdictReached:
    """Take a task through the whole chain and judge what came of it.

    Raises ModelError, WindowTooSmall among them, and JournalError; the log then holds all that was done so far.
    """
    try:
        state = await _steps(office, desk, office.company.chain, state)
        judged = await _judge(office, desk.at("Verdict"), state)
    except NoProgram as error:
        judged = verdict.Verdict("not run (no program was written)", error.what)
    here = desk.at("Verdict")
    reached = VerdictReached(here.place, judged.verdict, judged.why, judged.vacuous, judged.version)
    here.record(reached)
    values = state.values
    here.record(
        RunFinished(
            here.place, judged.verdict, values.get("modality", ""), values.get("language", ""), values.get("ideas", "")
        )
    )
    return reached


async def _steps(office: Office, desk: Desk, steps: Sequence[Step], state: State, until: str = "") -> State:
    met: Counter[str] = Counter()
    for group in groups(steps):
        if state.stopped or state.holds(until):
            break
        state = await _at_once(office, desk, group, state, met)
    return state


async def _step(office: Office, desk: Desk, step: Step, ordinal: int, state: State) -> State:
    if step.phase and step.network:
        phase = office.company.phases[step.phase]
        return await network.hold(office, desk.at(step.phase, ordinal), phase, step.network, state)
    if step.phase:
        return await hold(office, desk.at(step.phase, ordinal), office.company.phases[step.phase], state)
    if step.loop:
        return await _loop(office, desk, step, state)
    if step.together:
        return await _at_once(office, desk.at("together", ordinal), step.together, state, Counter())
    here = desk.at(step.run, ordinal)
    tried = await (trials.test if step.run == "tests" else trials.start)(office, here, state)
    return evidence.guarded(office, here, tried)


async def _loop(office: Office, desk: Desk, step: Step, state: State) -> State:
    """Repeat until what the loop is for holds, its cycles are used up, or they have gone in circles."""
    before, state = state.finished, msgspec.structs.replace(state, finished=False)
    states: list[State] = []
    writes = any(each.phase and office.company.phases[each.phase].kind in WRITING for each in walk(step.steps))
    for cycle in range(1, step.cycles + 1):
        if state.stopped or state.holds(step.until):
            break
        here = desk.at(step.loop, cycle)
        state = await _steps(office, here, step.steps, state, step.until)
        states.append(state)
        if cycle < step.cycles and not state.holds(step.until) and (why := _circles(states[-_SAME:], writes)):
            note = here.at("note-circles")
            note.record(Noted(note.place, "in circles", f"{step.loop}: {why}, {_SAME} times; that was the last cycle"))
            break
    return msgspec.structs.replace(state, finished=before)  # an inner loop's end is not the outer one's


def _circles(states: Sequence[State], writes: bool) -> str:
    """What was the same at the end of so many cycles; empty if nothing was.

    Where files are written (``writes``), it is those that count: a remark can be put in ever new words. Of a failing
    test the line that names the error counts: the rest of what it says moves with the lines of the program.
    """
    if len(states) < _SAME:
        return ""
    said = {() if writes else tuple(sorted(state.values.items())) for state in states}
    if len(said) == 1 and len({(state.digest, *sorted(state.tries.items())) for state in states}) == 1:
        return "the same answer"
    runs = {state.tests.place for state in states if state.tests}
    failures = {state.failures for state in states}
    return "the same failing tests" if len(runs) == _SAME and len(failures) == 1 and failures != {()} else ""


async def _at_once(office: Office, desk: Desk, steps: Sequence[Step], state: State, met: Counter[str]) -> State:
    """Branches begin at the same state and are merged in the order in which the company names them.

    ``met`` numbers the steps of one name at this desk. Of several that are asked whether anything is left to change,
    all must say that nothing is.
    """
    branches: list[Awaitable[State]] = []
    for step in steps:
        met[step.name] += 1
        branches.append(_step(office, desk, step, met[step.name], state))
    if len(branches) == 1:
        return await branches[0]
    states = await side_by_side(branches)
    merged = merge(state, states)
    asked = [branch.finished for step, branch in zip(steps, states, strict=True) if _is_asked(office, step)]
    settle(office.workspace, state, merged)
    return msgspec.structs.replace(merged, finished=all(asked)) if asked else merged


def _is_asked(office: Office, step: Step) -> bool:
    return bool(step.phase) and office.company.phases[step.phase].kind == "talk"


async def _judge(office: Office, desk: Desk, state: State) -> verdict.Verdict:
    """What is true of the last version, from evidence that was taken on exactly that version."""
    if not state.program:
        return verdict.Verdict("not run (no program was written)", "The chain ended without a program.")
    if state.way is None:
        why = f"nobody here can run {state.language}"
        return verdict.Verdict(f"not run ({why})", f"How {state.language} is built and tested is not known here.")
    if manifest := languages.manifest(state.language):
        state = write(office, desk, state, {languages.MANIFEST: manifest})
    if not office.company.tests:
        started = evidence.guarded(office, desk, await trials.start(office, desk, state))
        return _of_version(office, started, verdict.judge_start(started.started))
    state = merge(state, await side_by_side([trials.test(office, desk, state), trials.start(office, desk, state)]))
    state = evidence.guarded(office, desk, state)
    judged = verdict.judge(state.baseline, state.tests if state.tested else None, state.started, state.makes)
    doubtful = judged.verdict == "passed" or (judged.verdict == verdict.NO_TESTS and state.starts)
    if doubtful and state.unconfirmed == state.digest:
        judged = verdict.unconfirmed(judged, state.doubt)
    return _of_version(office, state, judged)


def _of_version(office: Office, state: State, judged: verdict.Verdict) -> verdict.Verdict:
    """The verdict with the version that it is about; logs of an earlier version go on without."""
    return msgspec.structs.replace(judged, version=state.digest if office.guarded else "")
