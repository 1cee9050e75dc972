"""Sends the workload's requests to an endpoint, with N projects in flight, and records the result of each call."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Callable, Iterator
from typing import Literal

import msgspec

from chatdev.models import metrics
from chatdev.models.errors import ModelError, ServerFault, Unreachable
from chatdev.models.types import Completion, Options, Progress
from chatdev.ops.bench.contenders import Contender
from chatdev.ops.bench.workload import RecordedCall, Workload

LEVELS = (1, 8, 32)
SECONDS = 60.0

SETTLING = 1.0
"""Seconds to wait after a level whose last calls were cut off: a server frees their slots within half a second."""


class BenchPlan(msgspec.Struct, frozen=True):
    """How an endpoint is measured: at each of ``levels``, a number of projects in flight, for at most ``seconds``.

    ``projects`` is how many run one after the other in each parallel slot, None for as many as the time allows.
    """

    levels: tuple[int, ...] = LEVELS
    seconds: float = SECONDS
    projects: int | None = None

    @property
    def most(self) -> int:
        """The total number of projects at all levels, if ``projects`` limits it."""
        return (self.projects or 1) * sum(self.levels)


class Sample(msgspec.Struct, frozen=True):
    """One call. ``cut``: it was in flight when the time ran out, and ``tokens`` is the number of chunks that arrived.

    ``limit`` is the size of the recorded answer in tokens, ``gap`` the average seconds from one token to the next,
    ``first_token`` the seconds to the first one. ``cost`` is in US dollars. The last field lists what was adapted,
    or why the call failed.
    """

    outcome: Literal["answered", "failed", "cut"]
    limit: int
    tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int | None = None
    estimated: bool = False
    tries: int = 1
    first_token: float | None = None
    gap: float | None = None
    cost: float | None = None
    messages: tuple[str, ...] = ()


class Level(msgspec.Struct, frozen=True):
    """All calls at one number of projects in flight. ``seconds`` is the elapsed time, ``busy`` the share of one core
    that this process itself used, ``finished`` the number of finished projects, ``counted`` the prefix-cache share by
    the server's own counters."""

    in_flight: int
    seconds: float
    busy: float
    finished: int
    samples: tuple[Sample, ...]
    counted: float | None = None


class AnswerTiming:
    """Follows one answer as it arrives."""

    def __init__(self) -> None:
        self.pieces = 0
        self._last = 0.0

    def __call__(self, progress: Progress) -> None:
        if progress.kind == "waiting":  # also when the call is retried and starts over
            self.pieces = 0
        else:
            self.pieces, self._last = progress.tokens, progress.seconds

    def gap(self, completion: Completion) -> float | None:
        """Seconds between two tokens: from the first chunk to the last, divided by the tokens in between. A chunk may
        hold several tokens, so the time between two chunks would be a different figure."""
        first, tokens = completion.receipt.first_token, completion.usage.completion_tokens
        if first is None or tokens < 2 or self._last <= first:
            return None
        return (self._last - first) / (tokens - 1)


class Bench:
    """Measures one endpoint. No two projects have the same mark, in this benchmark or in an earlier one."""

    def __init__(self, contender: Contender, workload: Workload, plan: BenchPlan, tell: Callable[[str], None]) -> None:
        self._contender = contender
        self._workload = workload
        self._plan = plan
        self._tell = tell
        self._marks = _marks()
        self._samples: list[Sample] = []
        self._finished = 0

    async def run(self) -> tuple[Level, ...]:
        """Run one level after the other, after a short first call that is not counted: it opens the connection and lets
        the server load what it loads on first use. Failed calls raise nothing."""
        warming = min(self._workload.project(next(self._marks)), key=lambda call: call.tokens)
        try:
            async with asyncio.timeout(self._plan.seconds):
                await self._ask(warming)
        except TimeoutError:
            pass
        return tuple([await self._level(in_flight) for in_flight in self._plan.levels])

    async def _level(self, in_flight: int) -> Level:
        self._tell(f"{in_flight} in flight, at most {self._plan.seconds:g} s")
        self._samples, self._finished = [], 0
        before = await self._load()
        began, spent = time.perf_counter(), time.process_time()
        try:
            async with asyncio.timeout(self._plan.seconds), asyncio.TaskGroup() as places:
                for _ in range(in_flight):
                    places.create_task(self._place())
        except TimeoutError:
            pass
        seconds, busy = time.perf_counter() - began, time.process_time() - spent
        after = await self._load()
        if any(sample.outcome == "cut" for sample in self._samples):
            await asyncio.sleep(SETTLING)
        counted = metrics.prefix_share(before, after)
        return Level(in_flight, seconds, busy / seconds, self._finished, tuple(self._samples), counted)

    async def _load(self) -> metrics.Load | None:
        return None if self._contender.paid else await self._contender.backend.load()

    async def _place(self) -> None:
        """Run one project after the other. If a whole project got no answer, stop: a server that rejects everything
        would get thousands of requests."""
        for _ in itertools.repeat(None) if self._plan.projects is None else range(self._plan.projects):
            outcomes = [await self._ask(call) for call in self._workload.project(next(self._marks))]
            self._finished += 1
            if "answered" not in outcomes:
                return

    async def _ask(self, call: RecordedCall) -> str:
        """Make a call and record its sample; returns its outcome. Raises only CancelledError."""
        pace = AnswerTiming()
        options = Options(max_tokens=call.tokens, request_id=call.place)
        try:
            completion = await self._contender.backend.complete(call.messages, options, pace)
        except ModelError as error:
            tries = self._contender.tries if isinstance(error, ServerFault | Unreachable) else 1
            self._samples.append(Sample("failed", call.tokens, tries=tries, messages=(error.what,)))
            return "failed"
        except asyncio.CancelledError:
            self._samples.append(Sample("cut", call.tokens, tokens=min(pace.pieces, call.tokens)))
            raise
        self._samples.append(self._sample(call, completion, pace))
        return "answered"

    def _sample(self, call: RecordedCall, completion: Completion, pace: AnswerTiming) -> Sample:
        usage, receipt = completion.usage, completion.receipt
        return Sample(
            "answered",
            call.tokens,
            tokens=usage.completion_tokens,
            prompt_tokens=usage.prompt_tokens,
            cached_tokens=usage.cached_tokens,
            estimated=usage.estimated,
            tries=receipt.tries,
            first_token=receipt.first_token,
            gap=pace.gap(completion),
            cost=None if self._contender.paid and not receipt.cost else receipt.cost,
            messages=receipt.adapted,
        )


def _marks() -> Iterator[str]:
    ours = secrets.token_hex(3)
    return (f"{ours}-{number}" for number in itertools.count(1))
