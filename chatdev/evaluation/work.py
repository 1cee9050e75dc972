"""Runs an evaluation: each arm's batch, then the judgement of its products."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, TextIO

import msgspec

from chatdev import wiring
from chatdev.evaluation import judging
from chatdev.evaluation.arms import ONCE, Arm, samples
from chatdev.evaluation.judging import HiddenResult
from chatdev.evaluation.place import EvalFolder
from chatdev.evaluation.sets import EvalTask, TaskSet
from chatdev.fleet import batch, summary, tasks
from chatdev.fleet.display import Display
from chatdev.fleet.ledger import BatchTask as Project
from chatdev.fleet.ledger import Ledger, Result
from chatdev.fleet.plan import BatchPlan
from chatdev.fleet.shared import cores_here
from chatdev.models.choose import Choice
from chatdev.sandbox.port import Sandbox

Unit = tuple[str, int]
"""A task's name, and the number of its run: a company's repeat, or a sample."""


class Built(msgspec.Struct, frozen=True):
    """One run of an arm: how its project ended, and the judgement of its product."""

    result: Result
    judged: HiddenResult


class EvalRequest(msgspec.Struct, frozen=True):
    """What to measure. ``ceiling`` is the number of one-shot answers of which any may solve a task;
    0: as many as the largest arm takes."""

    set: TaskSet
    arms: tuple[Arm, ...]
    repeat: int = 1
    ceiling: int = 0

    @property
    def batches(self) -> tuple[Arm, ...]:
        """An arm for each batch to run: one for all one-shot answers, and one for each company."""
        shots = (Arm(ONCE, best=1),) if self.shots else ()
        return (*shots, *(arm for arm in self.arms if not arm.best))

    @property
    def most(self) -> int:
        """How many one-shot answers the ceiling counts: as many as requested, or as the largest arm takes."""
        return self.ceiling or max((arm.best for arm in self.arms), default=0)

    @property
    def shots(self) -> int:
        """One-shot answers per task and repeat."""
        return max((self.ceiling, *(arm.best for arm in self.arms)))

    def units(self, arm: Arm) -> tuple[Unit, ...]:
        """The runs of a batch, repeat by repeat, so that even an interrupted evaluation is a comparison."""
        repeats = range(1, self.repeat + 1)
        if arm.best:
            numbers = dict.fromkeys(number for repeat in repeats for number in samples(repeat, self.shots))
        else:
            numbers = dict.fromkeys(repeats)
        return tuple((task.name, number) for number in numbers for task in self.set.tasks)


class EvalResources(NamedTuple):
    """What the work is done with. ``choice`` connects to the model, once for all arms; ``jobs`` is None for as many
    projects as the server can handle; ``out`` gets the progress, or nothing if ``quiet``; ``retry`` runs again what
    ended in an error. ``base`` is for every arm, unless the arm overrides it."""

    choice: Callable[[], contextlib.AbstractAsyncContextManager[Choice]]
    sandbox: Sandbox
    base: BatchPlan
    out: TextIO
    jobs: int | None = None
    streamed: bool = False
    quiet: bool = False
    retry: bool = False


class Evaluation:
    """One evaluation. ``built`` are the runs that ended and were judged, by the batch's folder."""

    def __init__(self, eval_folder: EvalFolder, request: EvalRequest, resources: EvalResources) -> None:
        self._eval_folder, self._request, self._resources = eval_folder, request, resources
        self._tasks: Mapping[str, EvalTask] = {task.name: task for task in request.set.tasks}
        self.built: dict[str, dict[Unit, Built]] = {}

    async def run(self, each: Callable[[], None] = lambda: None) -> None:
        """Run and judge arm by arm; ``each`` is called after every one. Raises what stops a batch, and SandboxError.

        The model is not contacted if all runs have ended.
        """
        async with contextlib.AsyncExitStack() as stack:
            choice: Choice | None = None
            for arm in self._request.batches:
                with contextlib.closing(Ledger(self._eval_folder.arm(arm.folder), self._plan(arm))) as ledger:
                    self._resources.out.writelines(f"{note}\n" for note in ledger.notes)
                    units = dict(zip(self._request.units(arm), self._added(ledger, arm), strict=True))
                    if self._resources.retry:
                        ledger.retry([name for name, result in ledger.results.items() if result.status == "error"])
                    if unfinished := ledger.unfinished(units.values()):
                        choice = choice or await self._connect(stack)
                        await self._run_unfinished(ledger, choice, list(units.values()), unfinished)
                    self.built[arm.folder] = await self._judged(arm, ledger, units)
                each()

    async def _connect(self, stack: contextlib.AsyncExitStack) -> Choice:
        choice = await stack.enter_async_context(self._resources.choice())
        self._eval_folder.begin(choice.facts.model)
        return choice

    def _plan(self, arm: Arm) -> BatchPlan:
        """The plan of the arm's batch: the arm's own options override those for all arms."""
        return msgspec.structs.replace(arm.plan.over(self._resources.base), model=self._resources.base.model)

    def _added(self, ledger: Ledger, arm: Arm) -> tuple[Project, ...]:
        """The projects of the batch, in the order of the units; it gets only the name and the description of a task."""
        rows = [
            tasks.TaskRow(name, self._tasks[name].description, sample=number)
            for name, number in self._request.units(arm)
        ]
        return ledger.add(tasks.identities(rows))

    async def _run_unfinished(
        self, ledger: Ledger, choice: Choice, projects: Sequence[Project], unfinished: Sequence[Project]
    ) -> None:
        resources = self._resources
        earlier = [ledger.results[task.id] for task in projects if task.id in ledger.results]
        async with batch.pooled(
            ledger.batch_folder, choice, resources.sandbox, resources.jobs, streamed=resources.streamed
        ) as pool:
            if not resources.quiet:
                resources.out.write(f"{ledger.folder.name}: {len(unfinished)} of {len(projects)} projects to run.\n")
            display = Display(resources.out, len(projects), earlier, lambda: pool.status, quiet=resources.quiet)
            try:
                await batch.run_projects(pool, ledger, unfinished, display.ended, display.tick)
            finally:
                display.close()
                summary.write(ledger.folder, ledger.results.values(), len(ledger.tasks))

    async def _judged(self, arm: Arm, ledger: Ledger, units: Mapping[Unit, Project]) -> dict[Unit, Built]:
        """Judge what is not judged yet, as many products in parallel as there are cores."""
        room = asyncio.Semaphore(cores_here())

        async def one(unit: Unit, project: Project) -> Built:
            result = ledger.results[project.id]
            folder = ledger.folder / result.folder
            async with room:
                files = wiring.product_of(folder) if folder.is_dir() else {}
                return Built(result, await self._judge(arm, unit, files))

        built = await _all([one(unit, project) for unit, project in units.items()])
        return dict(zip(units, built, strict=True))

    async def _judge(self, arm: Arm, unit: Unit, files: Mapping[str, bytes]) -> HiddenResult:
        name, number = unit
        task = self._tasks[name]
        judgement = self._eval_folder.judgement(judging.key(arm.name, task, number, files))
        if judgement is None:
            judgement = await judging.judge(self._resources.sandbox, arm.name, task, number, files, tested=arm.tests)
            self._eval_folder.put(judgement)
        return judgement


async def _all(each: Sequence[Coroutine[Any, Any, Built]]) -> list[Built]:
    """The results in order. The first failure cancels the others and is raised unchanged."""
    running = [asyncio.ensure_future(one) for one in each]
    try:
        return await asyncio.gather(*running)
    finally:
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
