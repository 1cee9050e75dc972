"""Several programmers solve one phase at once: the first whose product holds wins, and the others are cancelled.

All of them are asked the same, so that the server computes the prompt once, and differ in temperature and seed. Each
has its own branch of the log, ``candidate.NUMBER``, and its own files, which reach the disk only when it has won. Who
won is an effect: on a resume it stands as it was recorded, and only the winner's branch is gone through again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from chatdev.errors import ChatDevError
from chatdev.journal.events import RaceDecided, Standing, TestResult
from chatdev.models.errors import ModelError, PromptCut, WindowTooSmall
from chatdev.models.types import Progress
from chatdev.project import trials, writing
from chatdev.project.meeting import Meeting
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

_WHY = 200


async def run(meeting: Meeting, candidates: int) -> State:
    """The next state after the best of so many candidates. Raises as one alone would, if none of them came to an end.

    Where no candidate holds, the one with the most passing tests wins, and of equal ones the first in number.
    """
    decided = meeting.desk.known(RaceDecided)
    numbers = [decided.winner] if decided else range(1, candidates + 1)
    racers = [_Racer(meeting, number) for number in numbers]
    tasks = [asyncio.ensure_future(racer.run()) for racer in racers]
    try:
        winner = await _first(racers, tasks)
        await meeting.desk.perform(RaceDecided, meeting.state.digest, lambda: _decided(meeting, winner, racers))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    solved = winner.solved
    assert solved is not None
    meeting.write({path: text for path, text in solved.files.items() if meeting.state.files.get(path) != text})
    return solved


async def _decided(meeting: Meeting, winner: "_Racer", racers: "list[_Racer]") -> RaceDecided:
    standings = tuple(racer.standing(won=racer is winner) for racer in racers)
    return RaceDecided(meeting.desk.place, meeting.state.digest, winner.number, standings)


class _Racer:
    """One candidate: what came of it so far. ``tokens`` have come of the call that is under way."""

    def __init__(self, meeting: Meeting, number: int) -> None:
        self.number = number
        self.solved: State | None = None
        self.error: ChatDevError | Exhausted | None = None
        self.holds = False
        self._asking = True
        self._tokens = 0
        self._watcher = meeting.office.watcher
        office = replace(meeting.office, candidate=number, watcher=self._watch)
        self._meeting = Meeting(office, meeting.desk.at("candidate", number), meeting.phase, meeting.state)

    def _watch(self, role: str, progress: Progress) -> None:
        self._tokens = progress.tokens
        self._watcher(f"{role}, candidate {self.number}", progress)

    async def run(self) -> None:
        """Write, and try what was written. What keeps this candidate alone from its end is kept in ``error``."""
        try:
            written = await writing.code(self._meeting)
        except (ModelError, Exhausted, writing.NoProgram) as error:
            self.error = error
            return
        finally:
            self._asking = False
        office, desk, before = self._meeting.office, self._meeting.desk, self._meeting.state
        tested = bool(written.acceptance_tests)
        starting = not tested or (before.watched and not before.starts)
        if tested:
            written = await trials.test(office, desk.at("tests"), written)
        if starting:
            written = await trials.start(office, desk.at("start"), written)
        self.holds = written.passing and (written.starts or not starting)
        self.solved = written

    @property
    def passed(self) -> int:
        """Its acceptance tests that pass."""
        return sum(result.outcome == "passed" for result in self._results)

    @property
    def _results(self) -> tuple[TestResult, ...]:
        return self.solved.tests.results if self.solved and self.solved.tests and self.solved.tested else ()

    def standing(self, *, won: bool) -> Standing:
        """How it stands now, for the log."""
        if self.error is not None:
            error = self.error
            why = f"the limit of {error} was reached" if isinstance(error, Exhausted) else error.what
            return Standing(self.number, "failed", why=why[:_WHY])
        if self.solved is None:
            return Standing(self.number, "cancelled", calls=int(self._asking), tokens=self._tokens * self._asking)
        return Standing(self.number, "won" if won else "beaten", self.passed, len(self._results))


async def _first(racers: list[_Racer], tasks: Sequence["asyncio.Future[None]"]) -> _Racer:
    """The first that holds, else the best of all. Raises what keeps a run from going on."""
    pending = set(tasks)
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        for racer in racers:
            if racer.holds:
                return racer
    for racer in racers:
        if isinstance(racer.error, ModelError) and not isinstance(racer.error, WindowTooSmall | PromptCut):
            raise racer.error  # once the server is there again, a resume asks this one alone
    solved = [racer for racer in racers if racer.solved]
    if solved:
        return max(solved, key=lambda racer: (racer.passed, -racer.number))
    error = next((racer.error for racer in racers if isinstance(racer.error, Exhausted)), racers[0].error)
    assert error is not None
    raise error
