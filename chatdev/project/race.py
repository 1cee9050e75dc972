"""Several programmers solve one phase independently: the first whose program passes wins, and no more are started.

All candidates get the same prompt, so the server computes it once; they differ in temperature and seed. Each has its
own branch of the log, ``candidate.NUMBER``, and its own files, written to the disk only if it wins. The winner is an
effect: a resume takes it from the log and replays only the winner's branch.

If the phase limits how many work ``at_once``, the first candidate works alone, because its answer is the likeliest; the
others follow until one passes. If none does, the tests choose the winner: the task's first, then the tester's, where
those count that several candidates pass together. If as many candidates as ``agree`` says print the same for a row of
the tester that has another output or none, the row is judged by that: a small model is better at writing programs than
at predicting what they print. Any other row that no candidate passes, or only one of many that does not win, is more
likely wrong than all of the programs, and is not judged.

A few examples of a task do not rule out wrong programs. If they are the only tests, and the phase wants several
candidates to ``agree``, those that pass are also started with other inputs and with the tester's examples. The first
wins whose outputs as many candidates share and that passes one of the tester's examples; one that passes all of several
needs no agreement. If there is none, the product is delivered with the verdict that it is unconfirmed.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace

import msgspec

from chatdev.journal import places
from chatdev.journal.events import RaceDecided
from chatdev.models.errors import ContentFiltered, ModelError, PromptCut, WindowTooSmall
from chatdev.product import acceptance, rows
from chatdev.project import writing
from chatdev.project.context import PhaseContext
from chatdev.project.racer import Racer
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

_FEWEST = 2
"""Outputs that two programs must both have given before equal outputs count as agreement."""
_RARE = 6
"""A row that at most one in this many candidates passes may be passed by chance, and counts as unsupported."""
_ENOUGH = 3
"""Candidates that must be judged before a row that none of them passes is no longer held against the winner."""


async def code(context: PhaseContext) -> State:
    """The program: from several candidates if the phase has more than one, else from its programmer. Raises
    NoProgram."""
    if context.candidates == 1:
        return await writing.code(context)
    at_once = min(filter(None, (context.phase.at_once, context.run.at_once)), default=0)
    return await run(context, context.candidates, at_once)


async def run(context: PhaseContext, candidates: int, at_once: int = 0) -> State:
    """The next state after the best of ``candidates`` programs, ``at_once`` of them written at the same time (0: all).
    If none of them is finished, raises what a single one would."""
    decided = context.scope.recorded(RaceDecided)
    numbers = [decided.winner] if decided else range(1, candidates + 1)
    racers = [Racer(context, number, last=number == candidates > 1) for number in numbers]
    field = _Field(racers, at_once or len(racers))
    try:
        winner = await field.winner()
        decided = await context.scope.perform(
            RaceDecided, context.state.digest, lambda: _decided(context, winner, field)
        )
    finally:
        await field.close()
    solved = winner.solved
    assert solved is not None
    state = context.write({path: text for path, text in solved.files.items() if context.state.files.get(path) != text})
    state = msgspec.structs.replace(solved, files=state.files)
    if decided.dropped or decided.settled:
        state = _rejudged(context, state, winner, decided)
    if winner.further_passed:
        state = _with_further(context, state, winner.further_passed)
    doubt = winner.doubt(decided.agreed, min(context.phase.agree, candidates)) or winner.lack(len(decided.settled))
    return msgspec.structs.replace(state, unconfirmed=state.digest, doubt=doubt) if doubt else state


def _with_further(context: PhaseContext, state: State, passes: Sequence[bool]) -> State:
    """The state once the tester's further examples that the product passes are tests, too. The others stay in the file
    of rows and are not judged."""
    assert state.language_support is not None
    command = state.language_support.command
    tiers: tuple[rows.Tier, rows.Tier] = ("dropped", "doubtful")
    added = [msgspec.structs.replace(row, tier=tiers[each]) for row, each in zip(state.further, passes, strict=True)]
    existing = rows.parse(state.files.get(rows.FILE, ""), command).rows
    files = {rows.FILE: rows.render((*existing, *added), command)}
    state = replace(context, state=state, scope=context.scope.at(places.FURTHER)).write(files)
    baseline = acceptance.baseline_of(state.product, command)
    return msgspec.structs.replace(state, baseline=baseline, further=())


def _rejudged(context: PhaseContext, state: State, winner: Racer, decided: RaceDecided) -> State:
    """The state once the rows that no candidate passed are not judged any more, and others are judged by what several
    candidates print. The report lists each."""
    assert state.language_support is not None
    command = state.language_support.command
    notes = [f"{name} is met by hardly any candidate: not judged" for name in decided.dropped]
    notes += [f"{name} is judged by what several candidates print" for name in decided.settled]
    for number, text in enumerate(notes, 1):
        context.note("tests", number, text)
    settled = {result.id: result.printed for result in winner.started if result.id in decided.settled}
    files = acceptance.changing(state.files, command, decided.dropped, settled)
    state = replace(context, state=state, scope=context.scope.at(places.DROPPED)).write(files)
    if not settled:
        return state
    return msgspec.structs.replace(state, baseline=acceptance.baseline_of(state.product, command))


async def _decided(context: PhaseContext, winner: Racer, field: "_Field") -> RaceDecided:
    standings = tuple(racer.standing(won=racer is winner) for racer in field.begun)
    return RaceDecided(
        context.scope.place,
        context.state.digest,
        winner.number,
        standings,
        field.unmet(winner),
        field.agreed(winner),
        field.settled(winner),
    )


def _alike(outputs: Sequence[str], others: Sequence[str]) -> bool:
    """Whether two programs behave the same: the same outputs, and both broke on the same inputs."""
    return outputs == others and sum(map(bool, outputs)) >= _FEWEST


class _Field:
    """All candidates of a race: which have begun, and how they compare."""

    def __init__(self, racers: "list[Racer]", at_once: int) -> None:
        self._racers, self._at_once = racers, at_once
        self._tasks: dict[asyncio.Task[None], Racer] = {}
        self.begun: list[Racer] = []

    async def winner(self) -> Racer:
        """The first that passes without doubt, else the best of all. Raises errors that stop the run."""
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
        """Cancel those that are still working."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _best(self) -> Racer:
        for racer in self.begun:
            alone = isinstance(racer.error, WindowTooSmall | PromptCut | ContentFiltered)
            if isinstance(racer.error, ModelError) and not alone:
                raise racer.error  # once the server is back, a resume calls it for this one alone
        if solved := [racer for racer in self.begun if racer.solved]:
            return self._foremost(solved)
        errors = [racer.error for racer in self.begun]
        error = next((error for error in errors if isinstance(error, Exhausted)), errors[0])
        assert error is not None
        raise error

    def _sure(self, racer: Racer) -> bool:
        """Whether it passes and is not doubtful."""
        return racer.holds and not racer.doubt(self.agreed(racer), self._wanted)

    def agreed(self, winner: Racer) -> int:
        """How many passing candidates give the winner's outputs, itself included; 0 if nothing was probed."""
        return sum(racer.holds and _alike(racer.outputs, winner.outputs) for racer in self.begun)

    @property
    def _wanted(self) -> int:
        """How many candidates must print the same before it counts."""
        return min(self._racers[0].agree, len(self._racers))

    @property
    def _votes(self) -> Counter[tuple[str, str]]:
        """How many candidates print each output for a row of the tester that they fail, by row id and output."""
        return Counter(each for racer in self.begun for each in racer.printed.items())

    def settled(self, winner: Racer) -> tuple[str, ...]:
        """The tester's rows that the winner fails although enough candidates print what it prints: more of them than
        the tester and those that pass the row. None if those rows are fewer than half of all that it fails.

        If the winner passes half or more of the tester's outputs, none is corrected: drafts may share a mistake.
        """
        if winner.agree < _FEWEST:
            return ()
        votes = self._votes
        against = Counter(name for racer in self.begun for name in racer.passed_of("doubtful"))
        found = tuple(
            name
            for name, text in winner.printed.items()
            if votes[name, text] >= winner.agree
            and votes[name, text] > 1 + against[name]
            and name not in winner.beyond_doubt
        )
        return found if 2 * len(found) >= sum(result.outcome != "passed" for result in winner.started) else ()

    def _supported(self, racer: Racer) -> frozenset[tuple[str, str]]:
        """What supports a candidate: the tester's rows that it passes, and those that are settled by its output."""
        passed = {(name, "") for name in racer.passed_of("doubtful")}
        return frozenset(passed | {(name, racer.printed[name]) for name in self.settled(racer)})

    def _foremost(self, solved: "list[Racer]") -> Racer:
        """The best by the task's tests, then by its support times the number of candidates whose support is a part of
        it (CodeT counts those with the same support), then by the tests that pass; the first of equal ones."""
        support = {racer.number: self._supported(racer) for racer in solved}

        def rank(racer: Racer) -> tuple[int, ...]:
            mine = support[racer.number]
            others = sum(bool(each) and each <= mine for each in support.values())
            tested = len(racer.passed_of("trusted")), others * len(mine), racer.passed
            return *tested, not racer.slow, self.agreed(racer) * (1 + sum(racer.further_passed)), -racer.number

        return max(solved, key=rank)

    def _without_doubt(self) -> "Racer | None":
        """The best so far, if another one has the same support, and each row that it fails is settled or was failed by
        enough others, too."""
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
        """Whether a further candidate may still confirm what two print for a row that is otherwise not judged."""
        votes = self._votes
        not_judged = set(unmet) - racer.beyond_doubt
        near = any(votes[name, text] >= _FEWEST for name, text in racer.printed.items() if name in not_judged)
        return near and racer.agree >= _FEWEST and any(not other.ended for other in self._racers)

    def unmet(self, winner: Racer) -> tuple[str, ...]:
        """The tester's rows that the winner fails and no other candidate passes, if enough were judged; and those that
        hardly any other passes, if they are few compared with those that the winner passes."""
        judged = [racer for racer in self.begun if racer.results]
        if len(judged) < _ENOUGH:
            return ()
        settled = self.settled(winner)
        support = Counter(name for racer in judged for name in racer.passed_of("doubtful"))
        failing = [
            result.id
            for result in winner.results
            if result.tier == "doubtful" and result.outcome != "passed" and result.id not in settled
        ]
        rare = [name for name in failing if 0 < support[name] * _RARE <= len(judged)]
        few = 2 * len(rare) < len(winner.passed_of("doubtful"))
        return tuple(name for name in failing if not support[name] or (few and name in rare))
