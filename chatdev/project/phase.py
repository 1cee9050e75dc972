"""What happens in a phase, by its kind: a talk, a choice, or writing."""

from collections.abc import Sequence
from functools import partial

import msgspec

from chatdev.agents import replies
from chatdev.agents.chat_agent import Answer, Lack
from chatdev.agents.reflection import reflect
from chatdev.agents.role_playing import SAME, Talk, talk
from chatdev.company.config import COUNSELOR, Phase
from chatdev.journal.effects import Desk
from chatdev.journal.events import LimitReached, PhaseBegan, PhaseEnded
from chatdev.models.types import Message
from chatdev.project import documents, race, row_writing, sketch, snippet, sufficient, writing
from chatdev.project.meeting import Meeting, Office
from chatdev.project.spending import Exhausted
from chatdev.project.state import State


class Held(msgspec.Struct, frozen=True):
    """What came of a phase: the next state, and its conclusion in a few words."""

    state: State
    conclusion: str
    reflected: bool = False


async def hold(office: Office, desk: Desk, phase: Phase, state: State) -> State:
    """Let a phase take place. Raises ModelError, JournalError, and NoProgram if there is nothing to go on with."""
    begun = desk.known(PhaseBegan)  # a resume may ask for another number of candidates, but not for what has begun
    candidates = begun.candidates if begun else office.company.racing(phase, office.candidates)
    desk.record(PhaseBegan(desk.place, phase.name, phase.assistant, phase.user, candidates))
    meeting = Meeting(office, desk, phase, state)
    try:
        held = await _take_place(meeting, candidates)
    except Exhausted as error:
        held = _broken_off(meeting, error.limit)
    except writing.NoProgram as error:
        desk.record(PhaseEnded(desk.place, phase.name, error.what))
        raise
    desk.record(PhaseEnded(desk.place, phase.name, held.conclusion, held.reflected))
    return held.state


async def _take_place(meeting: Meeting, candidates: int) -> Held:
    match meeting.phase.kind:
        case "choice":
            return await _choose(meeting)
        case "talk":
            return await (_talk(meeting) if meeting.phase.turns > 1 or meeting.phase.reflect else _remark(meeting))
        case "rows":
            return _written(meeting.state, await row_writing.write(meeting))
        case "tests":
            return _written(meeting.state, await writing.tests(meeting))
        case "amend":
            return _written(meeting.state, await writing.amend(meeting))
        case "document":
            return _written(meeting.state, *await documents.document(meeting))
        case "complete":
            return _written(meeting.state, await writing.complete(meeting))
        case "snippet":
            return _written(meeting.state, await snippet.write(meeting))
        case "sketch":
            return Held(*await sketch.take(meeting))
        case "code":
            if candidates > 1:
                at_once = min(filter(None, (meeting.phase.at_once, meeting.office.at_once)), default=0)
                return _written(meeting.state, await race.run(meeting, candidates, at_once))
            return _written(meeting.state, await writing.code(meeting))


def _broken_off(meeting: Meeting, limit: LimitReached) -> Held:
    """The phase is given up before its conclusion; the run, too, if the limit is the run's."""
    phase, state = meeting.phase, meeting.state
    if phase.kind == "choice" and not state.values.get(phase.sets):
        state = state.knowing(phase.sets, phase.otherwise or phase.options[0])
    if not limit.phase:
        state = msgspec.structs.replace(state, stopped=True)
    return Held(state, f"broken off: the limit of {limit.limit} was reached")


def _written(before: State, after: State, reflected: bool = False) -> Held:
    changed = [path for path, text in after.files.items() if before.files.get(path) != text]
    return Held(after, ", ".join(changed) or "no file changed", reflected)


