"""The page of a real vLLM 0.32, shortened (``vllm_metrics.txt``), and those of others as they are documented."""

import asyncio
from pathlib import Path

import pytest
from aiohttp import web
from helpers.fake_server import says, serving

from chatdev.models import metrics
from chatdev.models.backend import OpenAIModel, StubModel, VLLMModel
from chatdev.models.chat_model import ChatModel
from chatdev.models.metrics import Load, prefix_share
from chatdev.settings import Secret, Settings

VLLM = (Path(__file__).parent / "vllm_metrics.txt").read_text()
SGLANG = """\
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{model_name="m",tp_rank="0"} 162.0
sglang:num_running_reqs{model_name="m",tp_rank="1"} 162.0
sglang:num_queue_reqs{model_name="m",tp_rank="0"} 2826.0
sglang:token_usage{model_name="m",tp_rank="0"} 0.28
sglang:prompt_tokens_total{model_name="m"} 8.128902e+06
sglang:cached_tokens_total{model_name="m",cache_source="device"} 4e+06
sglang:cached_tokens_total{model_name="m",cache_source="host"} 1e+06
"""
TGI = "tgi_batch_current_size 4\ntgi_queue_size 12\ntgi_request_count 99\n"
LLAMACPP = """\
llamacpp:prompt_tokens_total 100
llamacpp:prompt_tokens_cached_total 300
llamacpp:requests_processing 1
llamacpp:requests_deferred 2
"""


def test_a_real_vllm_tells_its_queue_its_cache_and_its_hits() -> None:
    assert metrics.parse(VLLM) == Load(
        engine="vllm", running=0, waiting=0, kv_used=0.0, prefix_queries=939, prefix_hits=512, preemptions=0
    )


def test_several_engines_of_one_server_are_added_up_and_the_fullest_cache_counts() -> None:
    empty = 'kv_cache_usage_perc{engine="1",model_name="default"} 0.0'
    second = VLLM.replace('engine="0"', 'engine="1"').replace(empty, empty.replace("0.0", "0.84"))
    load = metrics.parse(VLLM + second)
    assert load is not None
    assert (load.prefix_queries, load.prefix_hits, load.kv_used) == (1878, 1024, 0.84)


def test_an_older_vllm_is_understood() -> None:
    older = VLLM.replace("vllm:kv_cache_usage", "vllm:gpu_cache_usage").replace("vllm:prefix", "vllm:gpu_prefix")
    assert metrics.parse(older) == metrics.parse(VLLM)


@pytest.mark.parametrize(
    ("text", "load"),
    [
        (
            SGLANG,
            Load(
                engine="sglang",
                running=162,
                waiting=2826,
                kv_used=0.28,
                prefix_queries=8_128_902,
                prefix_hits=5_000_000,
            ),
        ),
        (TGI, Load(engine="tgi", running=4, waiting=12)),
        (LLAMACPP, Load(engine="llama.cpp", running=1, waiting=2, prefix_queries=400, prefix_hits=300)),
        ("llamacpp:prompt_tokens_total 5\nllamacpp:requests_processing 1\n", Load(engine="llama.cpp", running=1)),
    ],
    ids=["sglang", "tgi", "llama.cpp", "an older llama.cpp"],
)
def test_other_engines(text: str, load: Load) -> None:
    assert metrics.parse(text) == load


def test_what_is_no_number_does_not_count() -> None:
    assert metrics.parse("vllm:num_requests_running NaN\nvllm:num_requests_waiting 3 1700000000\n") == Load(
        engine="vllm", waiting=3
    )
    assert metrics.parse("vllm:num_requests_running many\nvllm:kv_cache_usage_perc NaN\n") is None


@pytest.mark.parametrize("text", ["", "<!doctype html><title>Hi</title>", "litellm_requests_total 3\n", "{]\x00"])
def test_a_page_of_somebody_else_tells_nothing(text: str) -> None:
    assert metrics.parse(text) is None


def test_a_moment_in_one_line() -> None:
    assert (
        Load(engine="vllm", running=3, waiting=12, kv_used=0.837).text() == "3 running, 12 waiting, KV cache 84 % full"
    )
    assert Load(engine="tgi", waiting=1).text() == "1 waiting"


async def load_of(page: object) -> tuple[Load | None, list[str]]:
    """What a backend reads off a server with this page, and what that told debug."""
    seen: list[str] = []
    async with serving(pages={"/metrics": page}) as server:
        backend = VLLMModel(settings=Settings(vllm_endpoint=server.url, vllm_api_key=Secret("k-123456")))
        backend.debug = seen.append
        load = await backend.load()
        await backend.aclose()
    return load, seen


async def test_a_backend_reads_the_page_at_the_servers_root_and_does_not_fill_the_debug_log() -> None:
    load, seen = await load_of(says(VLLM.encode()))
    assert load is not None
    assert load.prefix_hits == 512
    assert seen == []


async def test_a_server_without_the_page_tells_nothing() -> None:
    assert await load_of(says({"error": "no"}, 404)) == (None, [])


async def test_a_page_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(metrics, "PATIENCE", 0.05)
    assert await load_of(hang) == (None, [])


async def test_a_dead_server_openai_and_other_backends_tell_nothing() -> None:
    dead = VLLMModel(settings=Settings(vllm_endpoint="http://127.0.0.1:9/v1"))
    openai = OpenAIModel(settings=Settings(openai_api_key=Secret("sk-1234")))
    backends: list[ChatModel] = [dead, openai, StubModel()]
    assert [await backend.load() for backend in backends] == [None, None, None]
    await dead.aclose()


def test_the_share_of_the_prefix_cache_is_of_what_was_looked_up_in_between() -> None:
    before = Load(engine="vllm", prefix_queries=100, prefix_hits=10)
    assert prefix_share(before, Load(engine="vllm", prefix_queries=300, prefix_hits=60)) == 0.25
    assert prefix_share(before, before) is None
    assert prefix_share(None, before) is None
    assert prefix_share(before, Load(engine="tgi")) is None
