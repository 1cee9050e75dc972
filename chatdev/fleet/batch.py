"""One batch on one machine: its ledger, a pool that runs the unfinished projects, and a progress display."""

import asyncio
import contextlib
import gc
import resource
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Protocol

from chatdev.company import config
from chatdev.errors import UserError
from chatdev.fleet.concurrency import MOST, AdaptiveConcurrency, FixedConcurrency
from chatdev.fleet.ledger import BatchFolder, BatchTask, Ledger, Result
from chatdev.fleet.pool import Pool
from chatdev.fleet.shared import Bounded, SharedModel
from chatdev.journal.store import Store
from chatdev.models.choose import Choice
from chatdev.sandbox.port import Sandbox

TICK = 0.5
"""Seconds between two updates of the progress display."""
_FILES, _SPARE = 6, 128
"""Open files to reserve for each project (its log, its lock, its connections, a program's pipes), and for ourselves."""


class Runner(Protocol):
    """Runs projects: a pool in this process, or a cluster of many pools on other machines."""

    async def run(self, tasks: Iterable[BatchTask], on_result: Callable[[Result], None]) -> None:
        """See ``Pool``."""
        ...


@contextlib.asynccontextmanager
async def pooled(
    batch_folder: BatchFolder,
    choice: Choice,
    sandbox: Sandbox,
    jobs: int | None,
    *,
    streamed: bool | None = None,
    open_store: Callable[..., Store] = Store,
) -> AsyncIterator[Pool]:
    """A pool for a batch's projects: at most ``jobs`` at a time, or None for as many as the server can handle.

    For ``streamed`` see ``Guest``.

    Raises UserError.
    """
    most = _most_projects(jobs)
    choice.cost_budget.spent += batch_folder.paid
    shared_model = SharedModel(choice, streamed=streamed)
    concurrency = FixedConcurrency(jobs) if jobs else AdaptiveConcurrency(most=most)
    company = config.load(batch_folder.company)
    try:
        yield Pool(
            batch_folder.plan,
            batch_folder.projects,
            company,
            batch_folder.company,
            shared_model,
            Bounded(sandbox),
            concurrency,
            open_store=open_store,
        )
    finally:
        await shared_model.close()


async def run_projects(
    runner: Runner,
    ledger: Ledger,
    unfinished: Sequence[BatchTask],
    on_result: Callable[[Result], None],
    tick: Callable[[], None],
) -> None:
    """Run the unfinished projects; each result is stored before it is reported. Raises what stops a pool."""

    def ended(result: Result) -> None:
        ledger.put(result)
        on_result(result)

    async def ticking() -> None:
        while True:
            tick()
            await asyncio.sleep(TICK)

    ticker = asyncio.create_task(ticking())
    try:
        with fewer_collections():
            await runner.run(unfinished, ended)
    finally:
        ticker.cancel()
        await asyncio.gather(ticker, return_exceptions=True)


@contextlib.contextmanager
def fewer_collections() -> Iterator[None]:
    """Exclude existing objects from garbage collection and run it a tenth as often: projects leave few cycles."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10 * thresholds[0], *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _most_projects(jobs: int | None) -> int:
    """The number of projects that the limit on open files allows, after raising that limit as far as possible.

    Raises UserError if it is less than ``jobs``.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
        new_limit = 1 << 16 if hard == resource.RLIM_INFINITY else hard
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, new_limit), hard))
            soft = max(soft, new_limit)
    room = MOST if soft == resource.RLIM_INFINITY else max(1, (soft - _SPARE) // _FILES)
    if soft != resource.RLIM_INFINITY and jobs is not None and jobs > room:
        raise UserError(
            f"--jobs {jobs} needs more open files than the limit of {soft:,} per process.",
            do=f"Use --jobs {room} or less, or raise the limit (ulimit -n).",
        )
    return min(room, MOST)
