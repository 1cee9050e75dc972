"""Two roles talk until one concludes."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import msgspec

from chatdev.agents.chat_agent import Ask, Seat, quoted
from chatdev.models.types import Message

T = TypeVar("T")

SAME = 3
"""So many times the same words in a row, of one role, are a circle."""


class Line(msgspec.Struct, frozen=True):
    """One utterance of a talk."""

    role: str
    text: str


class Talk(msgspec.Struct, Generic[T], frozen=True):
    """What was said, the opening question apart, and what was concluded (None: nothing). ``circling``: it was ended
    because a role said the same again and again."""

    lines: tuple[Line, ...]
    conclusion: T | None
    circling: bool = False

    @property
    def text(self) -> str:
        """The talk as it is shown to a third role."""
        return "\n\n".join(f"{line.role}: {line.text}" for line in self.lines)


async def talk(
    ask: Ask,
    assistant: Seat,
    user: Seat,
    question: str,
    reply: str,
    conclude: Callable[[str], T | None],
    *,
    turns: int = 1,
) -> Talk[T]:
    """Let ``user`` open with the question and ``assistant`` answer, in turn, until one of them concludes.

    ``reply`` tells the user role what to do with an answer. The assistant speaks at most ``turns`` times; after its
    last turn there is no reply. A role that says the same three times in a row ends the talk, too. Each role sees its
    own words as the model's and the other's as the user's.
    """
    lines: list[Line] = []
    opening = Message("user", question)
    for turn in range(1, turns + 1):
        said = [Message("user" if number % 2 else "assistant", line.text) for number, line in enumerate(lines)]
        answer = await ask(assistant.role, turn, 1, (*assistant.beginning, opening, *said))
        lines.append(Line(assistant.role, quoted(answer)))
        if (conclusion := conclude(answer.text)) is not None or turn == turns:
            return Talk(tuple(lines), conclusion)
        if _circling(lines):
            return Talk(tuple(lines), None, circling=True)
        so_far = "\n\n".join(f"{line.role}: {line.text}" for line in lines)
        answer = await ask(user.role, turn, 1, (*user.beginning, Message("user", f"{question}\n\n{so_far}\n\n{reply}")))
        lines.append(Line(user.role, quoted(answer)))
        if (conclusion := conclude(answer.text)) is not None:
            return Talk(tuple(lines), conclusion)
        if _circling(lines):
            return Talk(tuple(lines), None, circling=True)
    raise AssertionError("turns is at least 1")


def _circling(lines: Sequence[Line]) -> bool:
    own = [line.text for line in lines if line.role == lines[-1].role][-SAME:]
    return len(own) == SAME and len(set(own)) == 1
