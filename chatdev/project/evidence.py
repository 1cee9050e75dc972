"""The evidence for a version of the product, and the guard that undoes a change that lowers it.

A change is kept if its evidence is at least as good as that of the best version before it: the tests of the task count
first, then those of the tester, then that it starts. Otherwise it is undone, and the report says so.
"""

from typing import NamedTuple

import msgspec

from chatdev.journal import places
from chatdev.journal.effects import JournalScope
from chatdev.journal.events import Diagnostic
from chatdev.project.context import RunContext, remove, write
from chatdev.project.state import Best, State


class Evidence(NamedTuple):
    """Compared in this order: ``sound`` (the test run can be trusted), passing tests of the task, all passing tests,
    ``starts``."""

    sound: bool = False
    trusted: int = 0
    passed: int = 0
    starts: bool = False

    def __str__(self) -> str:
        """In words for the report."""
        tests = f"{self.passed} tests pass" if self.sound else "its tests do not run to their end"
        return f"{tests}, {'it starts' if self.starts else 'its start is not known to work'}"


def of(state: State) -> Evidence:
    """The evidence from exactly this version."""
    ran = state.tests if state.tested else None
    passing = [result for result in ran.results if result.outcome == "passed"] if ran else []
    return Evidence(
        sound=ran is not None and not ran.trouble,
        trusted=sum(result.tier == "trusted" for result in passing),
        passed=len(passing),
        starts=state.watched and state.starts,
    )


def guarded(run: RunContext, scope: JournalScope, state: State) -> State:
    """The state after this version was tried: this version, or the best before it if that was better.

    Versions with different tests are not compared. As long as a version was not started, its start is not compared.
    """
    best, found = state.best, of(state)
    if not run.guarded or not state.program or not (state.tested or state.watched):
        return state
    if best is None or best.digest == state.digest or best.tests_digest != state.tests_digest:
        return _keeping(state, found)
    before = Evidence(*best.evidence)
    if not state.tested and before.sound:
        return state  # its tests are still to be run
    if not state.watched or not before.starts:
        before, found = before._replace(starts=False), found._replace(starts=False)
    if found >= before:
        return _keeping(state, found)
    here = scope.at(places.note("undone"))
    here.record(Diagnostic(here.place, "undone", f"the last change: {found}; before it: {Evidence(*best.evidence)}"))
    state = remove(run, scope.at(places.UNDONE), state, [path for path in state.program if path not in best.program])
    changed = {path: text for path, text in best.program.items() if state.files.get(path) != text}
    state = write(run, scope.at(places.UNDONE), state, changed)
    return msgspec.structs.replace(state, tests=best.tests, started=best.started)


def _keeping(state: State, found: Evidence) -> State:
    evidence = (found.sound, found.trusted, found.passed, found.starts)
    best = Best(state.program, evidence, state.tests, state.started, state.digest, state.tests_digest)
    return msgspec.structs.replace(state, best=best)
