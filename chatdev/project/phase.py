"""Runs a phase by its kind: a conversation, a choice, or writing."""

from collections.abc import Sequence
from functools import partial

import msgspec

from chatdev.agents import replies
from chatdev.agents.chat_agent import Missing, RoleAnswer
from chatdev.agents.reflection import reflect
from chatdev.agents.role_playing import SAME, Conversation, talk
from chatdev.company.config import COUNSELOR, Phase
from chatdev.journal.effects import JournalScope
from chatdev.journal.events import LimitReached, PhaseBegan, PhaseEnded
from chatdev.models.types import Message
from chatdev.project import documents, early_stop, race, row_writing, sketch, snippet, writing
from chatdev.project.context import PhaseContext, RunContext
from chatdev.project.spending import Exhausted
from chatdev.project.state import State


class PhaseResult(msgspec.Struct, frozen=True):
    """The result of a phase: the next state, and its conclusion in a few words."""

    state: State
    conclusion: str
    reflected: bool = False


async def hold(run: RunContext, scope: JournalScope, phase: Phase, state: State) -> State:
    """Run a phase. Raises ModelError, JournalError, and NoProgram if there is no program to go on with."""
    begun = scope.known(PhaseBegan)  # a resume may change the number of candidates, but not of a phase that has begun
    candidates = begun.candidates if begun else run.company.racing(phase, run.candidates)
    scope.record(PhaseBegan(scope.place, phase.name, phase.assistant, phase.user, candidates))
    context = PhaseContext(run, scope, phase, state)
    try:
        held = await _take_place(context, candidates)
    except Exhausted as error:
        held = _broken_off(context, error.limit)
    except writing.NoProgram as error:
        scope.record(PhaseEnded(scope.place, phase.name, error.what))
        raise
    scope.record(PhaseEnded(scope.place, phase.name, held.conclusion, held.reflected))
    return held.state


async def _take_place(context: PhaseContext, candidates: int) -> PhaseResult:
    match context.phase.kind:
        case "choice":
            return await _choose(context)
        case "talk":
            return await (_talk(context) if context.phase.turns > 1 or context.phase.reflect else _remark(context))
        case "rows":
            return _written(context.state, await row_writing.write(context))
        case "tests":
            return _written(context.state, await writing.tests(context))
        case "amend":
            return _written(context.state, await writing.amend(context))
        case "document":
            return _written(context.state, *await documents.document(context))
        case "complete":
            return _written(context.state, await writing.complete(context))
        case "snippet":
            return _written(context.state, await snippet.write(context))
        case "sketch":
            return PhaseResult(*await sketch.take(context))
        case "code":
            if candidates > 1:
                at_once = min(filter(None, (context.phase.at_once, context.run.at_once)), default=0)
                return _written(context.state, await race.run(context, candidates, at_once))
            return _written(context.state, await writing.code(context))


def _broken_off(context: PhaseContext, limit: LimitReached) -> PhaseResult:
    """End the phase before its conclusion, and the run, too, if the limit is the run's."""
    phase, state = context.phase, context.state
    if phase.kind == "choice" and not state.values.get(phase.sets):
        state = state.knowing(phase.sets, phase.default or phase.options[0])
    if not limit.phase:
        state = msgspec.structs.replace(state, stopped=True)
    return PhaseResult(state, f"broken off: the limit of {limit.limit} was reached")


def _written(before: State, after: State, reflected: bool = False) -> PhaseResult:
    changed = [path for path, text in after.files.items() if before.files.get(path) != text]
    return PhaseResult(after, ", ".join(changed) or "no file changed", reflected)


async def _choose(context: PhaseContext) -> PhaseResult:
    """Choose one of the phase's options: by the task's own words, else in the conversation, else by a reflection on it,
    else the stated default."""
    phase, prompts = context.phase, context.run.prompts
    named = phase.named_in(context.state.task)
    if len(named) == 1 or not phase.ask:
        settled = named[0] if len(named) == 1 else phase.default or phase.options[0]
        return PhaseResult(context.state.knowing(phase.sets, settled), settled)
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
    _tell_circles(context, held)
    choice, reflected = held.conclusion, False
    if choice is None and phase.reflect:
        question = prompts.request("reflect", talk=held.text, options=options)
        choice, reflected = (
            await reflect(context.ask, context.participant(COUNSELOR), question, conclude, phase.options),
            True,
        )
    if choice is None and context.another(1, f"no answer settled the {phase.sets}"):
        choice = conclude(await _elsewhere(context, phase.options))
    if choice is None:
        choice = phase.default or phase.options[0]
        context.note("guessed", 1, f'no answer settled the {phase.sets}; "{choice}" was used')
    return PhaseResult(context.state.knowing(phase.sets, choice), choice, reflected)


async def _talk(context: PhaseContext) -> PhaseResult:
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
    _tell_circles(context, held)
    said, reflected = held.conclusion, False
    if said is None and phase.reflect:
        question = prompts.request("reflect", talk=held.text)
        said, reflected = await reflect(context.ask, context.participant(COUNSELOR), question, replies.conclusion), True
    if said is None and context.another(1, f"no answer settled the {phase.sets}"):
        said = replies.conclusion(await _elsewhere(context))
    if said is None:
        said = held.lines[-1].text
        context.note("guessed", 1, f"no answer settled the {phase.sets}; the last one was used")
    return _said(context, said, replies.finished(held.lines[-1].text), reflected)


async def _elsewhere(context: PhaseContext, options: Sequence[str] = ()) -> str:
    """Another endpoint's answer to the phase's question."""
    role = context.phase.assistant
    messages = (*context.participant(role).beginning, Message("user", context.question(role)))
    return (await context.ask_another(role, 1, 1, messages, options)).text


def _tell_circles(context: PhaseContext, held: Conversation[str]) -> None:
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
    said = "" if replies.looping(answer.text) else answer.text.strip()
    finished = replies.finished(said) or not said
    if len(said.splitlines()) == 1:
        said = replies.conclusion(said) or said
    return _said(context, said, finished)


def _said(context: PhaseContext, said: str, finished: bool, reflected: bool = False) -> PhaseResult:
    state = msgspec.structs.replace(context.state.knowing(context.phase.sets, said), finished=finished)
    return PhaseResult(state, "nothing must change" if finished else (said.splitlines() or [""])[0][:200], reflected)
