"""One batch on many machines: which nodes work, on which projects, and what happens if a node fails.

The engine (Ray) lists the nodes and delivers calls to them. What must be true whatever Ray reports is ensured here: one
process holds the ledger, each attempt at a project has a number, and a project is reassigned only after its log was
taken over from the node that became unreachable.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from chatdev.errors import ChatDevError, UserError
from chatdev.fleet import pool
from chatdev.fleet.ledger import BatchTask, Ledger, Result
from chatdev.fleet.node import NodeOpened, NodeReport, NodeSetup
from chatdev.fleet.pool import PoolStatus

T = TypeVar("T")
LEASE = 60.0
"""Seconds of silence after which a node counts as unreachable; a healthy node answers every second."""
OPENING = 180.0
"""Seconds that a node may take to start: its first import of all modules goes over the network."""
JOINING = 2.0
"""Seconds between two polls of the list of nodes."""
ALONE = 120.0
"""Seconds without a working node after which the batch stops."""
SPARE = 1
"""Projects that a node gets beyond those that it may run at the same time, so that none of its slots stays empty."""
STARTS = 3
"""A node of which this many processes have died is not used any more."""
ATTEMPTS = 5
"""Times that a node may die while it has a project, before the project counts as the cause."""


class WorkerLost(Exception):
    """A node no longer answers; the text says why."""


class Worker(Protocol):
    """A node's process. Each call raises WorkerLost if the process is gone."""

    async def open(self, limit: float | None) -> NodeOpened:
        """See ``Node``."""
        ...

    async def turn(self, more: Sequence[BatchTask], limit: float | None) -> NodeReport:
        """See ``Node``."""
        ...

    async def close(self) -> None:
        """See ``Node``."""
        ...

    def kill(self) -> None:
        """Kill the process, if it is reachable."""
        ...


class ClusterEngine(Protocol):
    """Lists the nodes and starts processes on them."""

    async def nodes(self) -> Sequence[str]:
        """The nodes that exist now, each by a name that is never reused."""
        ...

    def start(self, node: str, setup: NodeSetup) -> Worker:
        """Start a process on that node."""
        ...


class _NodeState:
    """The state of a working node. ``granted`` is the amount in US dollars that it may spend."""

    def __init__(self, node: str) -> None:
        self.node, self.name = node, f"Node {node[:6]}"
        self.tasks: dict[str, BatchTask] = {}
        self.status = PoolStatus(0, 0, 0, 0, 0)
        self.granted = self.spent = 0.0


