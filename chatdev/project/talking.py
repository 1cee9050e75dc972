"""Phases of kind ``talk``: two roles discuss until one concludes, or one role answers once."""

from collections.abc import Sequence
from functools import partial

import msgspec

from chatdev.agents import replies
from chatdev.agents.chat_agent import Missing, RoleAnswer
from chatdev.agents.reflection import reflect
from chatdev.agents.role_playing import SAME, Conversation, talk
from chatdev.company.config import COUNSELOR
from chatdev.models.types import Message
from chatdev.project import early_stop
from chatdev.project.context import PhaseContext
from chatdev.project.phase_result import PhaseResult


async def hold(context: PhaseContext) -> PhaseResult:
    """A discussion if the phase has several turns or a reflection, else a remark. Raises ModelError and Exhausted."""
    return await (_discuss(context) if context.phase.turns > 1 or context.phase.reflect else _remark(context))


async def _discuss(context: PhaseContext) -> PhaseResult:
    """Keep what two roles agree on: what one of them marks, else what a reflection finds, else the last answer."""
    phase, prompts = context.phase, context.run.prompts
    held = await talk(
        partial(context.ask, enough=early_stop.settled()),
        context.participant(phase.assistant),
        context.participant(phase.user),
        context.question(phase.assistant),
        prompts.request("reply"),
        replies.conclusion,
        turns=phase.turns,
    )
    note_circles(context, held)
    agreed, reflected = held.conclusion, False
    if agreed is None and phase.reflect:
        question = prompts.request("reflect", talk=held.text)
        agreed, reflected = (
            await reflect(context.ask, context.participant(COUNSELOR), question, replies.conclusion),
            True,
        )
    if agreed is None and context.another(1, f"no answer settled the {phase.sets}"):
        agreed = replies.conclusion(await another_answer(context))
    if agreed is None:
        agreed = held.lines[-1].text
        context.note("guessed", 1, f"no answer settled the {phase.sets}; the last one was used")
    return _result(context, agreed, replies.finished(held.lines[-1].text), reflected)


async def another_answer(context: PhaseContext, options: Sequence[str] = ()) -> str:
    """Another endpoint's answer to the phase's question."""
    role = context.phase.assistant
    messages = (*context.participant(role).beginning, Message("user", context.question(role)))
    return (await context.ask_another(role, 1, 1, messages, options)).text


def note_circles(context: PhaseContext, held: Conversation[str]) -> None:
    """Note in the report that a conversation was ended because a role repeated itself."""
    if held.circling:
        context.note("in circles", 1, f"{held.lines[-1].role} said the same {SAME} times; the conversation was ended")


async def _remark(context: PhaseContext) -> PhaseResult:
    """Keep the one answer whole: a reviewer's reasons count as much as the conclusion."""
    prompts = context.run.prompts

    async def read(answer: RoleAnswer) -> Missing | None:
        if answer.text.strip() and not replies.looping(answer.text):
            return None
        return Missing(prompts.request("reply"), "the answer was empty or went in circles")

    answer = await context.insist(read, attempts=2, enough=early_stop.nothing_to_change)
    agreed = "" if replies.looping(answer.text) else answer.text.strip()
    finished = replies.finished(agreed) or not agreed
    if len(agreed.splitlines()) == 1:
        agreed = replies.conclusion(agreed) or agreed
    return _result(context, agreed, finished)


def _result(context: PhaseContext, agreed: str, finished: bool, reflected: bool = False) -> PhaseResult:
    state = msgspec.structs.replace(context.state.with_value(context.phase.sets, agreed), finished=finished)
    return PhaseResult(state, "nothing must change" if finished else (agreed.splitlines() or [""])[0][:200], reflected)
