"""One node's part in a batch: its own pool. The process that holds the ledger sends it projects and collects results.

Only data crosses the network: tasks in, results out. The logs and the products are in the shared folder.
"""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

import chatdev
from chatdev.errors import ChatDevError, UserError
from chatdev.fleet import batch
from chatdev.fleet.ledger import BatchFolder, BatchTask, Result, abandoned_mark, shared_code
from chatdev.fleet.plan import BatchPlan
from chatdev.fleet.pool import Pool, PoolStatus
from chatdev.journal.store import JournalError, Store
from chatdev.models.choose import Choice, choose
from chatdev.models.spending import SharedCostBudget
from chatdev.sandbox import levels
from chatdev.settings import Settings, load_here

WAIT = 1.0
"""Seconds that a node waits for something to report before it answers without."""
SILENCE = 120.0
"""Seconds without a call from the driver after which a node stops: it was replaced, or the driver is gone."""


class NodeSetup(msgspec.Struct, frozen=True):
    """What a node is to do. ``folder`` is the batch's, on a file system that every node mounts at the same path;
    ``code`` identifies it. ``endpoints_typed``: the endpoints in ``settings`` were given on the command line and
    override the node's own."""

    folder: Path
    code: str
    plan: BatchPlan
    settings: Settings
    jobs: int | None = None
    endpoints_typed: bool = False
    streamed: bool | None = None
    unsafe: bool = False
    engine: str = ""
    version: str = chatdev.__version__


class Failure(msgspec.Struct, frozen=True):
    """An error as data, for a process that may not know its class."""

    what: str
    tried: tuple[str, ...] = ()
    do: str = ""
    status: int = 1

    def error(self) -> ChatDevError:
        """The error to show to the user."""
        error = ChatDevError(self.what, tried=self.tried, do=self.do)
        error.exit_status = self.status
        return error


class NodeReport(msgspec.Struct, frozen=True):
    """A node's report: the projects that ended since the last one, its status, ``limit``, the US dollars that its calls
    may cost now (None: no limit is set), ``spent``, the part of it that is gone, and what stopped the node."""

    results: tuple[Result, ...] = ()
    status: PoolStatus = PoolStatus(0, 0, 0, 0, 0)
    limit: float | None = None
    spent: float = 0.0
    failure: Failure | None = None


class NodeOpened(msgspec.Struct, frozen=True):
    """What a node works with, in words, or why it cannot work."""

    host: str
    notes: tuple[str, ...] = ()
    failure: Failure | None = None


class Reassigned(JournalError):
    """A newer attempt at this project has begun: this one must not acknowledge anything more."""


class FencedStore(Store):
    """A log whose writer stops once its project is reassigned.

    The driver sets the mark first and then reads the log; the writer syncs a record first and then checks for the mark.
    So what was acknowledged is read, and what was not read is not acknowledged.
    """

    def __init__(self, path: Path, mark: Path, **options: Any) -> None:
        if mark.exists():
            raise _reassigned(path)
        super().__init__(path, **options)
        self._mark = mark

    async def sync(self) -> None:
        """See ``Store``. Raises GivenUp."""
        await super().sync()
        if self._mark.exists():
            raise _reassigned(self.path)


def _reassigned(path: Path) -> Reassigned:
    return Reassigned(f"The project of {path} was reassigned to another node: writes from here are refused.")


Chooser = Callable[[str | None, Settings, SharedCostBudget], Awaitable[Choice]]


async def _choose(label: str | None, settings: Settings, cost_budget: SharedCostBudget) -> Choice:
    return await choose(label, settings, cost_budget=cost_budget)