class Cluster:
    """Runs a batch's projects on an engine's nodes; used like a Pool. ``max_cost`` is for all nodes together."""

    def __init__(
        self,
        engine: ClusterEngine,
        ledger: Ledger,
        setup: NodeSetup,
        say: Callable[[str], None],
        *,
        lease: float = LEASE,
        joining: float = JOINING,
        alone: float = ALONE,
    ) -> None:
        self._engine, self._ledger, self._setup, self._say = engine, ledger, setup, say
        self._lease, self._joining, self._alone = lease, joining, alone
        self._max_cost = setup.settings.max_cost
        self._states: dict[str, _NodeState] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._starts: Counter[str] = Counter()
        self._retired: dict[str, ChatDevError] = {}
        self._gone_status = PoolStatus(0, 0, 0, 0, 0)
        self._paid = ledger.paid
        self._waiting: deque[BatchTask] = deque()
        self._attempts: Counter[str] = Counter()
        self._on_result: Callable[[Result], None] = ledger.put
        self._wake = asyncio.Event()
        self._error: Exception | None = None

    @property
    def status(self) -> PoolStatus:
        """The status of all nodes together."""
        statuses = [self._gone_status, *(state.status for state in self._states.values())]
        return PoolStatus(*(sum(getattr(each, field) for each in statuses) for field in PoolStatus.__struct_fields__))

    async def run(self, tasks: Iterable[BatchTask], on_result: Callable[[Result], None]) -> None:
        """Run all these projects to their end, and call ``on_result`` with each result. Raises the error that stopped
        the last node, and UserError if there is no node."""
        self._on_result = on_result
        self._waiting.extend(tasks)
        joining = asyncio.create_task(self._join())
        joining.add_done_callback(self._watched)
        try:
            while (self._waiting or any(state.tasks for state in self._states.values())) and self._error is None:
                self._wake.clear()
                await self._wake.wait()
        finally:
            joining.cancel()
            for work in self._work.values():
                work.cancel()
            await asyncio.gather(joining, *self._work.values(), return_exceptions=True)
        if self._error is not None:
            raise self._error

    def _watched(self, work: "asyncio.Task[None]") -> None:
        if not work.cancelled() and isinstance(error := work.exception(), Exception):
            self._error = self._error or error
        self._wake.set()

    async def _join(self) -> None:
        """Keep starting work on every node that has none yet."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            for node in await self._engine.nodes():
                if node not in self._work and node not in self._retired:
                    self._work[node] = work = asyncio.create_task(self._node(node))
                    work.add_done_callback(self._watched)
            if self._work:
                last = loop.time()
            elif self._retired:
                raise next(iter(self._retired.values()))
            elif loop.time() - last > self._alone:
                raise UserError(
                    "The cluster has had no available nodes for a while.",
                    do="Start nodes (ray start --address …) and run the same command again: nothing is lost.",
                )
            await asyncio.sleep(self._joining)

    async def _node(self, node: str) -> None:
        """Let a node work until it is gone; then queue its projects again."""
        state = self._states[node] = _NodeState(node)
        self._starts[node] += 1
        worker = self._engine.start(node, self._setup)
        try:
            await self._drive(state, worker)
        except WorkerLost as lost:
            self._say(f"{state.name} is unreachable ({lost}); reassigning {_projects(len(state.tasks))}.")
            for each in state.tasks:
                self._attempts[each] += 1
            if self._starts[node] >= STARTS:
                self._retired[node] = ChatDevError(f"{state.name} died {STARTS} times.", do="Check Ray's logs there.")
        except ChatDevError as error:
            self._say(f"{state.name} stopped: {error.what}")
            self._retired[node] = error
        except asyncio.CancelledError:
            await self._close(worker)
            raise
        finally:
            worker.kill()
            del self._work[node], self._states[node]
            self._gone_status = _sum(self._gone_status, state.status)
            self._paid += state.spent
        for task in reversed(state.tasks.values()):
            self._waiting.appendleft(self._ledger.reassign(task))
        self._end_repeated()

    async def _close(self, worker: Worker) -> None:
        with contextlib.suppress(WorkerLost):
            await _within(self._lease, worker.close())

    def _end_repeated(self) -> None:
        """End projects, as errors, that too many nodes died with."""
        for task in [each for each in self._waiting if self._attempts[each.id] >= ATTEMPTS]:
            self._waiting.remove(task)
            why = f"{ATTEMPTS} nodes died while running this project."
            self._on_result(pool.result_of(task, (), why))

    async def _drive(self, state: _NodeState, worker: Worker) -> None:
        """Open a node, then exchange projects and results with it until it stops. Raises WorkerLost and its error."""
        opened = await _within(OPENING, worker.open(self._allowance(state)))
        state.name = f"Node {opened.host} ({state.node[:6]})"
        if opened.failure:
            raise opened.failure.error()
        for note in opened.notes:
            self._say(f"{state.name}: {note}")
        while True:
            limit = self._allowance(state)
            turn = await _within(self._lease, worker.turn(self._next_tasks(state, limit), limit))
            state.status, state.spent = turn.status, turn.spent
            state.granted = turn.limit or 0.0
            for result in turn.results:
                if state.tasks.pop(result.id, None):
                    self._on_result(result)
            self._wake.set()
            if turn.failure:
                raise turn.failure.error()

    def _next_tasks(self, state: _NodeState, limit: float | None) -> list[BatchTask]:
        """The projects that a node gets now, removed from the queue: none while others have yet to return money."""
        if limit == 0 and self._remaining > 0:
            return []
        room = state.status.limit + SPARE - len(state.tasks)
        tasks = [self._waiting.popleft() for _ in range(min(max(room, 0), len(self._waiting)))]
        state.tasks |= {task.id: task for task in tasks}
        return tasks

    def _allowance(self, state: _NodeState) -> float | None:
        """The US dollars that a node may spend in all: its share of what is left, and never more than the grants of
        the other nodes leave. What a failed node spent still counts, and again where its projects continue."""
        if self._max_cost is None:
            return None
        others = [each for each in self._states.values() if each is not state]
        fair = state.spent + self._remaining / len(self._states)
        limit = max(min(fair, self._max_cost - self._paid - sum(each.granted for each in others)), 0.0)
        state.granted = max(state.granted, limit)  # until the node confirms a lower limit
        return limit

    @property
    def _remaining(self) -> float:
        """US dollars that are not spent yet."""
        spent = self._paid + sum(each.spent for each in self._states.values())
        return max((self._max_cost or 0.0) - spent, 0.0)


def _sum(past: PoolStatus, gone: PoolStatus) -> PoolStatus:
    return PoolStatus(0, 0, 0, past.calls + gone.calls, past.tokens + gone.tokens)


def _projects(count: int) -> str:
    return "1 project" if count == 1 else f"{count} projects"


async def _within(seconds: float, call: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
    """The result of a call. Raises WorkerLost if it takes too long."""
    try:
        async with asyncio.timeout(seconds):  # wait_for can lose a cancellation until Python 3.12
            return await call
    except TimeoutError:
        raise WorkerLost(f"no answer for {seconds:g} s") from None
