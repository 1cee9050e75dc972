"""One batch on one machine: its ledger, a pool that carries what is left, and whoever looks on."""

import asyncio
import contextlib
import gc
import resource
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from typing import Protocol

from chatdev.company import config
from chatdev.errors import UserError
from chatdev.fleet.ledger import Ledger, Place, Result, Task
from chatdev.fleet.pace import MOST, Adaptive, Fixed
from chatdev.fleet.pool import Pool
from chatdev.fleet.shared import Bounded, Common
from chatdev.journal.store import Store
from chatdev.models.choose import Choice
from chatdev.sandbox.port import Sandbox

TICK = 0.5
"""Seconds between two looks of whoever looks on."""
_FILES, _SPARE = 6, 128
"""Open files that a project may hold at once (its log, its lock, its connections, a program's pipes), and ours."""


class Carrier(Protocol):
    """Whoever carries projects: a pool in this process, or many on other machines."""

    async def carry(self, tasks: Iterable[Task], ended: Callable[[Result], None]) -> None:
        """See Pool."""
        ...


@contextlib.asynccontextmanager
async def pooled(
    place: Place,
    choice: Choice,
    sandbox: Sandbox,
    jobs: int | None,
    *,
    streamed: bool | None = None,
    open_store: Callable[..., Store] = Store,
) -> AsyncIterator[Pool]:
    """A pool for a batch's projects: ``jobs`` at once, or None for what the server bears. For ``streamed`` see Guest.

    Raises UserError.
    """
    most = _room(jobs)
    choice.purse.spent += place.paid
    common = Common(choice, streamed=streamed)
    pace = Fixed(jobs) if jobs else Adaptive(most=most)
    company = config.load(place.company)
    try:
        yield Pool(
            place.plan,
            place.projects,
            company,
            place.company,
            common,
            Bounded(sandbox),
            pace,
            open_store=open_store,
        )
    finally:
        await common.close()


async def carry(
    carrier: Carrier, ledger: Ledger, left: Sequence[Task], told: Callable[[Result], None], tick: Callable[[], None]
) -> None:
    """Carry what is left to its end; each result is kept before it is told. Raises as ``Pool.carry`` does."""

    def ended(result: Result) -> None:
        ledger.put(result)
        told(result)

    async def ticking() -> None:
        while True:
            tick()
            await asyncio.sleep(TICK)

    looking = asyncio.create_task(ticking())
    try:
        with fewer_collections():
            await carrier.carry(left, ended)
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


@contextlib.contextmanager
def fewer_collections() -> Iterator[None]:
    """What is there stays out of Python's search for cycles, which goes on a tenth as often: projects leave few."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(10 * thresholds[0], *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()


def _room(jobs: int | None) -> int:
    """The projects for which this process may open files, once it has asked for as many as it is allowed.

    Raises UserError if those are fewer than ``jobs``.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and (hard == resource.RLIM_INFINITY or soft < hard):
        wanted = 1 << 16 if hard == resource.RLIM_INFINITY else hard
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
            soft = max(soft, wanted)
    room = MOST if soft == resource.RLIM_INFINITY else max(1, (soft - _SPARE) // _FILES)
    if soft != resource.RLIM_INFINITY and jobs is not None and jobs > room:
        raise UserError(
            f"--jobs {jobs} would need more open files than the {soft:,} that a process may have here.",
            do=f"Give --jobs {room} at most, or raise the limit (ulimit -n).",
        )
    return min(room, MOST)
