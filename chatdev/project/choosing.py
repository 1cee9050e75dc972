"""Phases of kind ``choice``: one of the phase's options."""

from functools import partial

from chatdev.agents import replies
from chatdev.agents.reflection import reflect
from chatdev.agents.role_playing import talk
from chatdev.company.config import COUNSELOR
from chatdev.project import early_stop
from chatdev.project.context import PhaseContext
from chatdev.project.phase_result import PhaseResult
from chatdev.project.talking import another_answer, note_circles


async def hold(context: PhaseContext) -> PhaseResult:
    """Choose one of the phase's options: by the task's own words, else in the conversation, else by a reflection on it,
    else the stated default. Raises ModelError and Exhausted."""
    phase, prompts = context.phase, context.run.prompts
    named = phase.named_in(context.state.task)
    if len(named) == 1 or not phase.ask:
        settled = named[0] if len(named) == 1 else phase.default or phase.options[0]
        return PhaseResult(context.state.with_value(phase.sets, settled), settled)
    options = ", ".join(phase.options)

    def conclude(text: str) -> str | None:
        return replies.choice(text, phase.options)

    held = await talk(
        partial(context.ask, enough=early_stop.settled(phase.options)),
        context.participant(phase.assistant),
        context.participant(phase.user),
        context.question(phase.assistant),
        prompts.request("reply", options=options),
        conclude,
        turns=phase.turns,
    )
    note_circles(context, held)
    choice, reflected = held.conclusion, False
    if choice is None and phase.reflect:
        question = prompts.request("reflect", talk=held.text, options=options)
        choice, reflected = (
            await reflect(context.ask, context.participant(COUNSELOR), question, conclude, phase.options),
            True,
        )
    if choice is None and context.another(1, f"no answer settled the {phase.sets}"):
        choice = conclude(await another_answer(context, phase.options))
    if choice is None:
        choice = phase.default or phase.options[0]
        context.note("guessed", 1, f'no answer settled the {phase.sets}; "{choice}" was used')
    return PhaseResult(context.state.with_value(phase.sets, choice), choice, reflected)
