"""Several programmers solve one phase, each for itself: the first whose product holds wins, and no more are asked.

All of them are asked the same, so that the server computes the prompt once, and differ in temperature and seed. Each
has its own branch of the log, ``candidate.NUMBER``, and its own files, which reach the disk only when it has won. Who
won is an effect: on a resume it stands as it was recorded, and only the winner's branch is gone through again.

Where a phase says how many work ``at_once``, the first one works alone, since it is asked for the likeliest answer, and
the others follow while none holds. If none does, the tests say who wins: those of the task first, then those of the
tester, of which the ones count that several candidates meet together. Where as many candidates as shall ``agree`` print
the same for a row of the tester, which says something else or nothing, the row is judged by that: a small model writes
better programs than it works out what they print. Any other row that no candidate meets, or one among many that does
not win, is more likely wrong than all of the programs, and is not judged.

A few examples of a task are met by many a wrong program. Where they are the only tests, and the phase wants several
candidates to ``agree``, those that pass are started with other inputs, too, and with the tester's examples. The first
wins that as many give the same outputs as, and that meets an example of the tester's; one that meets all of several
needs no other to agree. If there is none, the product is delivered, and its verdict says that it is unconfirmed.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import msgspec

from chatdev.journal.events import RaceDecided
from chatdev.models.errors import ModelError, PromptCut, WindowTooSmall
from chatdev.product import rows
from chatdev.project import acceptance
from chatdev.project.meeting import Meeting
from chatdev.project.racer import Racer
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

_FEWEST = 2
"""Outputs that two programs must both have given before it counts that they are all the same."""
_RARE = 6
"""A row that at most one of this many candidates meets may be met by chance, and has no support."""
_ENOUGH = 3
"""Candidates that must have been judged before rows which none of them meets keep nobody from winning."""


async def run(meeting: Meeting, candidates: int, at_once: int = 0) -> State:
    """The next state after the best of so many candidates, of whom ``at_once`` work at the same time (0: all). Raises
    as one alone would, if none of them came to an end."""
    decided = meeting.desk.known(RaceDecided)
    numbers = [decided.winner] if decided else range(1, candidates + 1)
    racers = [Racer(meeting, number) for number in numbers]
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
    if decided.dropped or decided.settled:
        state = _rejudged(meeting, state, winner, decided)
    if winner.met_further:
        state = _with_further(meeting, state, winner.met_further)
    doubt = winner.doubt(decided.agreed, min(meeting.phase.agree, candidates)) or winner.lack(len(decided.settled))
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
    baseline = acceptance.baseline_of(state.product, command)
    return msgspec.structs.replace(state, baseline=baseline, further=())


def _rejudged(meeting: Meeting, state: State, winner: Racer, decided: RaceDecided) -> State:
    """The state once the rows that no candidate met are judged no more, and others by what several print; the report
    hears of each."""
    assert state.way is not None
    command = state.way.command
    told = [f"{name} is met by hardly any candidate: not judged" for name in decided.dropped]
    told += [f"{name} is judged by what several candidates print" for name in decided.settled]
    for number, text in enumerate(told, 1):
        meeting.note("tests", number, text)
    settled = {result.id: result.printed for result in winner.started if result.id in decided.settled}
    files = acceptance.changing(state.files, command, decided.dropped, settled)
    state = replace(meeting, state=state, desk=meeting.desk.at("dropped")).write(files)
    if not settled:
        return state
    return msgspec.structs.replace(state, baseline=acceptance.baseline_of(state.product, command))


async def _decided(meeting: Meeting, winner: Racer, field: "_Field") -> RaceDecided:
    standings = tuple(racer.standing(won=racer is winner) for racer in field.begun)
    return RaceDecided(
        meeting.desk.place,
        meeting.state.digest,
        winner.number,
        standings,
        field.unmet(winner),
        field.agreed(winner),
        field.settled(winner),
    )


def _alike(outputs: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two programs behave the same: the same outputs, and both broke where one did."""
    return outputs == others and sum(map(bool, outputs)) >= _FEWEST


