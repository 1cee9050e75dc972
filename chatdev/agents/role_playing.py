"""Two roles converse until one concludes."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from chatdev.agents.chat_agent import Ask, Participant, quoted
from chatdev.models.types import Message

T = TypeVar("T")

SAME = 3
"""A role that says the same this many times in a row is going in circles."""


class Turn(msgspec.Struct, frozen=True):
    """One utterance of a conversation."""

    role: str
    text: str


class Conversation(msgspec.Struct, Generic[T], frozen=True):
    """A conversation without its opening question, and its conclusion (None: none). ``circling``: it was ended because
    a role repeated itself."""

    lines: tuple[Turn, ...]
    conclusion: T | None
    circling: bool = False

    @property
    def text(self) -> str:
        """The conversation as shown to a third role."""
        return "\n\n".join(f"{line.role}: {line.text}" for line in self.lines)


async def talk(
    ask: Ask,
    assistant: Participant,
    user: Participant,
    question: str,
    reply: str,
    conclude: Callable[[str], T | None],
    *,
    turns: int = 1,
) -> Conversation[T]:
    """Let ``user`` open with the question and ``assistant`` answer, in turn, until one of them concludes.

    ``reply`` says to the user role what to do with an answer. The assistant speaks at most ``turns`` times; after its
    last turn there is no reply. A role that says the same three times in a row also ends the conversation. Each role
    sees its own words as the model's and the other's as the user's.
    """
    lines: list[Turn] = []
    opening = Message("user", question)
    for turn in range(1, turns + 1):
        utterances = [Message("user" if number % 2 else "assistant", line.text) for number, line in enumerate(lines)]
        answer = await ask(assistant.role, turn, 1, (*assistant.beginning, opening, *utterances))
        lines.append(Turn(assistant.role, quoted(answer)))
        if (conclusion := conclude(answer.text)) is not None or turn == turns:
            return Conversation(tuple(lines), conclusion)
        if _circling(lines):
            return Conversation(tuple(lines), None, circling=True)
        so_far = "\n\n".join(f"{line.role}: {line.text}" for line in lines)
        answer = await ask(user.role, turn, 1, (*user.beginning, Message("user", f"{question}\n\n{so_far}\n\n{reply}")))
        lines.append(Turn(user.role, quoted(answer)))
        if (conclusion := conclude(answer.text)) is not None:
            return Conversation(tuple(lines), conclusion)
        if _circling(lines):
            return Conversation(tuple(lines), None, circling=True)
    raise AssertionError("turns is at least 1")


def _circling(lines: Sequence[Turn]) -> bool:
    own = [line.text for line in lines if line.role == lines[-1].role][-SAME:]
    return len(own) == SAME and len(set(own)) == 1
