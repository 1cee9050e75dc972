"""What a phase works with: the office it belongs to, and one place of the run's log."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NoReturn

from msgspec import structs

from chatdev.agents.chat_agent import Answer, Lack, Read, Seat, insist, quoted
from chatdev.company.config import Company, Phase
from chatdev.journal.effects import Desk, digest
from chatdev.journal.events import FileRefused, FileRemoved, FileWritten, LimitReached, ModelAnswered, Noted
from chatdev.models import budget
from chatdev.models.backend import ModelBackend
from chatdev.models.errors import CostLimit
from chatdev.models.types import Completion, Early, Enough, Message, Options, Progress, Target
from chatdev.project import parts
from chatdev.project.prompts import Prompts
from chatdev.project.spending import Exhausted, Spending
from chatdev.project.state import State
from chatdev.project.workspace import Workspace, changes
from chatdev.sandbox.port import Sandbox

_WARMER = 0.3
"""Temperature that each further candidate has more than the one before it."""
_APART = 1000
"""By what their seeds differ, so that no candidate of one sample has the seed of another sample's."""

Watcher = Callable[[str, Progress], None]
"""Sees a role's progress as it comes; lossy."""


@dataclass(frozen=True)
class Office:
    """What all phases of a run share."""

    company: Company
    prompts: Prompts
    model: ModelBackend
    sandbox: Sandbox
    workspace: Workspace
    watcher: Watcher
    spending: Spending
    others: Mapping[Target, ModelBackend] = field(default_factory=dict)
    second_opinion: bool = False
    candidates: int = 0
    """How many shall solve a phase at once, as typed; 0 where nobody said so."""
    candidate: int = 0
    """Which of them this office serves, from 1 on: its files stay in its state until it has won. 0: no race."""
    sample: int = 0
    """Which sample of the same task the run is, from 1 on, as ``Company.parameters`` has it; 0: it is none."""

    at_once: int = 0
    """How many candidates at most work at the same time; 0: as the company says."""
    guarded: bool = True
    """Whether a change that lowers the evidence is undone; runs that an earlier version began go on without that."""

    def asked(self, phase: Phase, role: str) -> ModelBackend:
        """The model that answers for a role in a phase."""
        return self.others.get(self.company.target(phase, role), self.model)


