"""What a real vLLM's prefix cache spares of a run's prompts, by its own counters, against playback's reckoning."""

from pathlib import Path
from typing import Any

import aiohttp
import gibberish
import pytest
import vllm_cpu

from chatdev import runs, wiring
from chatdev.journal.events import MessageStored, ModelAnswered
from chatdev.journal.store import read
from chatdev.models.choose import choose
from chatdev.playback import demo
from chatdev.playback.prefix import PrefixCache
from chatdev.playback.server import Playback
from chatdev.settings import load

pytestmark = pytest.mark.servers
BLOCK = 32


async def recorded(folder: Path) -> list[list[dict[str, str]]]:
    """The conversations of the recorded calculator by ``default``, in the order of their answers."""
    async with Playback(demo.recording_of("create a calculator")) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, folder))
        run = runs.begin(runs.RunRequest(task="create a calculator", name="Calculator", config="full"), folder)
        await wiring.work(run, choice)
        await choice.backend.aclose()
    texts: dict[str, dict[str, str]] = {}
    found = []
    for record in read(runs.log_of(run)):
        if isinstance(record.event, MessageStored):
            texts[record.event.id] = {"role": record.event.role, "content": record.event.content}
        elif isinstance(record.event, ModelAnswered):
            found.append([texts[each] for each in record.event.messages])
    return found


def counted(metrics: str, name: str) -> float:
    return sum(float(line.rsplit(" ", 1)[1]) for line in metrics.splitlines() if line.startswith(name))


async def test_vllm_spares_what_playback_reckons(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """At its block size, with its own tokens. One token is asked for, so that answers bring no blocks."""
    conversations = await recorded(tmp_path)
    model = gibberish.make(tmp_path_factory.mktemp("gibberish"))
    flags = ("--block-size", str(BLOCK))
    cache, reckoned, reported, prompts = PrefixCache(BLOCK, characters=1), 0, 0, 0
    with vllm_cpu.running(model, tmp_path_factory.mktemp("vllm"), *flags) as url:
        root = url.removesuffix("/v1")
        async with aiohttp.ClientSession() as session:

            async def asked(path: str, body: dict[str, Any]) -> Any:
                async with session.post(f"{root}{path}", json={"model": "default", **body}) as answer:
                    assert answer.status == 200, await answer.text()
                    return await answer.json()

            async def metrics() -> tuple[float, float]:
                async with session.get(f"{root}/metrics") as answer:
                    text = await answer.text()
                return counted(text, "vllm:prefix_cache_hits_total"), counted(text, "vllm:prefix_cache_queries_total")

            before = await metrics()
            for messages in conversations:
                tokens = (await asked("/tokenize", {"messages": messages}))["tokens"]
                reckoned += cache.spared("".join(map(chr, tokens)), "")
                prompts += len(tokens)
                usage = (await asked("/v1/chat/completions", {"messages": messages, "max_tokens": 1}))["usage"]
                reported += (usage["prompt_tokens_details"] or {}).get("cached_tokens") or 0
            hits, queries = (after - first for after, first in zip(await metrics(), before, strict=True))
    print(
        f"prefix cache: {len(conversations)} prompts of {prompts:,} tokens (vLLM: {queries:,.0f}); spared {hits:,.0f} "
        f"by vLLM's counters, {reported:,} by its usage, {reckoned:,} reckoned: {100 * hits / queries:.1f} %"
    )
    assert queries == prompts
    assert hits == reported == reckoned
