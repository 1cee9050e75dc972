"""What a phase works with: what all phases of the run share, and its own place in the run's log."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NoReturn

from msgspec import structs

from chatdev.agents.chat_agent import Missing, Participant, Read, RoleAnswer, insist, quoted
from chatdev.company.config import Company, Phase
from chatdev.journal import places
from chatdev.journal.effects import JournalScope, digest
from chatdev.journal.events import Diagnostic, FileRefused, FileRemoved, FileWritten, LimitReached, ModelAnswered
from chatdev.models import fitting
from chatdev.models.chat_model import ChatModel
from chatdev.models.errors import CostLimit
from chatdev.models.types import Completion, EarlyStop, Enough, Message, Options, Progress, Target
from chatdev.product.workspace import Workspace, changes
from chatdev.project import prompt_sections
from chatdev.project.prompts import Prompts
from chatdev.project.spending import Exhausted, Spending
from chatdev.project.state import State
from chatdev.sandbox.port import Sandbox

_WARMER = 0.3
"""Temperature that is added for each further candidate."""
_APART = 1000
"""Distance between candidates' seeds, so that candidates of different samples never share a seed."""

Watcher = Callable[[str, Progress], None]
"""Receives a role's progress as it arrives; lossy."""


@dataclass(frozen=True)
class RunContext:
    """What all phases of a run share."""

    company: Company
    prompts: Prompts
    model: ChatModel
    sandbox: Sandbox
    workspace: Workspace
    watcher: Watcher
    spending: Spending
    others: Mapping[Target, ChatModel] = field(default_factory=dict)
    second_opinion: bool = False
    candidates: int = 0
    """How many candidates solve a phase, as typed; 0 if not typed."""
    candidate: int = 0
    """Which candidate this context serves, from 1 on: its files stay in its state until it has won. 0: no race."""
    plain: bool = False
    """Whether a request is the task alone, without a word of the company, and with the first candidate's parameters."""
    sample: int = 0
    """Which sample of the same task the run is, from 1 on, see ``Company.parameters``; 0: it is no sample."""

    at_once: int = 0
    """The most candidates that work at the same time; 0: as the company says."""
    guarded: bool = True
    """Whether a change that lowers the evidence is undone; not in runs that an earlier version of ChatDev began."""

    def model_for(self, phase: Phase, role: str) -> ChatModel:
        """The model that answers for a role in a phase."""
        return self.others.get(self.company.target(phase, role), self.model)


