"""OpenAI's models stand in a dated file."""

import datetime

import pytest

from chatdev.models import prices
from chatdev.models.address import of_openai, of_vllm
from chatdev.models.types import ModelType
from chatdev.receipt import Usage
from chatdev.settings import Settings

FILE = prices.load()


def test_a_call_costs_what_its_tokens_cost() -> None:
    million = 1_000_000
    assert FILE.cost("gpt-6-luna", Usage(million, million)) == pytest.approx(0.60)
    assert FILE.cost("gpt-6-luna", Usage(million, 0, cached_tokens=million)) == pytest.approx(0.01)
    assert FILE.cost("gpt-6-luna", Usage(10, 0, cached_tokens=99)) == pytest.approx(10 * 0.01 / million)


def test_what_is_not_in_the_file_costs_no_one_knows_what() -> None:
    assert FILE.cost("gpt-99", Usage(1, 1)) is None
    assert FILE.cost("gpt-4", Usage(1, 1)) is None


def test_a_retired_model_has_a_replacement() -> None:
    end = datetime.date(2027, 1, 14)
    assert FILE.retired("gpt-4o", end - datetime.timedelta(days=1)) is None
    assert FILE.retired("gpt-4o", end) == FILE.models["gpt-4o"]
    assert FILE.retired("gpt-99", end) is None
    assert all(model.replacement for model in FILE.models.values() if model.shutdown)


def test_the_default_and_every_old_name_stand_in_the_file() -> None:
    old = {kind.value for kind in ModelType} - {"vllm", "stub"}
    assert old | {FILE.default} <= FILE.models.keys()


@pytest.mark.parametrize(
    ("base_url", "free"),
    [
        (None, False),
        ("http://localhost:11434/v1", True),
        ("http://192.168.1.7:8000/v1", True),
        ("http://gpu:8000/v1", True),
        ("https://openrouter.ai/api/v1", False),
        ("http://8.8.8.8/v1", False),
    ],
)
def test_a_server_in_a_private_network_is_free(base_url: str | None, free: bool) -> None:
    assert of_openai(Settings(openai_base_url=base_url)).free is free
    assert of_vllm(Settings(vllm_endpoint="https://gpu.example.com/v1")).free
