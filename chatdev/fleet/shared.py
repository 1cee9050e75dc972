"""What many projects share: the model's endpoints with their connections, and the CPU cores for their programs."""

import asyncio
import os
from collections.abc import Callable, Sequence

import msgspec

from chatdev.models.chat_model import ChatModel
from chatdev.models.choose import Choice
from chatdev.models.endpoint import Facts
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.fallback import Fallback
from chatdev.models.metrics import Load
from chatdev.models.types import Completion, Message, Options, Target, Watch
from chatdev.sandbox.port import Job, Outcome, Sandbox

FAST = 100.0
"""Tokens per second, of all answers together, above which answers are not streamed.

A streamed token costs 0.2 ms of processor time here (0.15 and 0.22 measured; a whole answer 0.6 ms). So up to this
speed, watching takes at most 2 % of a processor, and an answer that repeats itself takes the engine minutes.
"""
_UNKNOWN = 10.0
"""Tokens per second assumed for one answer until the first has arrived."""
_MEMORY = 0.9


class Traffic:
    """Calls of all projects together: how many are in flight, and the totals of those that ended. ``seconds`` is the
    sum of their durations."""

    def __init__(self) -> None:
        self.out = self.calls = self.tokens = 0
        self.seconds = 0.0
        self._tokens = self._seconds = 0.0

    def ended(self, answer: Completion) -> None:
        """Count an answer. The last ten or so give the server's current speed."""
        tokens, seconds = answer.usage.completion_tokens, answer.receipt.seconds
        self.calls += 1
        self.tokens += tokens
        self.seconds += seconds
        self._tokens = _MEMORY * self._tokens + tokens
        self._seconds = _MEMORY * self._seconds + seconds

    @property
    def fast(self) -> bool:
        """Whether tokens arrive so fast that watching them would cost more than it saves."""
        each = self._tokens / self._seconds if self._seconds else _UNKNOWN
        return self.out * each > FAST


class SharedModelHandle(ChatModel):
    """A shared backend for one project: closing it closes nothing that others use.

    Answers are ``streamed`` or arrive whole. With None, those that may be stopped early are streamed while the server
    is slow: there an answer that repeats itself takes minutes; on a fast server a stream costs more than it saves.
    """

    def __init__(self, backend: ChatModel, traffic: Traffic, *, streamed: bool | None = None) -> None:
        self._backend = backend.beside() if isinstance(backend, Fallback) else backend
        self._traffic = traffic
        self._streamed = streamed

    async def complete(self, messages: Sequence[Message], options: Options, watch: Watch | None = None) -> Completion:
        """See ``ChatModel``."""
        traffic = self._traffic
        traffic.out += 1
        try:
            streamed = self._streamed
            if streamed is None:
                streamed = options.early is not None and not traffic.fast
            if options.stream and not streamed:
                options = msgspec.structs.replace(options, stream=False)
            answer = await self._backend.complete(messages, options, None)
        finally:
            traffic.out -= 1
        traffic.ended(answer)
        return answer

    async def facts(self) -> Facts:
        """See ``ChatModel``."""
        return await self._backend.facts()

    def beyond(self, avoid: Sequence[str]) -> bool:
        """See ``ChatModel``."""
        return self._backend.beyond(avoid)

    async def least_window(self) -> int | None:
        """See ``ChatModel``."""
        return await self._backend.least_window()

    async def aclose(self) -> None:
        """See ``ChatModel``."""
        if isinstance(self._backend, Fallback):
            self._backend.release()


