"""Whom a bench asks, and what that may cost."""

from pathlib import Path

import msgspec
import pytest
from benching import RECORDING, USAGE, WORKLOAD, named, settings

from chatdev import __version__
from chatdev.errors import SettingsError
from chatdev.models.endpoint import Facts
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.profile import Profile, Profiles
from chatdev.ops.bench import contenders
from chatdev.ops.bench.contenders import MeasurableContender, contender
from chatdev.playback.server import Playback
from chatdev.settings import Secret


@pytest.mark.parametrize(
    ("text", "base_url", "model"),
    [
        ("localhost:8001", "http://localhost:8001/v1", "default"),
        ("http://gpu:8000/v1/=Qwen/Qwen2.5", "http://gpu:8000/v1", "Qwen/Qwen2.5"),
        ("localhost:8000", "http://localhost:8000/v1", "mine"),
        ("openai:gpt-6-luna", "https://api.openai.com/v1", "gpt-6-luna"),
        ("api.openai.com=gpt-4o", "https://api.openai.com/v1", "gpt-4o"),
    ],
)
def test_an_endpoint_may_be_named_in_any_of_its_ways(text: str, base_url: str, model: str) -> None:
    found = contender(text, settings(VLLM_MODEL_NAME="mine", OPENAI_API_KEY="sk-1"))
    assert found.backend.address.base_url == base_url
    assert found.backend.wanted == model


async def test_where_no_one_is_named_the_servers_of_this_machine_are_measured() -> None:
    async with Playback(RECORDING) as url:
        port = int(url.removesuffix("/v1").rpartition(":")[2])
        assert await contenders.unnamed(settings(), (9, port)) == (f"http://localhost:{port}/v1",)
        assert await contenders.unnamed(settings(VLLM_ENDPOINT="gpu:1"), (port,)) == ("http://gpu:1/v1",)
    assert await contenders.unnamed(settings(), (9,)) == ("http://localhost:8000/v1",)


def test_a_key_goes_where_it_was_set_for() -> None:
    mine = settings(VLLM_ENDPOINT="gpu:8000", VLLM_API_KEY="secret")
    assert contender("gpu:8000", mine).backend.address.key == Secret("secret")
    assert contender("https://api.somebody.ai", mine).backend.address.key is None


async def test_what_doctor_found_out_limits_nothing(tmp_path: Path) -> None:
    async with Playback(RECORDING) as url:
        profile = Profile(url, "tiny", in_flight=1, skill=0.5, version=f"{__version__}+playback")
        Profiles(tmp_path).put(profile)
        with_profile = msgspec.structs.replace(settings(VLLM_ENDPOINT=url), cache=tmp_path)
        skills = []
        for model in (EndpointModel.of_vllm(with_profile), contender(url, with_profile).backend):
            skills.append((await model.facts()).skill)
            await model.aclose()
        assert skills == [0.5, None]


def test_what_is_no_address_is_reported() -> None:
    with pytest.raises(SettingsError, match="not the address of a model server"):
        contender("ftp://somewhere", settings())


@pytest.mark.parametrize(
    ("text", "paid"),
    [
        ("localhost:8001", False),
        ("192.168.0.7:8000", False),
        ("https://api.somebody.ai/v1", True),
        ("https://gpu.mine.org/v1", False),
        ("openai:gpt-6-luna", True),
        ("https://api.openai.com/v1", True),
    ],
)
def test_only_a_server_of_the_users_own_takes_no_money(text: str, paid: bool) -> None:
    assert contender(text, settings(VLLM_ENDPOINT="https://gpu.mine.org/v1", OPENAI_API_KEY="sk-1")).paid is paid


def test_a_private_openai_base_url_takes_no_money() -> None:
    assert not contender("openai:x", settings(OPENAI_BASE_URL="http://localhost:4000/v1")).paid


def met(text: str, model: str) -> MeasurableContender:
    found = named(text, OPENAI_API_KEY="sk-1")
    return MeasurableContender(found, Facts(found.backend.address.base_url, model))


def test_prices_are_those_of_the_price_file() -> None:
    assert contenders.price(met("openai:gpt-6-luna", "gpt-6-luna"), USAGE) == pytest.approx(0.10 + 0.05)
    assert contenders.price(met("openai:other", "other"), USAGE) is None
    assert contenders.price(met("https://api.somebody.ai", "gpt-6-luna"), USAGE) is None
    assert contenders.price(met("localhost:8001", "tiny"), USAGE) == 0


def test_an_estimate_names_money_calls_and_tokens() -> None:
    line = contenders.estimate(met("openai:gpt-6-luna", "gpt-6-luna"), WORKLOAD, 41)
    assert line.startswith("gpt-6-luna at api.openai.com: at most about 0.00 US dollars, for 41 projects of 2 calls")
    assert "656 completion tokens" in line
    assert "its price is not known" in contenders.estimate(met("openai:other", "other"), WORKLOAD, 1)


async def test_a_dead_endpoint_is_met_with_its_reason() -> None:
    found = await contenders.query_facts(named("127.0.0.1:9"))
    assert found.facts is None
    assert found.name == "127.0.0.1:9"
    assert "connection refused" in found.why
    assert "VLLM_ENDPOINT" in found.why