async def _choose(meeting: Meeting) -> Held:
    """Settle one of the phase's options: by the task's own words, in the talk, else by a reflection on it, else the
    stated default."""
    phase, prompts = meeting.phase, meeting.office.prompts
    named = phase.named_in(meeting.state.task)
    if len(named) == 1 or not phase.ask:
        settled = named[0] if len(named) == 1 else phase.otherwise or phase.options[0]
        return Held(meeting.state.knowing(phase.sets, settled), settled)
    options = ", ".join(phase.options)

    def conclude(text: str) -> str | None:
        return replies.choice(text, phase.options)

    held = await talk(
        partial(meeting.ask, enough=sufficient.settled(phase.options)),
        meeting.seat(phase.assistant),
        meeting.seat(phase.user),
        meeting.question(phase.assistant),
        prompts.request("reply", options=options),
        conclude,
        turns=phase.turns,
    )
    _tell_circles(meeting, held)
    choice, reflected = held.conclusion, False
    if choice is None and phase.reflect:
        question = prompts.request("reflect", talk=held.text, options=options)
        choice, reflected = await reflect(meeting.ask, meeting.seat(COUNSELOR), question, conclude, phase.options), True
    if choice is None and meeting.another(1, f"nobody settled the {phase.sets}"):
        choice = conclude(await _elsewhere(meeting, phase.options))
    if choice is None:
        choice = phase.otherwise or phase.options[0]
        meeting.note("guessed", 1, f'nobody settled the {phase.sets}; "{choice}" was taken')
    return Held(meeting.state.knowing(phase.sets, choice), choice, reflected)


async def _talk(meeting: Meeting) -> Held:
    """Keep what two roles agree on: what one of them marks, else what a reflection finds, else what was said last."""
    phase, prompts = meeting.phase, meeting.office.prompts
    held = await talk(
        partial(meeting.ask, enough=sufficient.settled()),
        meeting.seat(phase.assistant),
        meeting.seat(phase.user),
        meeting.question(phase.assistant),
        prompts.request("reply"),
        replies.conclusion,
        turns=phase.turns,
    )
    _tell_circles(meeting, held)
    said, reflected = held.conclusion, False
    if said is None and phase.reflect:
        question = prompts.request("reflect", talk=held.text)
        said, reflected = await reflect(meeting.ask, meeting.seat(COUNSELOR), question, replies.conclusion), True
    if said is None and meeting.another(1, f"nobody settled the {phase.sets}"):
        said = replies.conclusion(await _elsewhere(meeting))
    if said is None:
        said = held.lines[-1].text
        meeting.note("guessed", 1, f"nobody settled the {phase.sets}; what was said last was taken")
    return _said(meeting, said, replies.finished(held.lines[-1].text), reflected)


async def _elsewhere(meeting: Meeting, options: Sequence[str] = ()) -> str:
    """What another endpoint says to the phase's question."""
    role = meeting.phase.assistant
    messages = (*meeting.seat(role).beginning, Message("user", meeting.question(role)))
    return (await meeting.ask_another(role, 1, 1, messages, options)).text


def _tell_circles(meeting: Meeting, held: Talk[str]) -> None:
    if held.circling:
        meeting.note("in circles", 1, f"{held.lines[-1].role} said the same {SAME} times; that ended the talk")


async def _remark(meeting: Meeting) -> Held:
    """Keep the one answer whole: a reviewer's reasons count as much as the conclusion."""
    prompts = meeting.office.prompts

    async def read(answer: Answer) -> Lack | None:
        if answer.text.strip() and not replies.looping(answer.text):
            return None
        return Lack(prompts.request("reply"), "the answer was empty or went in circles")

    answer = await meeting.insist(read, attempts=2, enough=sufficient.nothing_to_change)
    said = "" if replies.looping(answer.text) else answer.text.strip()
    finished = replies.finished(said) or not said
    if len(said.splitlines()) == 1:
        said = replies.conclusion(said) or said
    return _said(meeting, said, finished)


def _said(meeting: Meeting, said: str, finished: bool, reflected: bool = False) -> Held:
    state = msgspec.structs.replace(meeting.state.knowing(meeting.phase.sets, said), finished=finished)
    return Held(state, "nothing must change" if finished else (said.splitlines() or [""])[0][:200], reflected)
