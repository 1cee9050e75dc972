"""How many projects a batch runs at once on a real vLLM, by the queue and the KV cache that the server reports."""

import asyncio
import contextlib
from pathlib import Path

import gibberish
import pytest
import vllm_cpu
from helpers import plain

from chatdev.fleet import batch
from chatdev.fleet.concurrency import FIRST, AdaptiveConcurrency
from chatdev.fleet.ledger import Ledger
from chatdev.fleet.plan import BatchPlan
from chatdev.models.choose import Choice
from chatdev.models.metrics import Load
from chatdev.models.types import Message, Options
from chatdev.sandbox import levels

pytestmark = pytest.mark.servers
LAYERS = 32
"""A token takes some 30 ms, most of it computing. With 2 layers vLLM's processes mostly wait for each other in busy
loops, and on two cores its /metrics answers only after the requests have ended."""
MODEL = "model = { max_tokens = 96, extra = { ignore_eos = true } }"
"""The options of every call. Without them a random model ends after one token or never."""


async def queued(choice: Choice, requests: int) -> Load:
    """What vLLM reports while it has fewer sequences than ``requests`` long requests; they are cancelled then."""
    options = Options(max_tokens=4000, stream=False, extra={"ignore_eos": True})
    question = [Message("user", "What is a queue?")]
    calls = [asyncio.create_task(choice.backend.complete(question, options)) for _ in range(requests)]
    try:
        seen: list[Load | None] = []
        while not any(call.done() for call in calls):
            seen.append(await choice.backend.load())
            if (load := seen[-1]) and (load.running or 0) + (load.waiting or 0) == requests:
                return load
            await asyncio.sleep(0.05)
        ended = [call.exception() or call.result().finish_reason for call in calls if call.done()]
        raise AssertionError(f"{ended} came before all {requests} requests were counted: {seen[-5:]}")
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


async def test_a_queue_at_vllm_lowers_the_number_of_projects(tmp_path: Path) -> None:
    with vllm_cpu.running(gibberish.make(tmp_path, LAYERS), tmp_path, "--max-num-seqs", "2") as url:
        async with plain.met(url, tmp_path) as choice:
            load = await queued(choice, FIRST)
    assert (load.running, load.waiting) == (2, FIRST - 2)
    pace = AdaptiveConcurrency()
    pace.adjust([load], running=FIRST, calls=0, tokens=0, seconds=0, span=1)
    assert pace.limit < FIRST


async def test_a_batch_runs_more_projects_while_vllm_has_room(tmp_path: Path) -> None:
    """Answers come whole, so that none is left before its last token."""
    company = plain.company(tmp_path / "company")
    for phase in (company / "phases").iterdir():
        phase.write_text(phase.read_text().replace("sets =", f"{MODEL}\nsets =", 1))
    limits: list[int] = []
    with vllm_cpu.running(gibberish.make(tmp_path, LAYERS), tmp_path, "--max-num-seqs", "32") as url:
        async with plain.met(url, tmp_path) as choice:
            with contextlib.closing(Ledger(tmp_path / "batch", BatchPlan(config=str(company)))) as ledger:
                left = ledger.unfinished(ledger.add(plain.rows(100)))
                async with batch.pooled(
                    ledger.batch_folder, choice, levels.at(levels.UNSAFE), None, streamed=False
                ) as pool:

                    async def watch() -> None:
                        while True:
                            limits.append(pool.status.limit)
                            await asyncio.sleep(0.5)

                    watching = asyncio.create_task(watch())
                    try:
                        await batch.run_projects(pool, ledger, left, lambda result: None, lambda: None)
                    finally:
                        watching.cancel()
            assert len(ledger.results) == 100
    assert limits[0] == FIRST
    assert max(limits) > FIRST, limits
