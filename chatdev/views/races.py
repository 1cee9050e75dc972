"""Phases that several candidates solved in parallel, as recorded in the log."""

from collections.abc import Iterable, Sequence

import msgspec

from chatdev.journal import events, places


def candidate(place: str) -> str:
    """The candidate whose branch a place is in (``candidate 2``); empty outside of races."""
    number = places.candidate(place)
    return f"candidate {number}" if number else ""


class Candidate(msgspec.Struct, frozen=True):
    """What one candidate did: its answers, their tokens (prompt and completion, partial answers of cancelled calls
    included), the seconds of its calls, and its result when the race was decided."""

    standing: events.CandidateResult
    calls: int
    tokens: int
    seconds: float


class Race(msgspec.Struct, frozen=True):
    """A race that was decided, at the place of its phase."""

    place: str
    winner: int
    candidates: tuple[Candidate, ...]


class LosingBranches:
    """Knows the branches that lost: what happened there is not part of the product's history."""

    def __init__(self, decided: Iterable[events.RaceDecided]) -> None:
        self._branches = tuple(
            places.below(race.place, places.CANDIDATE, each.number)
            for race in decided
            for each in race.standings
            if each.number != race.winner
        )

    def holds(self, place: str) -> bool:
        """Whether a place is in a losing branch."""
        return any(places.contains(branch, place) for branch in self._branches)


def summaries(decided: Iterable[events.RaceDecided], calls: Sequence[events.ModelAnswered]) -> tuple[Race, ...]:
    """The races in log order, with what each candidate used."""
    return tuple(
        Race(race.place, race.winner, tuple(_candidate(race, standing, calls) for standing in race.standings))
        for race in decided
    )


def _candidate(
    race: events.RaceDecided, standing: events.CandidateResult, calls: Sequence[events.ModelAnswered]
) -> Candidate:
    branch = places.below(race.place, places.CANDIDATE, standing.number)
    theirs = [call for call in calls if places.contains(branch, call.place)]
    return Candidate(
        standing,
        calls=len(theirs),
        tokens=sum(call.prompt_tokens + call.completion_tokens for call in theirs) + standing.tokens,
        seconds=sum(call.seconds for call in theirs),
    )
