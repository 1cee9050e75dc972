"""Runs projects in one event loop: starts or resumes each, and reports how it ended. Knows tasks and results, but no
task lists, displays or other pools."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from chatdev import runs, wiring
from chatdev.company.config import Company, CompanyError
from chatdev.errors import ChatDevError, UserError
from chatdev.fleet.concurrency import ConcurrencyController
from chatdev.fleet.ledger import BatchTask, Result
from chatdev.fleet.plan import BatchPlan
from chatdev.fleet.shared import Bounded, SharedModel, SyncThread
from chatdev.journal.active import Active
from chatdev.journal.events import ModelAnswered
from chatdev.journal.store import JournalError, Record, Store
from chatdev.models.errors import CostLimit, KeyRefused, ModelNotServed, ServerFault, Unreachable
from chatdev.product.verdict import STARTS
from chatdev.redaction import Redactor

LOAD_POLL = 2.0
"""Seconds between two measurements of the server's load."""
REST, LONGEST = 5.0, 60.0
"""Seconds without starting projects while no server answers: the first pause, doubled each time, and the longest."""
OUTAGES = 7
"""Times in a row that no server answers, after which the batch stops: four minutes, enough for vLLM to restart."""
TRIES = 3
"""Times that a project is tried while a server answers, but with faults, before it ends with that error."""


class PoolStatus(msgspec.Struct, frozen=True):
    """The status: running projects and how many may run, calls in flight, calls that ended here and their completion
    tokens."""

    running: int
    limit: int
    out: int
    calls: int
    tokens: int


