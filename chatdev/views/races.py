"""Phases that several candidates solved in parallel, as recorded in the log."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from chatdev.journal import events

_BRANCH = re.compile(r"(?:^|/)candidate\.(\d+)(?:/|$)")


def candidate(place: str) -> str:
    """The candidate whose branch a place is in (``candidate 2``); empty outside of races."""
    found = _BRANCH.search(place)
    return f"candidate {found[1]}" if found else ""


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
            f"{race.place}/candidate.{each.number}/"
            for race in decided
            for each in race.standings
            if each.number != race.winner
        )

    def holds(self, place: str) -> bool:
        """Whether a place is in a losing branch."""
        return place.startswith(self._branches)


def told(decided: Iterable[events.RaceDecided], calls: Sequence[events.ModelAnswered]) -> tuple[Race, ...]:
    """The races in log order, with what each candidate used."""
    return tuple(
        Race(race.place, race.winner, tuple(_candidate(race, standing, calls) for standing in race.standings))
        for race in decided
    )


def _candidate(
    race: events.RaceDecided, standing: events.CandidateResult, calls: Sequence[events.ModelAnswered]
) -> Candidate:
    branch = f"{race.place}/candidate.{standing.number}/"
    theirs = [call for call in calls if call.place.startswith(branch)]
    return Candidate(
        standing,
        calls=len(theirs),
        tokens=sum(call.prompt_tokens + call.completion_tokens for call in theirs) + standing.tokens,
        seconds=sum(call.seconds for call in theirs),
    )