@dataclass(frozen=True)
class PhaseContext:
    """One phase while it runs. Everything that it learns or says goes through the log."""

    run: RunContext
    scope: JournalScope
    phase: Phase
    state: State
    candidates: int = 1
    """How many candidates write the program in this phase."""
    answers: list[str] = field(default_factory=list)
    """The answers so far, oldest first, as they enter later prompts. They are cut first."""
    endpoints_used: list[str] = field(default_factory=list)
    """The endpoints that answered so far, without second opinions."""

    def participant(self, role: str) -> Participant:
        """A role whose system message is the background, if there is one."""
        background = "" if self.run.plain else self.run.prompts.background(self.state)
        return Participant(role, (Message("system", background),) if background else ())

    def question(self, role: str, **more: str) -> str:
        """What ``role`` reads when the phase begins."""
        if self.run.plain:
            return self.state.task.strip()
        return self.run.prompts.question(self.phase, self.state, role, **more)

    async def ask(
        self,
        role: str,
        turn: int,
        attempt: int,
        messages: Sequence[Message],
        choices: Sequence[str] = (),
        *,
        enough: Enough | None = None,
    ) -> RoleAnswer:
        """An ``agents.Ask``: the answer recorded at this place, else a new one, then recorded; ``enough`` says when no
        more of it is needed. Raises ModelError, and Exhausted if a limit forbids the call."""
        here = self.scope.at(role, turn).at(places.ASK, attempt)
        answer, endpoint = await self._recorded_answer(here, role, messages, choices, enough)
        self.endpoints_used.append(endpoint)
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
    ) -> RoleAnswer:
        """As ``ask``, at a separate place, from an endpoint that has not answered in this phase."""
        here = self._another.at(role, turn).at(places.ASK, attempt)
        avoid = tuple(dict.fromkeys(self.endpoints_used))
        return (await self._recorded_answer(here, role, messages, choices, enough, avoid))[0]

    @property
    def _another(self) -> JournalScope:
        return self.scope.at(places.SECOND_OPINION, 1)

    def another(self, number: int, why: str) -> bool:
        """Whether to ask another endpoint because the answers so far were unusable: if the user allows it and there is
        one, or if the log holds its answer. If so, this is noted in the report."""
        role = self.phase.assistant
        recorded = self._another.at(role, 1).at(places.ASK, 1).recorded(ModelAnswered)
        if not recorded:
            model = self.run.model_for(self.phase, role)
            if not self.run.second_opinion or not model.beyond(self.endpoints_used):
                return False
        self.note("asked again", number, f"{why}; retried on another endpoint")
        return True

    async def _recorded_answer(
        self,
        here: JournalScope,
        role: str,
        messages: Sequence[Message],
        choices: Sequence[str],
        enough: Enough | None,
        avoid: tuple[str, ...] = (),
    ) -> tuple[RoleAnswer, str]:
        """The answer at a place of the log, and the endpoint that gave it."""
        ids = tuple(here.keep_message(message.role, message.content) for message in messages)
        key = digest(*ids, *choices)
        how = varied(
            self.run.company.parameters(self.phase, role, self.run.sample),
            0 if self.run.plain else self.run.candidate,
            self.phase.further_temperature,
        )
        options = Options(**how, choices=tuple(choices), request_id=here.place, avoid=avoid, early=EarlyStop(enough))
        await self._may(here, key)
        model = self.run.model_for(self.phase, role)

        def watch(progress: Progress) -> None:
            self.run.watcher(role, structs.replace(progress, call=here.place))

        async def call_model() -> ModelAnswered:
            with self.run.spending.call(self.phase.name):
                completion = await model.complete(await self._cuttable(model, messages), options, watch)
            return recorded_answer(here.place, key, role, ids, options, completion)

        try:
            event = await here.perform(ModelAnswered, key, call_model)
        except CostLimit as error:
            if error.limit is None:
                raise
            await self._exhaust(here, key, LimitReached(here.place, key, "cost", error.limit, round(error.spent, 6)))
        answer = RoleAnswer(event.text, event.finish_reason)
        self.answers.append(quoted(answer))
        return answer, event.endpoint

    async def _may(self, here: JournalScope, key: str) -> None:
        """Raise Exhausted if a limit was reached here, or is now, unless the log holds the answer."""
        if here.recorded(ModelAnswered):
            return
        limit = here.recorded(LimitReached) or self.run.spending.reached(self.phase.name, here.place, key)
        if limit is not None:
            await self._exhaust(here, key, limit)

    async def _exhaust(self, here: JournalScope, key: str, limit: LimitReached) -> NoReturn:
        """Record that a limit was reached here. Raises Exhausted."""

        async def act() -> LimitReached:
            return limit

        raise Exhausted(await here.perform(LimitReached, key, act))

    async def _cuttable(self, model: ChatModel, messages: Sequence[Message]) -> Sequence[Message]:
        """The messages, divided into parts if they may be too large for the window."""
        window = await model.least_window()
        return (
            messages if fitting.roomy(messages, window) else prompt_sections.named(messages, self.state, self.answers)
        )

    def note(
        self,
        kind: Literal["asked again", "guessed", "aligned", "cut", "refused", "tests", "in circles"],
        number: int,
        text: str,
    ) -> None:
        """Add a note to the report; ``number`` distinguishes notes of one kind."""
        here = self.scope.at(places.note(kind), number)
        here.record(Diagnostic(here.place, kind, f"{self.phase.name}: {text}"))

    async def insist(self, read: Read, *, attempts: int = 3, enough: Enough | None = None) -> RoleAnswer:
        """Ask the phase's assistant its question until ``read`` lacks nothing; each repeat is noted in the report.

        If all attempts fail, another endpoint gets as many, if ``another`` allows it. If a limit forbids a repeat, the
        answer before it is the last. Raises Exhausted if there is none.
        """
        role = self.phase.assistant
        answers: list[RoleAnswer] = []
        lacks: list[Missing | None] = []

        def again(number: int, reason: str, before: int = 0) -> None:
            self.note("asked again", before + number, reason)

        async def kept(answer: RoleAnswer) -> Missing | None:
            answers.append(answer)
            lacks.append(await read(answer))
            return lacks[-1]

        participant, question = self.participant(role), self.question(role)
        try:
            answer = await insist(
                partial(self.ask, enough=enough), participant, question, kept, again, attempts=attempts
            )
            if (lack := lacks[-1]) and self.another(attempts, lack.reason):
                ask, more = partial(self.ask_another, enough=enough), partial(again, before=attempts)
                answer = await insist(ask, participant, question, kept, more, attempts=attempts)
            return answer
        except Exhausted:
            if not answers:
                raise
            return answers[-1]

    def refuse(self, number: int, path: str, why: str) -> None:
        """Record that a file was refused."""
        here = self.scope.at(places.REFUSED, number)
        here.record(FileRefused(here.place, path, why))

    def write(self, files: dict[str, str]) -> State:
        """Write the files that really change, record each, and return the next state."""
        return write(self.run, self.scope, self.state, files)


