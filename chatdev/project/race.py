"""Several programmers solve one phase, each for itself: the first whose product holds wins, and no more are asked.

All of them are asked the same, so that the server computes the prompt once, and differ in temperature and seed. Each
has its own branch of the log, ``candidate.NUMBER``, and its own files, which reach the disk only when it has won. Who
won is an effect: on a resume it stands as it was recorded, and only the winner's branch is gone through again.

Where a phase says how many work ``at_once``, the first one works alone, since it is asked for the likeliest answer, and
the others follow while none holds. If none does, the tests say who wins: those of the task first, then those of the
tester, of which the ones count that several candidates meet together. A row of the tester that no candidate meets, or
one among many that does not win, is more likely wrong than all of the programs, and is not judged.

A few examples of a task are met by many a wrong program. Where they are the only tests, and the phase wants several
candidates to ``agree``, those that pass are started with other inputs, too, and with the tester's examples. The first
wins that as many give the same outputs as, and that meets an example of the tester's; one that meets all of several
needs no other to agree. If there is none, the product is delivered, and its verdict says that it is unconfirmed.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import msgspec

from chatdev.errors import ChatDevError
from chatdev.journal.events import RaceDecided, Standing, TestResult
from chatdev.models.errors import ModelError, PromptCut, WindowTooSmall
from chatdev.models.types import Progress
from chatdev.product import probes, rows
from chatdev.product.sessions import Call
from chatdev.project import acceptance, trials, verdict, writing
from chatdev.project.meeting import Meeting
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

_WHY = 200
_FEWEST = 2
"""Outputs that two programs must both have given before it counts that they are all the same."""
_SEVERAL = 4
"""Further examples of the tester that a candidate must meet, all of them, to need no other that agrees."""
_RARE = 6
"""A row that at most one of this many candidates meets may be met by chance, and has no support."""
_ENOUGH = 3
"""Candidates that must have been judged before rows which none of them meets keep nobody from winning."""


async def run(meeting: Meeting, candidates: int, at_once: int = 0) -> State:
    """The next state after the best of so many candidates, of whom ``at_once`` work at the same time (0: all). Raises
    as one alone would, if none of them came to an end."""
    decided = meeting.desk.known(RaceDecided)
    numbers = [decided.winner] if decided else range(1, candidates + 1)
    racers = [_Racer(meeting, number) for number in numbers]
    field = _Field(racers, at_once or len(racers))
    try:
        winner = await field.winner()
        decided = await meeting.desk.perform(
            RaceDecided, meeting.state.digest, lambda: _decided(meeting, winner, field)
        )
    finally:
        await field.close()
    solved = winner.solved
    assert solved is not None
    state = meeting.write({path: text for path, text in solved.files.items() if meeting.state.files.get(path) != text})
    state = msgspec.structs.replace(solved, files=state.files)
    if decided.dropped:
        state = _without(meeting, state, decided.dropped)
    if winner.met_further:
        state = _with_further(meeting, state, winner.met_further)
    doubt = winner.doubt(decided.agreed, min(meeting.phase.agree, candidates))
    return msgspec.structs.replace(state, unconfirmed=state.digest, doubt=doubt) if doubt else state


def _with_further(meeting: Meeting, state: State, met: Sequence[bool]) -> State:
    """The state once those of the tester's further examples that the product meets are tests, too; the others are
    shown, and not judged."""
    assert state.way is not None
    command = state.way.command
    tiers: tuple[rows.Tier, rows.Tier] = ("dropped", "doubtful")
    added = [msgspec.structs.replace(row, tier=tiers[each]) for row, each in zip(state.further, met, strict=True)]
    known = rows.parse(state.files.get(rows.FILE, ""), command).rows
    files = {rows.FILE: rows.render((*known, *added), command)}
    state = replace(meeting, state=state, desk=meeting.desk.at("further")).write(files)
    baseline = acceptance.baseline(acceptance.rows_of(state.product, command))
    return msgspec.structs.replace(state, baseline=baseline, further=())


def _without(meeting: Meeting, state: State, dropped: Sequence[str]) -> State:
    """The state once the rows that no candidate met are judged no more; the report hears of each."""
    assert state.way is not None
    for number, name in enumerate(dropped, 1):
        meeting.note("tests", number, f"{name} is met by hardly any candidate: not judged")
    files = acceptance.dropping(state.files, state.way.command, frozenset(dropped))
    return replace(meeting, state=state, desk=meeting.desk.at("dropped")).write(files)


async def _decided(meeting: Meeting, winner: "_Racer", field: "_Field") -> RaceDecided:
    standings = tuple(racer.standing(won=racer is winner) for racer in field.begun)
    return RaceDecided(
        meeting.desk.place,
        meeting.state.digest,
        winner.number,
        standings,
        field.unmet(winner),
        field.agreed(winner),
    )


class _Racer:
    """One candidate: what came of it so far. ``tokens`` have come of the call that is under way."""

    def __init__(self, meeting: Meeting, number: int) -> None:
        self.number, self.agree = number, meeting.phase.agree
        self.solved: State | None = None
        self.error: ChatDevError | Exhausted | None = None
        self.holds = self.begins = False
        self.outputs: tuple[str, ...] = ()
        self.met_further: tuple[bool, ...] = ()
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
        self.begins = written.starts or not starting
        passing = written.passing and self.begins
        if passing and (calls := _probes(written, self._meeting.phase.agree)):
            probed = await trials.probe(office, desk.at("probe"), written, calls)
            self.outputs, self.met_further = probed.outputs, probed.met
        self.holds, self.solved = passing, written

    @property
    def slow(self) -> bool:
        """Whether it took too long for one of the other inputs."""
        return acceptance.TIMED_OUT in self.outputs

    def doubt(self, agreed: int, wanted: int) -> str:
        """Why it is not to be believed though it holds, where so many of those ``wanted`` agree; empty if it is, or if
        no other inputs were tried."""
        met = self.met_further
        if not self.outputs or (not self.slow and len(met) >= _SEVERAL and all(met)):
            return ""
        if self.slow:
            return verdict.SLOW
        if agreed < wanted:
            return verdict.DISAGREE
        return verdict.UNSUPPORTED if met and not any(met) else ""

    @property
    def passed(self) -> int:
        """Its acceptance tests that pass."""
        return sum(result.outcome == "passed" for result in self.results)

    def met(self, tier: str) -> frozenset[str]:
        """Its tests of this tier that pass; those that are programs were written by the tester, and so are doubtful."""
        return frozenset(
            result.id for result in self.results if result.outcome == "passed" and (result.tier or "doubtful") == tier
        )

    @property
    def results(self) -> tuple[TestResult, ...]:
        return self.solved.tests.results if self.solved and self.solved.tests and self.solved.tested else ()

    def standing(self, *, won: bool) -> Standing:
        """How it stands now, for the log."""
        if self.error is not None:
            error = self.error
            why = f"the limit of {error} was reached" if isinstance(error, Exhausted) else error.what
            return Standing(self.number, "failed", why=why[:_WHY])
        if self.solved is None:
            return Standing(self.number, "cancelled", calls=int(self._asking), tokens=self._tokens * self._asking)
        return Standing(self.number, "won" if won else "beaten", self.passed, len(self.results))


def _probes(state: State, agree: int) -> tuple[Call, ...]:
    """The inputs with which candidates are compared: none where only one is wanted, or a tester wrote tests, too."""
    if agree < 2 or state.way is None:
        return ()
    found = acceptance.rows_of(state.product, state.way.command)
    others = [path for path in state.acceptance_tests if path != rows.FILE]
    if others or any(row.tier != "trusted" for row in found):
        return ()
    return probes.of_rows(found)


def _alike(outputs: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two programs behave the same: the same outputs, and both broke where one did."""
    return outputs == others and sum(map(bool, outputs)) >= _FEWEST