class Node:
    """Runs the projects that it gets, in the event loop in which it is called."""

    def __init__(self, setup: NodeSetup, silence: float = SILENCE, chooser: Chooser = _choose) -> None:
        self._setup, self._silence, self._chooser = setup, silence, chooser
        self._stack = contextlib.AsyncExitStack()
        self._cost_budget = SharedCostBudget()
        self._results: list[Result] = []
        self._report_ready = asyncio.Event()
        self._timeout = asyncio.timeout(silence)
        self._pool: Pool | None = None
        self._work: asyncio.Task[None] | None = None
        self._failure: Failure | None = None

    async def open(self, limit: float | None) -> NodeOpened:
        """Start, with ``limit`` US dollars to spend; a failure is returned, not raised."""
        host = socket.gethostname()
        try:
            choice, level = await self._opened(limit)
        except (ChatDevError, OSError) as error:
            await self.close()
            return NodeOpened(host, failure=_failure(error))
        facts = choice.facts
        return NodeOpened(host, (f"{facts.model} at {facts.base_url}, sandbox {level}", *choice.notes))

    async def _opened(self, limit: float | None) -> tuple[Choice, str]:
        setup = self._setup
        if setup.version != chatdev.__version__:
            raise UserError(
                f"This node has ChatDev {chatdev.__version__}, but the batch was started with {setup.version}.",
                do="Install the same version on every node.",
            )
        if shared_code(setup.folder) != setup.code:
            raise UserError(
                f"{setup.folder} is not the batch's folder on this node.",
                do="Mount one shared file system at the same path on every node, and choose an --out on it.",
            )
        self._cost_budget.limit = limit
        choice = await self._chooser(setup.plan.model, _settings(setup), self._cost_budget)
        self._stack.push_async_callback(choice.backend.aclose)
        sandbox = await levels.chosen(unsafe=setup.unsafe, engine=setup.engine)
        batch_folder = BatchFolder(setup.folder, setup.plan)
        self._pool = await self._stack.enter_async_context(
            batch.pooled(batch_folder, choice, sandbox, setup.jobs, streamed=setup.streamed, open_store=self._store)
        )
        self._work = asyncio.create_task(self._run_pool(self._pool))
        await asyncio.sleep(0)  # until it has begun
        return choice, sandbox.level

    def _store(self, path: Path, **options: Any) -> Store:
        return FencedStore(path, abandoned_mark(self._setup.folder, path.parent.parent.name), **options)

    async def _run_pool(self, pool: Pool) -> None:
        def ended(result: Result) -> None:
            self._results.append(result)
            self._report_ready.set()

        try:
            async with self._timeout:
                await pool.run((), ended, keep_open=True)
        except TimeoutError:
            self._failure = Failure(f"This node received no calls for {self._silence:g} s.")
        except (ChatDevError, OSError) as error:
            self._failure = _failure(error)
        self._report_ready.set()

    def _extend_timeout(self) -> None:
        if self._work and not self._work.done() and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._silence)

    async def turn(self, tasks: Sequence[BatchTask], limit: float | None) -> NodeReport:
        """Accept these projects, too, and report news: immediately, or after at most ``WAIT`` seconds.

        ``limit`` is what the calls of this node may cost together, in US dollars. It does not go below what is already
        spent or reserved."""
        assert self._pool is not None
        self._extend_timeout()
        if limit is not None:
            self._cost_budget.limit = max(limit, self._cost_budget.committed)
        self._pool.add(tasks)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._failure else WAIT):
                await self._report_ready.wait()
        self._report_ready.clear()
        results, self._results = tuple(self._results), []
        self._extend_timeout()
        return NodeReport(results, self._pool.status, self._cost_budget.limit, self._cost_budget.spent, self._failure)

    async def close(self) -> None:
        """Interrupt the running projects and close everything."""
        if self._work:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        await self._stack.aclose()


def _settings(setup: NodeSetup) -> Settings:
    """The driver's settings, but with this machine's own endpoints and key if it has any: each node may have its own
    server."""
    node_settings = load_here(setup.folder)
    if setup.endpoints_typed or node_settings.vllm_endpoint is None:
        return setup.settings
    return msgspec.structs.replace(
        setup.settings,
        vllm_endpoint=node_settings.vllm_endpoint,
        more_endpoints=node_settings.more_endpoints,
        own_endpoints=node_settings.own_endpoints,
        vllm_model_name=node_settings.vllm_model_name,
        vllm_api_key=node_settings.vllm_api_key,
        keys={**setup.settings.keys, **node_settings.keys},
    )


def _failure(error: ChatDevError | OSError) -> Failure:
    if isinstance(error, ChatDevError):
        return Failure(error.what, error.tried, error.do, error.exit_status)
    return Failure(f"The operating system reported an error: {error.strerror or error}.")