class SharedChoice(Choice, frozen=True, kw_only=True):
    """A choice for one of many projects. ``connections`` has the models that were contacted before; all projects share
    it."""

    connections: dict[Target, "asyncio.Task[Choice]"] = msgspec.field(default_factory=dict)
    traffic: Traffic = msgspec.field(default_factory=Traffic)
    streamed: bool | None = None
    shared: Choice | None = None

    async def colleague(self, target: Target) -> Choice:
        """See ``Choice``; the first project that needs a target contacts it for all."""
        assert self.shared is not None
        connecting = self.connections.get(target)
        if connecting is None or (connecting.done() and (connecting.cancelled() or connecting.exception())):
            connecting = self.connections[target] = asyncio.create_task(self.shared.colleague(target))
        choice = await asyncio.shield(connecting)
        handle = SharedModelHandle(choice.backend, self.traffic, streamed=self.streamed)
        return msgspec.structs.replace(choice, backend=handle)


class SharedModel:
    """One choice for all projects of a process. ``close`` closes the other models; the caller closes the choice."""

    def __init__(self, choice: Choice, *, streamed: bool | None = None) -> None:
        self.choice = choice
        self.traffic = Traffic()
        self._streamed = streamed
        self._connections: dict[Target, asyncio.Task[Choice]] = {}

    def guest(self) -> SharedChoice:
        """The choice for one more project. The project closes its backend at the end."""
        fields = {name: getattr(self.choice, name) for name in Choice.__struct_fields__}
        fields["backend"] = SharedModelHandle(self.choice.backend, self.traffic, streamed=self._streamed)
        return SharedChoice(
            **fields, connections=self._connections, traffic=self.traffic, streamed=self._streamed, shared=self.choice
        )

    async def answers(self) -> bool:
        """Whether a server answers."""
        backend = self.choice.backend
        return not isinstance(backend, Fallback | EndpointModel) or await backend.answers()

    async def loads(self) -> list[Load]:
        """The load of each endpoint that reports it."""
        backend = self.choice.backend
        loads = await backend.loads() if isinstance(backend, Fallback) else (await backend.load(),)
        return [load for load in loads if load]

    async def close(self) -> None:
        """Close the other models."""
        for pending in self._connections.values():
            pending.cancel()
            await asyncio.wait([pending])
            if not pending.cancelled() and not pending.exception():
                await pending.result().backend.aclose()


class SyncThread:
    """Calls functions in one thread beside the loop, all that are waiting in one go: the logs of many projects sync at
    the same time, and a thread for each would cost more than the syncs (57,000 switches for 3,000 calls, measured)."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], None], asyncio.Future[None]]] = []
        self._busy = False

    async def __call__(self, function: Callable[[], None]) -> None:
        """Return once the function has been called. Raises what it raises."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((function, done))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._begin, loop)
        await done

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        waiting, self._waiting = self._waiting, []
        self._busy = bool(waiting)
        if waiting:
            loop.run_in_executor(None, _call_all, loop, waiting).add_done_callback(lambda _: self._begin(loop))


def _call_all(
    loop: asyncio.AbstractEventLoop, waiting: Sequence[tuple[Callable[[], None], "asyncio.Future[None]"]]
) -> None:
    errors: list[Exception | None] = []
    for function, _ in waiting:
        try:
            function()
            errors.append(None)
        except Exception as error:
            errors.append(error)
    loop.call_soon_threadsafe(_set_results, [done for _, done in waiting], errors)


def _set_results(waiting: Sequence["asyncio.Future[None]"], errors: Sequence[Exception | None]) -> None:
    for done, error in zip(waiting, errors, strict=True):
        if done.done():  # its caller was cancelled
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)


class Bounded:
    """A sandbox that runs at most ``cores`` programs at the same time and queues the others. The default is the number
    of cores that this process may use. A program's time limit starts with the program, not with the wait."""

    def __init__(self, sandbox: Sandbox, cores: int | None = None) -> None:
        self._sandbox = sandbox
        self._slots = asyncio.Semaphore(cores or cores_here())

    @property
    def level(self) -> str:
        """See ``Sandbox``."""
        return self._sandbox.level

    async def run(self, job: Job) -> Outcome:
        """See ``Sandbox``."""
        async with self._slots:
            return await self._sandbox.run(job)


def cores_here() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