class _Field:
    """All candidates of a race: who has begun, and how they compare."""

    def __init__(self, racers: "list[Racer]", at_once: int) -> None:
        self._racers, self._at_once = racers, at_once
        self._tasks: dict[asyncio.Task[None], Racer] = {}
        self.begun: list[Racer] = []

    async def winner(self) -> Racer:
        """The first that holds, else the best of all. Raises what keeps a run from going on."""
        waiting = list(self._racers)
        self._begin(waiting, 1 if self._at_once < len(waiting) else len(waiting))
        pending = set(self._tasks)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
            if found := next(filter(self._sure, self.begun), None) or self._without_doubt():
                return found
            pending |= self._begin(waiting, self._at_once - len(pending))
        return self._best()

    def _begin(self, waiting: "list[Racer]", number: int) -> set[asyncio.Task[None]]:
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

    def _best(self) -> Racer:
        for racer in self.begun:
            if isinstance(racer.error, ModelError) and not isinstance(racer.error, WindowTooSmall | PromptCut):
                raise racer.error  # once the server is there again, a resume asks this one alone
        if solved := [racer for racer in self.begun if racer.solved]:
            return self._foremost(solved)
        errors = [racer.error for racer in self.begun]
        error = next((error for error in errors if isinstance(error, Exhausted)), errors[0])
        assert error is not None
        raise error

    def _sure(self, racer: Racer) -> bool:
        """Whether it holds, and nothing speaks against it."""
        return racer.holds and not racer.doubt(self.agreed(racer), self._wanted)

    def agreed(self, winner: Racer) -> int:
        """How many candidates that hold give the winner's outputs, itself among them; 0 where nothing was probed."""
        return sum(racer.holds and _alike(racer.outputs, winner.outputs) for racer in self.begun)

    @property
    def _wanted(self) -> int:
        """Candidates that must print the same, for it to count."""
        return min(self._racers[0].agree, len(self._racers))

    @property
    def _votes(self) -> Counter[tuple[str, str]]:
        """How many candidates print each output for a row of the tester that they fail, by row id and output."""
        return Counter(each for racer in self.begun for each in racer.printed.items())

    def settled(self, winner: Racer) -> tuple[str, ...]:
        """The tester's rows that the winner fails, and for which enough candidates print what it prints: more than the
        tester and those who meet the row. None if those rows are fewer than half of all that it fails.

        A tester of whose outputs the winner meets half or more is corrected in none: drafts may share a mistake.
        """
        if winner.agree < _FEWEST:
            return ()
        votes = self._votes
        against = Counter(name for racer in self.begun for name in racer.met("doubtful"))
        found = tuple(
            name
            for name, text in winner.printed.items()
            if votes[name, text] >= winner.agree
            and votes[name, text] > 1 + against[name]
            and name not in winner.beyond_doubt
        )
        return found if 2 * len(found) >= sum(result.outcome != "passed" for result in winner.started) else ()

    def _supported(self, racer: Racer) -> frozenset[tuple[str, str]]:
        """What speaks for a candidate: the tester's rows that it meets, and those that are settled as it has them."""
        met = {(name, "") for name in racer.met("doubtful")}
        return frozenset(met | {(name, racer.printed[name]) for name in self.settled(racer)})

    def _foremost(self, solved: "list[Racer]") -> Racer:
        """By the tests of the task, then by how much support it has times how many others have no other (as CodeT does
        with those that have the same), then by the tests that pass, and of equal ones the first."""
        support = {racer.number: self._supported(racer) for racer in solved}

        def rank(racer: Racer) -> tuple[int, ...]:
            mine = support[racer.number]
            others = sum(bool(each) and each <= mine for each in support.values())
            tested = len(racer.met("trusted")), others * len(mine), racer.passed
            return *tested, not racer.slow, self.agreed(racer) * (1 + sum(racer.met_further)), -racer.number

        return max(solved, key=rank)

    def _without_doubt(self) -> "Racer | None":
        """The best so far, if it is not alone, and all that it fails are rows which enough others failed, too, or for
        which they print the same."""
        solved = [racer for racer in self.begun if racer.solved and racer.started]
        if len(solved) < _FEWEST:
            return None
        best = self._foremost(solved)
        settled, unmet = set(self.settled(best)), set(self.unmet(best))
        failing = {result.id for result in best.started if result.outcome != "passed"}
        mine = self._supported(best)
        alone = not mine or sum(self._supported(racer) == mine for racer in solved) < _FEWEST
        if alone or not failing or best.lack(len(settled)) or not best.begins or self._may_settle(best, unmet):
            return None
        return best if {result.id for result in best.results} & failing <= settled | unmet else None

    def _may_settle(self, racer: Racer, unmet: Collection[str]) -> bool:
        """Whether another candidate may yet print what this one and a second do for a row that is else not judged."""
        votes = self._votes
        asked = set(unmet) - racer.beyond_doubt
        near = any(votes[name, text] >= _FEWEST for name, text in racer.printed.items() if name in asked)
        return near and racer.agree >= _FEWEST and any(not other.ended for other in self._racers)

    def unmet(self, winner: Racer) -> tuple[str, ...]:
        """The tester's rows that the winner fails and no other candidate meets, if enough were judged; and those that
        hardly any other meets, if they are few beside what the winner meets."""
        judged = [racer for racer in self.begun if racer.results]
        if len(judged) < _ENOUGH:
            return ()
        settled = self.settled(winner)
        support = Counter(name for racer in judged for name in racer.met("doubtful"))
        failing = [
            result.id
            for result in winner.results
            if result.tier == "doubtful" and result.outcome != "passed" and result.id not in settled
        ]
        rare = [name for name in failing if 0 < support[name] * _RARE <= len(judged)]
        few = 2 * len(rare) < len(winner.met("doubtful"))
        return tuple(name for name in failing if not support[name] or (few and name in rare))
