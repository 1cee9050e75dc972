"""How many projects a batch finds that a real vLLM bears, by the queue and the cache that the server tells of."""

import asyncio
import contextlib
from itertools import pairwise
from pathlib import Path

import gibberish
import plain
import pytest
import vllm_cpu

from chatdev.fleet import batch
from chatdev.fleet.ledger import Ledger, Plan
from chatdev.fleet.pace import FIRST
from chatdev.sandbox import ladder

pytestmark = pytest.mark.servers
LONG = "model = {{ max_tokens = {}, extra = {{ ignore_eos = true }} }}"
"""The options of every call. Without them a random model ends after one token or never."""


@pytest.mark.parametrize(("seats", "projects", "tokens"), [(2, 24, 400), (32, 100, 96)])
async def test_a_batch_finds_what_vllm_bears(tmp_path: Path, seats: int, projects: int, tokens: int) -> None:
    """With two seats the queue says that so many projects are too many; with 32 there is room for more than eight.

    Answers come whole, so that none is left before its last token; with two seats they are long, since between short
    ones a fast machine's queue is empty most of the time.
    """
    model = gibberish.make(tmp_path)
    company = plain.company(tmp_path / "company")
    for phase in (company / "phases").iterdir():
        phase.write_text(phase.read_text().replace("sets =", f"{LONG.format(tokens)}\nsets =", 1))
    limits: list[int] = []
    waiting: list[int] = []
    with vllm_cpu.running(model, tmp_path, "--max-num-seqs", str(seats)) as url:
        async with plain.met(url, tmp_path) as choice:
            with contextlib.closing(Ledger(tmp_path / "batch", Plan(config=str(company)))) as ledger:
                left = ledger.left(ledger.add(plain.rows(projects)))
                async with batch.pooled(ledger.place, choice, ladder.at(ladder.UNSAFE), None, streamed=False) as pool:

                    async def watch() -> None:
                        while True:
                            limits.append(pool.standing.limit)
                            load = await choice.backend.load()
                            waiting.append((load and load.waiting) or 0)
                            await asyncio.sleep(0.5)

                    watching = asyncio.create_task(watch())
                    try:
                        await batch.carry(pool, ledger, left, lambda result: None, lambda: None)
                    finally:
                        watching.cancel()
            assert len(ledger.results) == projects
    print(f"{seats} seats: limits {limits}, waiting {waiting}")
    assert limits[0] == FIRST
    if seats < FIRST:
        fewer = any(later < earlier for earlier, later in pairwise(limits))
        assert fewer or max(limits) <= 2 * FIRST  # a queue that is empty at two looks by chance lets it double once
    else:
        assert max(limits) > FIRST
