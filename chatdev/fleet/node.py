"""One node's part in a batch: a pool of its own, fed and emptied by the one process that holds the ledger.

What crosses the network is data alone: tasks in, results out. The logs and the products lie on the shared folder.
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
from chatdev.fleet.ledger import Place, Plan, Result, Task, given_up, shared_code
from chatdev.fleet.pool import Pool, Standing
from chatdev.journal.store import JournalError, Store
from chatdev.models.choose import Choice, choose
from chatdev.models.purse import SharedPurse
from chatdev.sandbox import ladder
from chatdev.settings import Settings, load_here

WAIT = 1.0
"""Seconds for which a node waits for something to tell before it answers all the same."""
SILENCE = 120.0
"""Seconds without a word from the driver after which a node stops: it has been given up, or nobody is left to tell."""


class Setup(msgspec.Struct, frozen=True):
    """What a node is to do. ``folder`` is the batch's, on a file system that every node has at the same path, and
    ``code`` what stands in there to know it by. ``typed``: the endpoints in ``settings`` were asked for by name, and
    come before what the node itself was set to."""

    folder: Path
    code: str
    plan: Plan
    settings: Settings
    jobs: int | None = None
    typed: bool = False
    streamed: bool | None = None
    unsafe: bool = False
    engine: str = ""
    version: str = chatdev.__version__


class Failure(msgspec.Struct, frozen=True):
    """An error as data: it must be read by a process that may not know its class."""

    what: str
    tried: tuple[str, ...] = ()
    do: str = ""
    status: int = 1

    def error(self) -> ChatDevError:
        """The error that a person is to see."""
        error = ChatDevError(self.what, tried=self.tried, do=self.do)
        error.exit_status = self.status
        return error


class Turn(msgspec.Struct, frozen=True):
    """What a node tells when asked: the projects that ended since, how things stand, ``limit``, the US dollars that its
    calls are kept within now (None: nobody set a limit), of which ``spent`` are gone, and what stopped it."""

    results: tuple[Result, ...] = ()
    standing: Standing = Standing(0, 0, 0, 0, 0)
    limit: float | None = None
    spent: float = 0.0
    failure: Failure | None = None


class Opened(msgspec.Struct, frozen=True):
    """What a node works with, in words, or why it cannot."""

    host: str
    notes: tuple[str, ...] = ()
    failure: Failure | None = None


class GivenUp(JournalError):
    """Another attempt at this project has begun since: this one may acknowledge nothing more."""


class FencedStore(Store):
    """A log whose writer stops when its project was handed on.

    Whoever hands a project on sets the mark first, and reads the log then; here the record is synced first, and the
    mark looked for then. So what was acknowledged is read, and what was not read is not acknowledged.
    """

    def __init__(self, path: Path, mark: Path, **more: Any) -> None:
        if mark.exists():
            raise _handed_on(path)
        super().__init__(path, **more)
        self._mark = mark

    async def sync(self) -> None:
        """See Store. Raises GivenUp."""
        await super().sync()
        if self._mark.exists():
            raise _handed_on(self.path)


def _handed_on(path: Path) -> GivenUp:
    return GivenUp(f"The project of {path} was given to another node: this writer is refused.")


Chooser = Callable[[str | None, Settings, SharedPurse], Awaitable[Choice]]


async def _choose(label: str | None, settings: Settings, purse: SharedPurse) -> Choice:
    return await choose(label, settings, purse=purse)


class Node:
    """Carries the projects that it is given, in the event loop that it is called in."""

    def __init__(self, setup: Setup, silence: float = SILENCE, chooser: Chooser = _choose) -> None:
        self._setup, self._silence, self._chooser = setup, silence, chooser
        self._stack = contextlib.AsyncExitStack()
        self._purse = SharedPurse()
        self._results: list[Result] = []
        self._news = asyncio.Event()
        self._patience = asyncio.timeout(silence)
        self._pool: Pool | None = None
        self._work: asyncio.Task[None] | None = None
        self._failure: Failure | None = None

    async def open(self, limit: float | None) -> Opened:
        """Make ready, with ``limit`` US dollars to spend; what cannot be is told, not raised."""
        host = socket.gethostname()
        try:
            choice, level = await self._opened(limit)
        except (ChatDevError, OSError) as error:
            await self.close()
            return Opened(host, failure=_failure(error))
        facts = choice.facts
        return Opened(host, (f"{facts.model} at {facts.base_url}, sandbox {level}", *choice.notes))

    async def _opened(self, limit: float | None) -> tuple[Choice, str]:
        setup = self._setup
        if setup.version != chatdev.__version__:
            raise UserError(
                f"ChatDev {chatdev.__version__} is installed here, and {setup.version} where the batch was started.",
                do="Install the same version on every node.",
            )
        if shared_code(setup.folder) != setup.code:
            raise UserError(
                f"{setup.folder} is not the batch's folder here.",
                do="Mount one shared file system at the same path on every node, and give an --out on it.",
            )
        self._purse.limit = limit
        choice = await self._chooser(setup.plan.model, _settings(setup), self._purse)
        self._stack.push_async_callback(choice.backend.aclose)
        sandbox = await ladder.chosen(unsafe=setup.unsafe, engine=setup.engine)
        place = Place(setup.folder, setup.plan)
        self._pool = await self._stack.enter_async_context(
            batch.pooled(place, choice, sandbox, setup.jobs, streamed=setup.streamed, open_store=self._store)
        )
        self._work = asyncio.create_task(self._carry(self._pool))
        await asyncio.sleep(0)  # until it has begun
        return choice, sandbox.level

    def _store(self, path: Path, **more: Any) -> Store:
        return FencedStore(path, given_up(self._setup.folder, path.parent.parent.name), **more)

    async def _carry(self, pool: Pool) -> None:
        def ended(result: Result) -> None:
            self._results.append(result)
            self._news.set()

        try:
            async with self._patience:
                await pool.carry((), ended, stays=True)
        except TimeoutError:
            self._failure = Failure(f"Nobody has asked this node for anything for {self._silence:g} s.")
        except (ChatDevError, OSError) as error:
            self._failure = _failure(error)
        self._news.set()

    def _heard(self) -> None:
        if self._work and not self._work.done() and not self._patience.expired():
            self._patience.reschedule(asyncio.get_running_loop().time() + self._silence)

    async def turn(self, more: Sequence[Task], limit: float | None) -> Turn:
        """Take these projects too, and tell what there is to tell, at once or after ``WAIT`` seconds.

        ``limit`` is what the calls here may cost together, in US dollars: it holds but for what is spent or held back
        already."""
        assert self._pool is not None
        self._heard()
        if limit is not None:
            self._purse.limit = max(limit, self._purse.committed)
        self._pool.add(more)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._failure else WAIT):
                await self._news.wait()
        self._news.clear()
        results, self._results = tuple(self._results), []
        self._heard()
        return Turn(results, self._pool.standing, self._purse.limit, self._purse.spent, self._failure)

    async def close(self) -> None:
        """Interrupt what is under way, and close all."""
        if self._work:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)
        await self._stack.aclose()


def _settings(setup: Setup) -> Settings:
    """Those of the driver, with the endpoints and their key that this machine itself is set to, if it is: a server may
    stand beside every node."""
    own = load_here(setup.folder)
    if setup.typed or own.vllm_endpoint is None:
        return setup.settings
    return msgspec.structs.replace(
        setup.settings,
        vllm_endpoint=own.vllm_endpoint,
        more_endpoints=own.more_endpoints,
        own_endpoints=own.own_endpoints,
        vllm_model_name=own.vllm_model_name,
        vllm_api_key=own.vllm_api_key,
    )


def _failure(error: ChatDevError | OSError) -> Failure:
    if isinstance(error, ChatDevError):
        return Failure(error.what, error.tried, error.do, error.exit_status)
    return Failure(f"The system refused: {error.strerror or error}.")