class Pool:
    """Runs projects of one batch in one loop. ``projects`` is the folder of their runs, ``company`` the one that they
    share and ``source`` its folder; ``open_store`` opens a log, as ``Store`` does."""

    def __init__(
        self,
        plan: BatchPlan,
        projects: Path,
        company: Company,
        source: Path,
        shared_model: SharedModel,
        sandbox: Bounded,
        concurrency: ConcurrencyController,
        open_store: Callable[..., Store] = Store,
    ) -> None:
        self._plan, self._projects = plan, projects
        self._company, self._source = company, source
        self._shared_model, self._sandbox, self._concurrency = shared_model, sandbox, concurrency
        self._redactor: Redactor = runs.redactor(shared_model.choice.settings)
        self._model = shared_model.choice.label
        self._open_store = open_store
        self._sync_thread = SyncThread()
        self._waiting: deque[BatchTask] = deque()
        self._running: dict[asyncio.Task[None], BatchTask] = {}
        self._wake = asyncio.Event()
        self._outages, self._pause_until = 0, 0.0
        self._error: ChatDevError | None = None
        self._tries: dict[str, int] = {}

    @property
    def status(self) -> PoolStatus:
        """The status now."""
        traffic = self._shared_model.traffic
        return PoolStatus(len(self._running), self._concurrency.limit, traffic.out, traffic.calls, traffic.tokens)

    def add(self, tasks: Iterable[BatchTask]) -> None:
        """Queue more projects."""
        self._waiting.extend(tasks)
        self._wake.set()

    async def run(
        self, tasks: Iterable[BatchTask], on_result: Callable[[Result], None], *, keep_open: bool = False
    ) -> None:
        """Run all these projects to their end, and call ``on_result`` with each result; if ``keep_open``, also those
        that are added later, until it is cancelled. Raises errors that the user must fix before any project can
        continue. The running projects are then interrupted and can be run again."""
        self._waiting.clear()
        self.add(tasks)
        waiting = self._waiting
        self._error, self._outages, self._pause_until = None, 0, 0.0
        watching_load = asyncio.create_task(self._watch_load())
        try:
            while (keep_open or waiting or self._running) and self._error is None:
                self._wake.clear()
                pause = self._pause_until - time.monotonic()
                while waiting and len(self._running) < self._concurrency.limit and pause <= 0:
                    self._start(waiting.popleft(), waiting, on_result)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause if pause > 0 and waiting else None):
                        await self._wake.wait()
        finally:
            watching_load.cancel()
            await self._stop(watching_load)
        if self._error is not None:
            raise self._error

    async def _stop(self, *others: asyncio.Task[None]) -> None:
        for each in self._running:
            each.cancel()
        await asyncio.gather(*self._running, *others, return_exceptions=True)

    def _start(self, task: BatchTask, waiting: deque[BatchTask], on_result: Callable[[Result], None]) -> None:
        async def run_one() -> None:
            result = await self._run_project(task)
            if result is None:
                waiting.append(task)
            else:
                on_result(result)

        def done(each: asyncio.Task[None]) -> None:
            del self._running[each]
            if not each.cancelled() and (error := each.exception()):
                self._error = self._error or (error if isinstance(error, ChatDevError) else _unforeseen(error))
            self._wake.set()

        running = asyncio.create_task(run_one())
        self._running[running] = task
        running.add_done_callback(done)

    async def _run_project(self, task: BatchTask) -> Result | None:
        """How a project ended; None if it is to be tried again. Raises what stops the batch."""
        folder = self._projects / task.folder
        opened: list[Store] = []
        error: Exception | None = None
        choice = self._shared_model.guest()
        try:
            opened.append(await self._open(task, folder))
            if runs.finished(tuple(opened[0].records)):  # but its result was not reported
                opened[0].close()
                wiring.deliver(folder, tuple(opened[0].records))
                return result_of(task, opened[0].records)
            await wiring.work(
                folder,
                choice,
                self._plan.of_each,
                at_once=1,  # the other projects keep the server busy
                open_store=lambda path: opened[0],
                sandbox=self._sandbox,
                company=self._company,
            )
        except CompanyError as other:  # a template may fail on this task alone
            error = other
        except (CostLimit, KeyRefused, ModelNotServed, UserError):
            raise
        except (Unreachable, ServerFault) as fault:
            if not await self._ends_project(task, fault):
                return None
            error = fault
        except Exception as other:  # ends this project alone, unless its log cannot be written
            if opened and opened[0].broken:
                raise
            error = other
        finally:
            await choice.backend.aclose()
        records = tuple(opened[0].records) if opened else ()
        return result_of(task, records, self._redacted(error) if error else "")

    async def _ends_project(self, task: BatchTask, fault: ChatDevError) -> bool:
        """Whether a server's fault ends a project. It does not while no server answers: then no project starts for a
        while, and finally the batch stops. Raises the fault."""
        if await self._shared_model.answers():
            self._outages = 0
            self._tries[task.id] = self._tries.get(task.id, 0) + 1
            return self._tries[task.id] >= TRIES
        if time.monotonic() >= self._pause_until:  # otherwise other projects have counted this outage
            self._outages += 1
            self._pause_until = time.monotonic() + min(REST * 2 ** (self._outages - 1), LONGEST)
        if self._outages >= OUTAGES:
            fault.do += "\nThe batch has stopped. When the server answers again, run the same command again."
            raise fault
        return False

    def _redacted(self, error: Exception) -> str:
        text = error.what if isinstance(error, ChatDevError) else f"{type(error).__name__}: {error}"
        return self._redactor.text(" ".join(text.split()))

    async def _open(self, task: BatchTask, folder: Path) -> Store:
        """The log of a project, opened in a thread; it is closed if this is cancelled meanwhile."""
        opening = asyncio.create_task(asyncio.to_thread(self._opened, task, folder))
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            await asyncio.wait([opening])
            if not opening.exception():
                opening.result().close()
            raise

    def _opened(self, task: BatchTask, folder: Path) -> Store:
        """The log of a project that was started before, or of a new folder."""
        log = runs.log_of(folder)
        if log.exists():
            store = self._open_store(log, aside=self._sync_thread)
            if store.records:
                return store
            store.close()
        plan = self._plan
        request = runs.RunRequest(
            task=task.row.task,
            name=task.name,
            org=plan.org,
            config=plan.config,
            model=self._model,
            **{**plan.of_each.as_fields(), "sample": task.row.sample or plan.sample},
        )
        return runs.begin_in(
            folder,
            self._redactor.value(request),
            self._company,
            self._source,
            task.started_at,
            open_store=lambda path: self._open_store(path, aside=self._sync_thread),
        )

    async def _watch_load(self) -> None:
        """Keep reporting to the pace what the servers and the answers show."""
        traffic = self._shared_model.traffic
        previous = traffic.calls, traffic.tokens, traffic.seconds, time.monotonic()
        while True:
            await asyncio.sleep(LOAD_POLL)
            loads = await self._shared_model.loads()
            calls, tokens, seconds, since = previous
            previous = traffic.calls, traffic.tokens, traffic.seconds, time.monotonic()
            self._concurrency.adjust(
                loads,
                running=len(self._running),
                calls=traffic.calls - calls,
                tokens=traffic.tokens - tokens,
                seconds=traffic.seconds - seconds,
                span=previous[3] - since,
            )
            self._wake.set()


def _unforeseen(error: BaseException) -> ChatDevError:
    if isinstance(error, OSError):
        return UserError(
            f"The operating system reported an error: {error.strerror or error}.",
            do="Free disk space and run the same command again.",
        )
    return JournalError(f"The batch stopped with an unexpected {type(error).__name__}: {error}.")


def result_of(task: BatchTask, records: Iterable[Record], error: str = "") -> Result:
    """A project's result by its log, and by the error that ended it, if any."""
    active = Active()
    calls = [0, 0, 0]
    seconds = cost = 0.0
    verdict = ""
    for record in records:
        seconds = active.add(record)
        if isinstance(event := record.event, ModelAnswered):
            calls = [calls[0] + 1, calls[1] + event.prompt_tokens, calls[2] + event.completion_tokens]
            cost += event.cost or 0.0
    if not error and (finished := runs.finished(tuple(records))):
        verdict = finished.verdict
    return Result(
        name=task.row.name,
        verdict=verdict,
        status="error" if error else "passed" if verdict in ("passed", STARTS) else "failed",
        seconds=round(seconds, 3),
        calls=calls[0],
        prompt_tokens=calls[1],
        completion_tokens=calls[2],
        cost=round(cost, 9),
        folder=f"projects/{task.folder}",
        error=error,
        category=task.row.category,
        id=task.id,
        go=task.go,
    )
