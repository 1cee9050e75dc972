"""One role, and the requests to it until its answer can be used."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import msgspec

from chatdev.models.types import Message


class RoleAnswer(msgspec.Struct, frozen=True):
    """A role's answer. ``finish_reason`` is the server's; ``length`` means that the answer was cut."""

    text: str
    finish_reason: str = "stop"


class Ask(Protocol):
    """Calls a model for ``role``; ``turn`` counts its turns, ``attempt`` the tries at one turn, from 1."""

    async def __call__(
        self, role: str, turn: int, attempt: int, messages: Sequence[Message], choices: Sequence[str] = ()
    ) -> RoleAnswer:
        """The answer, new or from the log; with ``choices``, one of them if the server can constrain the model.

        Raises ModelError.
        """
        ...


class Participant(msgspec.Struct, frozen=True):
    """A role with its messages from before the conversation."""

    role: str
    beginning: tuple[Message, ...] = ()


class Missing(msgspec.Struct, frozen=True):
    """What an answer lacks: ``request`` asks the role for it, the other text describes it to the user."""

    request: str
    reason: str


Read = Callable[[RoleAnswer], Awaitable[Missing | None]]
"""Takes an answer's content and returns what is still missing; None if nothing is."""

QUOTED = 2_000
"""Characters of an unusable answer that are shown to the model again: enough to see its form, without filling the
window."""


def quoted(answer: RoleAnswer, limit: int = QUOTED) -> str:
    """The answer as quoted in a prompt: its beginning if it is long, and never empty, since templates refuse that."""
    text = answer.text.strip()
    if not text:
        return "(no answer)"
    return text if len(text) <= limit else text[:limit] + "\n[…]"


async def insist(
    ask: Ask,
    participant: Participant,
    question: str,
    read: Read,
    again: Callable[[int, str], None],
    *,
    attempts: int = 3,
) -> RoleAnswer:
    """Ask a role, then request what its answer lacks, at most ``attempts`` times in all. Returns the last answer.

    ``read`` keeps the usable part of each answer; ``again`` gets the number and the reason of each repeated request.
    Only the last answer and the request for what it lacks are added to the question, so that bad answers do not make
    the prompt grow.
    """
    opening = (*participant.beginning, Message("user", question))
    messages: tuple[Message, ...] = opening
    for attempt in range(1, attempts + 1):
        answer = await ask(participant.role, 1, attempt, messages)
        lack = await read(answer)
        if lack is None or attempt == attempts:
            return answer
        again(attempt, lack.reason)
        messages = (*opening, Message("assistant", quoted(answer)), Message("user", lack.request))
    raise AssertionError("attempts is at least 1")
