"""A third role finds the conclusion that a conversation did not mark."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from chatdev.agents.chat_agent import Ask, Participant
from chatdev.models.types import Message

T = TypeVar("T")


async def reflect(
    ask: Ask, counselor: Participant, question: str, conclude: Callable[[str], T | None], choices: Sequence[str] = ()
) -> T | None:
    """Show the counselor a conversation and ask for its conclusion; None if the answer does not contain one either."""
    answer = await ask(counselor.role, 1, 1, (*counselor.beginning, Message("user", question)), choices)
    return conclude(answer.text)