class _Field:
    """All candidates of a race: who has begun, and how they compare."""

    def __init__(self, racers: "list[_Racer]", at_once: int) -> None:
        self._racers, self._at_once = racers, at_once
        self._tasks: dict[asyncio.Task[None], _Racer] = {}
        self.begun: list[_Racer] = []

    async def winner(self) -> "_Racer":
        """The first that holds, else the best of all. Raises what keeps a run from going on."""
        waiting = list(self._racers)
        self._begin(waiting, 1 if self._at_once < len(waiting) else len(waiting))
        pending = set(self._tasks)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if found := next(filter(self._sure, self.begun), None) or self._settled():
                return found
            pending |= self._begin(waiting, self._at_once - len(pending))
        return self._best()

    def _begin(self, waiting: "list[_Racer]", number: int) -> set[asyncio.Task[None]]:
        begun: set[asyncio.Task[None]] = set()
        for _ in range(min(number, len(waiting))):
            racer = waiting.pop(0)
            self.begun.append(racer)
            task = asyncio.create_task(racer.run())
            self._tasks[task] = racer
            begun.add(task)
        return begun

    async def close(self) -> None:
        """Cancel those who are still at work."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _best(self) -> "_Racer":
        for racer in self.begun:
            if isinstance(racer.error, ModelError) and not isinstance(racer.error, WindowTooSmall | PromptCut):
                raise racer.error  # once the server is there again, a resume asks this one alone
        if solved := [racer for racer in self.begun if racer.solved]:
            return self._foremost(solved)
        errors = [racer.error for racer in self.begun]
        error = next((error for error in errors if isinstance(error, Exhausted)), errors[0])
        assert error is not None
        raise error

    def _sure(self, racer: "_Racer") -> bool:
        """Whether it holds, and nothing speaks against it."""
        return racer.holds and not racer.doubt(self.agreed(racer), min(racer.agree, len(self._racers)))

    def agreed(self, winner: "_Racer") -> int:
        """How many candidates that hold give the winner's outputs, itself among them; 0 where nothing was probed."""
        return sum(racer.holds and _alike(racer.outputs, winner.outputs) for racer in self.begun)

    def _foremost(self, solved: "list[_Racer]") -> "_Racer":
        """By the tests of the task, then by how many others meet the same tests times how many those are (as CodeT
        does), then by the tests that pass, and of equal ones the first."""
        alike = Counter(racer.met("doubtful") for racer in solved)

        def rank(racer: _Racer) -> tuple[int, ...]:
            met = racer.met("doubtful")
            tested = len(racer.met("trusted")), alike[met] * len(met), racer.passed
            return *tested, not racer.slow, self.agreed(racer) * (1 + sum(racer.met_further)), -racer.number

        return max(solved, key=rank)

    def _settled(self) -> "_Racer | None":
        """The best so far, if all that it fails are rows which enough others failed, too, and it is not alone."""
        solved = [racer for racer in self.begun if racer.solved and racer.results]
        if len(solved) < _ENOUGH:
            return None
        best = self._foremost(solved)
        unmet = set(self.unmet(best))
        failing = {result.id for result in best.results if result.outcome != "passed"}
        alone = sum(racer.met("doubtful") == best.met("doubtful") for racer in solved) < 2
        return best if failing and failing <= unmet and not alone and best.met("doubtful") and best.begins else None

    def unmet(self, winner: "_Racer") -> tuple[str, ...]:
        """The tester's rows that the winner fails and no other candidate meets, if enough were judged; and those that
        hardly any other meets, if they are few beside what the winner meets."""
        judged = [racer for racer in self.begun if racer.results]
        if len(judged) < _ENOUGH:
            return ()
        support = Counter(name for racer in judged for name in racer.met("doubtful"))
        failing = [result.id for result in winner.results if result.tier == "doubtful" and result.outcome != "passed"]
        rare = [name for name in failing if 0 < support[name] * _RARE <= len(judged)]
        few = 2 * len(rare) < len(winner.met("doubtful"))
        return tuple(name for name in failing if not support[name] or (few and name in rare))
