"""Runs a collaboration network: each node solves as soon as all its inputs are there, each edge reviews as soon as
the node before it has solved. Each call has a separate place in the log (``node.NUMBER``, ``edge-FROM.TO``), so that a
resume continues wherever the calls were; a node merges its inputs in their order.

A node with more than ``GROUP`` solutions merges them in groups of that size, and then the results in the same way: each
solution is in one prompt, so that the length of all prompts together is linear in the number of inputs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from chatdev.agents import replies
from chatdev.agents.chat_agent import Missing, RoleAnswer
from chatdev.company.config import Phase
from chatdev.company.graph import Graph, Network, graph
from chatdev.journal import places
from chatdev.journal.effects import JournalScope
from chatdev.journal.events import LimitReached, PhaseBegan, PhaseEnded
from chatdev.models.chat_model import ChatModel
from chatdev.models.endpoint import Facts
from chatdev.models.types import Completion, Message, Options, Watch
from chatdev.project import writing
from chatdev.project.context import PhaseContext, RunContext
from chatdev.project.prompt_texts import listing
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

T = TypeVar("T")
GROUP = 4
"""The most solutions that one prompt merges."""
_INPUTS = "inputs"


class Contribution(msgspec.Struct, frozen=True):
    """What a node gets along an edge: a solution, and the remarks of the edge's reviewer."""

    files: dict[str, str]
    remarks: str = ""


async def hold(run: RunContext, scope: JournalScope, phase: Phase, network: Network, state: State) -> State:
    """Let a network solve a phase that writes the program. Raises ModelError, JournalError, and NoProgram."""
    scope.record(PhaseBegan(scope.place, phase.name, phase.assistant, phase.user))
    made = graph(network)
    net = _Net(run, scope, phase, network, made, state)
    files = await net.run()
    context = PhaseContext(run, scope, phase, state)
    if not files:
        error = writing.NoProgram("No program was written: no file could be read out of any agent's answers.")
        scope.record(PhaseEnded(scope.place, phase.name, error.what))
        raise error
    after = context.write({path: text for path, text in files.items() if state.files.get(path) != text})
    summary = f"{len(made.names):,} agents, {made.edges:,} edges: {', '.join(files)}"
    if net.limit is not None:
        summary = f"broken off: the limit of {net.limit.limit} was reached; {summary}"
        after = msgspec.structs.replace(after, stopped=after.stopped or not net.limit.phase)
    scope.record(PhaseEnded(scope.place, phase.name, summary))
    return after