def recorded_answer(
    place: str, key: str, role: str, ids: tuple[str, ...], options: Options, completion: Completion
) -> ModelAnswered:
    """The event that records a completion: ``key`` is the digest of the question, ``ids`` name its messages."""
    return ModelAnswered(
        place=place,
        digest=key,
        role=role,
        messages=ids,
        text=completion.text,
        reasoning=completion.reasoning,
        finish_reason=completion.finish_reason,
        temperature=options.temperature,
        answer_id=completion.id,
        **structs.asdict(completion.receipt),
    )


def varied(parameters: Mapping[str, Any], candidate: int, temperature: float | None = None) -> dict[str, Any]:
    """A candidate's parameters: the company's for the first, another seed and this ``temperature`` for each further
    one (None: more for each, up to 1, unless the company's is higher), so that the answers to one question differ."""
    if candidate < 2:
        return dict(parameters)
    base = parameters.get("temperature", Options().temperature)
    warmer = round(max(base, min(1.0, base + _WARMER * (candidate - 1))), 3) if temperature is None else temperature
    return {**parameters, "temperature": warmer, "seed": parameters.get("seed", 0) + _APART * (candidate - 1)}


def remove(run: RunContext, scope: JournalScope, state: State, paths: Iterable[str]) -> State:
    """Remove files of the product, record each at ``scope``, and return the next state."""
    gone = [path for path in paths if path in state.files]
    for number, path in enumerate(gone if not run.candidate else [], 1):
        run.workspace.remove(path)
        here = scope.at(places.GONE, number)
        here.record(FileRemoved(here.place, path))
    return state.without(gone)


def write(run: RunContext, scope: JournalScope, state: State, files: Mapping[str, str]) -> State:
    """Write the files that really change, record each at ``scope``, and return the next state."""
    if run.candidate:
        return state.having(files)
    for number, (path, text) in enumerate(files.items(), 1):
        old = state.files.get(path)
        data = text.encode()
        if old != text:
            added, removed, diff = changes(old, text)
            here = scope.at(places.FILE, number)
            here.record(
                FileWritten(
                    here.place, path, digest(data), len(data), len(text.splitlines()), added, removed, diff=diff
                )
            )
        run.workspace.write(path, data)  # after its record: else a killed run would take it for a person's edit
    return state.having(files)
