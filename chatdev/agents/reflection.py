"""A third pair of eyes finds the conclusion that a talk did not mark."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from chatdev.agents.chat_agent import Ask, Seat
from chatdev.models.types import Message

T = TypeVar("T")


async def reflect(
    ask: Ask, counselor: Seat, question: str, conclude: Callable[[str], T | None], choices: Sequence[str] = ()
) -> T | None:
    """Show the counselor a talk and ask what was decided; None if that cannot be read out of the answer either."""
    answer = await ask(counselor.role, 1, 1, (*counselor.beginning, Message("user", question)), choices)
    return conclude(answer.text)