class _Net:
    """One run through the graph. ``limit`` is the limit that ended its calls, if one was reached."""

    def __init__(
        self, run: RunContext, scope: JournalScope, phase: Phase, network: Network, made: Graph, state: State
    ) -> None:
        model = _Bounded(run.model, network.at_once) if network.at_once else run.model
        self._run = replace(run, model=model, watcher=lambda role, progress: run.watcher("network", progress))
        self._scope, self._phase, self._graph, self._state = scope, phase, made, state
        self._solve, self._review = run.company.phases[network.solve], run.company.phases[network.review]
        self._solved: list[dict[str, str]] = [{}] * len(made.names)
        self._offers: list[dict[int, Contribution]] = [{} for _ in made.names]
        self._ended: asyncio.Queue[asyncio.Task[None]] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self.limit: LimitReached | None = None

    async def run(self) -> dict[str, str]:
        """The network's program; empty if there is none. Raises what any of its calls raises."""
        for index, before in enumerate(self._graph.inputs):
            if not before:
                self._begin(self._node(index))
        try:
            while self._tasks:
                task = await self._ended.get()
                self._tasks.discard(task)
                task.result()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        ends = [Contribution(self._solved[index]) for index in self._graph.sinks if self._solved[index]]
        if len(ends) == 1:
            return ends[0].files
        return await self._converged(self._scope.at(places.FINAL), ends, 1) if ends else {}

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended.put_nowait)

    async def _node(self, index: int) -> None:
        """Solve, then begin each edge's review; the next node begins after the last of its reviews."""
        scope = self._scope.at(places.NODE, index + 1)
        offers = [self._offers[index][before] for before in self._graph.inputs[index]]
        offers = [offer for offer in offers if offer.files]
        if offers:
            files = await self._converged(scope, offers, index + 1)
        else:
            files = await self._code(scope, self._phase, self._state, (), index + 1)
        self._solved[index] = files
        self._offers[index].clear()
        for after in self._graph.outputs[index]:
            self._begin(self._edge(index, after))

    async def _edge(self, before: int, after: int) -> None:
        files = self._solved[before]
        remarks = await self._remarks(self._scope.at(places.edge(before + 1), after + 1), files) if files else ""
        self._offers[after][before] = Contribution(files, remarks)
        if len(self._offers[after]) == len(self._graph.inputs[after]):
            self._begin(self._node(after))

    async def _remarks(self, scope: JournalScope, files: dict[str, str]) -> str:
        context = PhaseContext(self._run, scope, self._review, self._state.having(files))

        async def read(answer: RoleAnswer) -> Missing | None:
            if answer.text.strip() and not replies.looping(answer.text):
                return None
            return Missing(self._run.prompts.request("reply"), "the answer was empty or went in circles")

        text = await self._unless_exhausted(lambda: _text(context, read), "")
        return "" if replies.finished(text) or replies.looping(text) else text

    async def _converged(self, scope: JournalScope, offers: Sequence[Contribution], number: int) -> dict[str, str]:
        """Merge several programs into one: in groups, and those in groups, until one agent can merge the rest."""
        merges = 0
        while len(offers) > GROUP:
            groups = [offers[first : first + GROUP] for first in range(0, len(offers), GROUP)]
            scopes = [scope.at(places.MERGE, merges + count) for count in range(1, len(groups) + 1)]
            merges += len(groups)
            merged = await asyncio.gather(
                *(self._merged(one, group, number) for one, group in zip(scopes, groups, strict=True))
            )
            offers = [Contribution(files) for files in merged]
        return await self._merged(scope, offers, number, whole=True)

    async def _merged(
        self, scope: JournalScope, offers: Sequence[Contribution], number: int, *, whole: bool = False
    ) -> dict[str, str]:
        if len(offers) == 1 and not whole:
            return offers[0].files
        first, *others = offers
        inputs = _inputs_text(first, others)
        state = self._state.having(first.files).with_value(_INPUTS, inputs)
        return await self._code(scope, self._solve, state, [listing(each.files) for each in others], number)

    async def _code(
        self, scope: JournalScope, phase: Phase, state: State, listings: Sequence[str], number: int
    ) -> dict[str, str]:
        """One agent's program; the one that it began with, if its answer is unusable."""
        # ``listings`` is what is left out first if the window is too small.
        context = PhaseContext(replace(self._run, candidate=number), scope, phase, state, answers=list(listings))

        async def written() -> dict[str, str]:
            try:
                return (await writing.code(context)).program
            except writing.NoProgram:
                return {}

        return await self._unless_exhausted(written, state.program)

    async def _unless_exhausted(self, act: Callable[[], Awaitable[T]], otherwise: T) -> T:
        """What ``act`` returns; once a limit was reached, ``otherwise``, without a call."""
        if self.limit is not None:
            return otherwise
        try:
            return await act()
        except Exhausted as error:
            self.limit = error.limit
            return otherwise


async def _text(context: PhaseContext, read: Callable[[RoleAnswer], Awaitable[Missing | None]]) -> str:
    return (await context.insist(read, attempts=2)).text.strip()


def _inputs_text(first: Contribution, others: Sequence[Contribution]) -> str:
    """The other solutions and all remarks, as text for the agent that merges them."""
    parts = [f"What the reviewer says of the program above:\n\n{first.remarks}"] if first.remarks else []
    for number, other in enumerate(others, 2):
        parts.append(f"Solution {number}, by a colleague:\n\n{listing(other.files)}")
        if other.remarks:
            parts.append(f"What the reviewer says of solution {number}:\n\n{other.remarks}")
    return "\n\n".join(parts)


class _Bounded(ChatModel):
    """A backend with a limit on concurrent calls."""

    def __init__(self, backend: ChatModel, most: int) -> None:
        self._backend, self._room = backend, asyncio.Semaphore(most)

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ChatModel."""
        async with self._room:
            return await self._backend.complete(messages, options, watch)

    async def facts(self) -> Facts:
        """See ChatModel."""
        return await self._backend.facts()

    async def least_window(self) -> int | None:
        """See ChatModel."""
        return await self._backend.least_window()

    def beyond(self, avoid: Sequence[str]) -> bool:
        """See ChatModel."""
        return self._backend.beyond(avoid)

    async def aclose(self) -> None:
        """Do nothing: the owner closes the backend."""