@dataclass(frozen=True)
class Meeting:
    """One phase as it takes place. Everything that it learns or says goes through the log."""

    office: Office
    desk: Desk
    phase: Phase
    state: State
    said: list[str] = field(default_factory=list)
    """What was answered so far, oldest first, as it enters later prompts: the talk, which is cut first."""
    met: list[str] = field(default_factory=list)
    """The endpoints that answered so far, but for second opinions."""

    def seat(self, role: str) -> Seat:
        """A role that was told what everybody is told, if there is anything."""
        background = self.office.prompts.background(self.state)
        return Seat(role, (Message("system", background),) if background else ())

    def question(self, role: str, **more: str) -> str:
        """What ``role`` reads when the phase begins."""
        return self.office.prompts.question(self.phase, self.state, role, **more)

    async def ask(
        self,
        role: str,
        turn: int,
        attempt: int,
        messages: Sequence[Message],
        choices: Sequence[str] = (),
        *,
        enough: Enough | None = None,
    ) -> Answer:
        """An ``agents.Ask``: the answer recorded at this place, or else the model's, recorded; ``enough`` says when no
        more of it is needed. Raises ModelError, and Exhausted where a limit forbids the call."""
        here = self.desk.at(role, turn).at("ask", attempt)
        answer, endpoint = await self._asked(here, role, messages, choices, enough)
        self.met.append(endpoint)
        return answer

    async def ask_another(
        self,
        role: str,
        turn: int,
        attempt: int,
        messages: Sequence[Message],
        choices: Sequence[str] = (),
        *,
        enough: Enough | None = None,
    ) -> Answer:
        """As ``ask``, at a place of its own, of an endpoint that has not answered in this phase."""
        here = self._another.at(role, turn).at("ask", attempt)
        avoid = tuple(dict.fromkeys(self.met))
        return (await self._asked(here, role, messages, choices, enough, avoid))[0]

    @property
    def _another(self) -> Desk:
        return self.desk.at("second-opinion", 1)

    def another(self, number: int, why: str) -> bool:
        """Whether another endpoint is to be asked, since the answers so far were of no use: if the user allows it and
        there is one, or the log holds what it said. The report then hears of it."""
        role = self.phase.assistant
        known = self._another.at(role, 1).at("ask", 1).known(ModelAnswered)
        if not known:
            model = self.office.asked(self.phase, role)
            if not self.office.second_opinion or not model.beyond(self.met):
                return False
        self.note("asked again", number, f"{why}; another endpoint was asked")
        return True

    async def _asked(
        self,
        here: Desk,
        role: str,
        messages: Sequence[Message],
        choices: Sequence[str],
        enough: Enough | None,
        avoid: tuple[str, ...] = (),
    ) -> tuple[Answer, str]:
        """The answer at a place of the log, and the endpoint that gave it."""
        ids = tuple(here.keep_message(message.role, message.content) for message in messages)
        key = digest(*ids, *choices)
        how = varied(
            self.office.company.parameters(self.phase, role, self.office.sample),
            self.office.candidate,
            self.phase.further_temperature,
        )
        options = Options(**how, choices=tuple(choices), request_id=here.place, avoid=avoid, early=Early(enough))
        await self._may(here, key)
        model = self.office.asked(self.phase, role)

        def watch(progress: Progress) -> None:
            self.office.watcher(role, structs.replace(progress, call=here.place))

        async def act() -> ModelAnswered:
            with self.office.spending.call(self.phase.name):
                completion = await model.complete(await self._cuttable(model, messages), options, watch)
            return _answered(here.place, key, role, ids, options, completion)

        try:
            event = await here.perform(ModelAnswered, key, act)
        except CostLimit as error:
            if error.limit is None:
                raise
            await self._exhaust(here, key, LimitReached(here.place, key, "cost", error.limit, round(error.spent, 6)))
        answer = Answer(event.text, event.finish_reason)
        self.said.append(quoted(answer))
        return answer, event.endpoint

    async def _may(self, here: Desk, key: str) -> None:
        """Raise Exhausted if a limit was reached here, or is now, before a call that the log does not hold."""
        if here.known(ModelAnswered):
            return
        limit = here.known(LimitReached) or self.office.spending.reached(self.phase.name, here.place, key)
        if limit is not None:
            await self._exhaust(here, key, limit)

    async def _exhaust(self, here: Desk, key: str, limit: LimitReached) -> NoReturn:
        """Record that a limit was reached here. Raises Exhausted."""

        async def act() -> LimitReached:
            return limit

        raise Exhausted(await here.perform(LimitReached, key, act))

    async def _cuttable(self, model: ModelBackend, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages, with their parts where the window may be too small for all of them."""
        window = await model.least_window()
        return messages if budget.roomy(messages, window) else parts.named(messages, self.state, self.said)

    def note(
        self,
        kind: Literal["asked again", "guessed", "aligned", "cut", "refused", "tests", "in circles"],
        number: int,
        text: str,
    ) -> None:
        """Tell the report's reader something; ``number`` tells notes of one kind apart."""
        here = self.desk.at(f"note-{kind.replace(' ', '-')}", number)
        here.record(Noted(here.place, kind, f"{self.phase.name}: {text}"))

    async def insist(self, read: Read, *, attempts: int = 3, enough: Enough | None = None) -> Answer:
        """Put the phase's question to its assistant until ``read`` lacks nothing; the report hears of each repeat.

        Where all of them fail, so many are another endpoint's, if ``another`` is to be asked. Where a limit forbids a
        repeat, the answer before it is the last. Raises Exhausted if there is none.
        """
        role = self.phase.assistant
        answers: list[Answer] = []
        lacks: list[Lack | None] = []

        def again(number: int, told: str, before: int = 0) -> None:
            self.note("asked again", before + number, told)

        async def kept(answer: Answer) -> Lack | None:
            answers.append(answer)
            lacks.append(await read(answer))
            return lacks[-1]

        seat, question = self.seat(role), self.question(role)
        try:
            answer = await insist(partial(self.ask, enough=enough), seat, question, kept, again, attempts=attempts)
            if (lack := lacks[-1]) and self.another(attempts, lack.told):
                ask, more = partial(self.ask_another, enough=enough), partial(again, before=attempts)
                answer = await insist(ask, seat, question, kept, more, attempts=attempts)
            return answer
        except Exhausted:
            if not answers:
                raise
            return answers[-1]

    def refuse(self, number: int, path: str, why: str) -> None:
        """Record that a file was not taken."""
        here = self.desk.at("refused", number)
        here.record(FileRefused(here.place, path, why))

    def write(self, files: dict[str, str]) -> State:
        """Write the files that really change, record each, and give the next state."""
        return write(self.office, self.desk, self.state, files)


def _answered(
    place: str, key: str, role: str, ids: tuple[str, ...], options: Options, completion: Completion
) -> ModelAnswered:
    usage, receipt = completion.usage, completion.receipt
    return ModelAnswered(
        place=place,
        digest=key,
        role=role,
        messages=ids,
        text=completion.text,
        reasoning=completion.reasoning,
        finish_reason=completion.finish_reason,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        cached_tokens=usage.cached_tokens,
        estimated=usage.estimated,
        endpoint=receipt.endpoint,
        model=receipt.model,
        cost=receipt.cost,
        tries=receipt.tries,
        first_token=receipt.first_token,
        seconds=receipt.seconds,
        max_tokens=receipt.max_tokens,
        adapted=receipt.adapted,
        cuts=receipt.cuts,
        temperature=options.temperature,
        answer_id=completion.id,
        asked=receipt.asked,
        tried=receipt.tried,
        stopped=receipt.stopped,
    )


def varied(parameters: Mapping[str, Any], candidate: int, temperature: float | None = None) -> dict[str, Any]:
    """How a candidate is asked: the first as the company says, each further one with another seed and with this
    ``temperature`` (None: more for each, up to 1, unless the company's is higher), so that the answers to one question
    differ."""
    if candidate < 2:
        return dict(parameters)
    base = parameters.get("temperature", Options().temperature)
    warmer = round(max(base, min(1.0, base + _WARMER * (candidate - 1))), 3) if temperature is None else temperature
    return {**parameters, "temperature": warmer, "seed": parameters.get("seed", 0) + _APART * (candidate - 1)}


def remove(office: Office, desk: Desk, state: State, paths: Iterable[str]) -> State:
    """Take files of the product away, record each at ``desk``, and give the next state."""
    gone = [path for path in paths if path in state.files]
    for number, path in enumerate(gone if not office.candidate else [], 1):
        office.workspace.remove(path)
        here = desk.at("gone", number)
        here.record(FileRemoved(here.place, path))
    return state.without(gone)


def write(office: Office, desk: Desk, state: State, files: Mapping[str, str]) -> State:
    """Write the files that really change, record each at ``desk``, and give the next state."""
    if office.candidate:
        return state.having(files)
    for number, (path, text) in enumerate(files.items(), 1):
        old = state.files.get(path)
        data = text.encode()
        office.workspace.write(path, data)
        if old != text:
            added, removed, diff = changes(old, text)
            here = desk.at("file", number)
            here.record(
                FileWritten(
                    here.place, path, digest(data), len(data), len(text.splitlines()), added, removed, diff=diff
                )
            )
    return state.having(files)
