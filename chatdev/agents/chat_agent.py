"""One role at the table, and how it is asked until its answer can be used."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from chatdev.models.types import Message


class Answer(msgspec.Struct, frozen=True):
    """What a role said. ``finish_reason`` is the server's word; ``length`` means that the answer was cut."""

    text: str
    finish_reason: str = "stop"


class Ask(Protocol):
    """Asks a model in the name of ``role``; ``turn`` counts its turns, ``attempt`` the tries at one turn, from 1."""

    async def __call__(
        self, role: str, turn: int, attempt: int, messages: Sequence[Message], choices: Sequence[str] = ()
    ) -> Answer:
        """The answer, new or from the log; with ``choices`` one of them, where the server can hold the model to it.

        Raises ModelError.
        """
        ...


class Seat(msgspec.Struct, frozen=True):
    """A role with what it was told before the talk began."""

    role: str
    beginning: tuple[Message, ...] = ()


class Lack(msgspec.Struct, frozen=True):
    """What an answer lacks: ``request`` asks the role for it, ``told`` says it to a person."""

    request: str
    told: str


Read = Callable[[Answer], Awaitable[Lack | None]]
"""Takes what an answer holds, and gives what is still missing; None when nothing is."""

QUOTED = 2_000
"""Characters of an unusable answer that are shown back to the model: enough to see its form, not to fill a window."""


def quoted(answer: Answer, limit: int = QUOTED) -> str:
    """The answer as it re-enters a prompt: its beginning if it is long, and never empty, which templates refuse."""
    text = answer.text.strip()
    if not text:
        return "(no answer)"
    return text if len(text) <= limit else text[:limit] + "\n[…]"


async def insist(
    ask: Ask, seat: Seat, question: str, read: Read, again: Callable[[int, str], None], *, attempts: int = 3
) -> Answer:
    """Ask a role, and ask again for what its answer lacks, at most ``attempts`` times in all; the last answer.

    ``read`` keeps what is usable of each answer; ``again`` hears the number and the reason of each further question.
    Only the last answer and the request for what it lacks are added to the question, so that a prompt does not grow
    with bad answers.
    """
    opening = (*seat.beginning, Message("user", question))
    messages: tuple[Message, ...] = opening
    for attempt in range(1, attempts + 1):
        answer = await ask(seat.role, 1, attempt, messages)
        lack = await read(answer)
        if lack is None or attempt == attempts:
            return answer
        again(attempt, lack.told)
        messages = (*opening, Message("assistant", quoted(answer)), Message("user", lack.request))
    raise AssertionError("attempts is at least 1")
