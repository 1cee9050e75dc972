"""Phases that several candidates solved at once, as the log tells of them."""

import re
from collections.abc import Iterable, Sequence

import msgspec

from chatdev.journal import events

_BRANCH = re.compile(r"(?:^|/)candidate\.(\d+)(?:/|$)")


def candidate(place: str) -> str:
    """Whose branch of a race a place is in, in words: ``candidate 2``; empty outside of all races."""
    found = _BRANCH.search(place)
    return f"candidate {found[1]}" if found else ""


class Candidate(msgspec.Struct, frozen=True):
    """What one candidate did: its answers, their tokens (prompts and answers, and what had come of a call that was cut
    off), the seconds of its calls, and how it stood when the race was decided."""

    standing: events.Standing
    calls: int
    tokens: int
    seconds: float


class Race(msgspec.Struct, frozen=True):
    """A race that was decided, at the place of its phase."""

    place: str
    winner: int
    candidates: tuple[Candidate, ...]


class Lost:
    """Knows the branches that lost: what happened there is no part of the product's story."""

    def __init__(self, decided: Iterable[events.RaceDecided]) -> None:
        self._branches = tuple(
            f"{race.place}/candidate.{each.number}/"
            for race in decided
            for each in race.standings
            if each.number != race.winner
        )

    def holds(self, place: str) -> bool:
        """Whether a place is in such a branch."""
        return place.startswith(self._branches)


def told(decided: Iterable[events.RaceDecided], calls: Sequence[events.ModelAnswered]) -> tuple[Race, ...]:
    """The races in the log's order, with what each candidate spent."""
    return tuple(
        Race(race.place, race.winner, tuple(_candidate(race, standing, calls) for standing in race.standings))
        for race in decided
    )


def _candidate(race: events.RaceDecided, standing: events.Standing, calls: Sequence[events.ModelAnswered]) -> Candidate:
    branch = f"{race.place}/candidate.{standing.number}/"
    theirs = [call for call in calls if call.place.startswith(branch)]
    return Candidate(
        standing,
        calls=len(theirs),
        tokens=sum(call.prompt_tokens + call.completion_tokens for call in theirs) + standing.tokens,
        seconds=sum(call.seconds for call in theirs),
    )
