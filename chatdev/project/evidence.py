"""What is known in favour of a version of the product, and the guard that never lets it become less.

A change is kept if what was run speaks for it at least as much as for the best version before it: the tests of the task
count first, then those of the tester, then that it starts. Else it is undone, and the report says so.
"""

from typing import NamedTuple

import msgspec

from chatdev.journal.effects import Desk
from chatdev.journal.events import Noted
from chatdev.project.meeting import Office, remove, write
from chatdev.project.state import Best, State


class Evidence(NamedTuple):
    """Compared in this order: ``sound`` if the tests' run can be believed; tests of the task that pass, then all tests
    that pass; ``starts``."""

    sound: bool = False
    trusted: int = 0
    passed: int = 0
    starts: bool = False

    def __str__(self) -> str:
        """In words for the report."""
        tests = f"{self.passed} tests pass" if self.sound else "its tests do not run to their end"
        return f"{tests}, {'it starts' if self.starts else 'its start is not known to work'}"


def of(state: State) -> Evidence:
    """What was seen of exactly this version."""
    ran = state.tests if state.tested else None
    passing = [result for result in ran.results if result.outcome == "passed"] if ran else []
    return Evidence(
        sound=ran is not None and not ran.trouble,
        trusted=sum(result.tier == "trusted" for result in passing),
        passed=len(passing),
        starts=state.watched and state.starts,
    )


def guarded(office: Office, desk: Desk, state: State) -> State:
    """The state after this version was tried: this version, or the best before it if that was better.

    Versions with other tests are not compared. While a version was not started, whether it starts does not count
    against it.
    """
    best, found = state.best, of(state)
    if not office.guarded or not state.program or not (state.tested or state.watched):
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
    here = desk.at("note-undone")
    here.record(Noted(here.place, "undone", f"the last change: {found}; before it: {Evidence(*best.evidence)}"))
    state = remove(office, desk.at("undone"), state, [path for path in state.program if path not in best.program])
    changed = {path: text for path, text in best.program.items() if state.files.get(path) != text}
    state = write(office, desk.at("undone"), state, changed)
    return msgspec.structs.replace(state, tests=best.tests, started=best.started)


def _keeping(state: State, found: Evidence) -> State:
    evidence = (found.sound, found.trusted, found.passed, found.starts)
    best = Best(state.program, evidence, state.tests, state.started, state.digest, state.tests_digest)
    return msgspec.structs.replace(state, best=best)
