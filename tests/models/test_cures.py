"""A refusal that names a number or two fields is cured by them, whatever its words."""

from pathlib import Path
from typing import Any

import pytest
from helpers.fake_server import hello, model, refuses, serving, streams

from chatdev.models import cures, errors, refusals, request
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.profile import Profile, Profiles
from chatdev.models.types import Message, Options
from chatdev.settings import Settings

HI = [Message("user", "hi")]
OK = streams(hello())


@pytest.mark.parametrize(
    ("field", "value", "message", "adaptation"),
    [
        (
            "max_tokens",
            4096,
            "max_tokens is too large: 4096. This model supports at most 2048 completion tokens.",
            "2048",
        ),
        ("max_tokens", 4096, "Invalid max_tokens value, the valid range of max_tokens is [1, 2048]", "2048"),
        ("max_tokens", 4096, "Range of max_tokens should be [1, 2048]", "2048"),
        ("max_tokens", 4096, "integer above maximum value, expected a value <= 2048, but got 4096 instead.", "2048"),
        ("max_tokens", 4096, "max_tokens must be less than or equal to 2,048", "2048"),
        ("max_tokens", 4096, "`max_new_tokens` must be <= 2048. Given: 4096", "2048"),
        ("max_tokens", 4096, "max_tokens cannot be greater than 2048", "2048"),
        ("max_tokens", 4096, "max_tokens must not exceed 2048, got 4096", "2048"),
        ("max_tokens", 4096, "4096 exceeds the maximum output limit of 2048 tokens", "2048"),
        ("max_tokens", 4096, "The maximum value of max_tokens is 2048", "2048"),
        ("max_tokens", 4096, "max_tokens must be between 1 and 2048", "2048"),
        ("max_tokens", 4096, "max_tokens should be less than 2049", "2048"),
    ],
)
def test_the_number_in_a_refusal_is_the_limit(field: str, value: float, message: str, adaptation: str) -> None:
    assert cures.for_value(field, value, message) == f"max_tokens at most {adaptation}"


@pytest.mark.parametrize(
    ("value", "message", "adaptation"),
    [
        (0.2, "temperature: only 1 is allowed", "temperature set to 1"),
        (0.2, "'temperature' does not support 0.2. Only the default (1) value is supported.", "temperature set to 1"),
        (0.2, "temperature must be 1.0", "temperature set to 1"),
        (0.2, "Input should be greater than or equal to 0.5", "temperature at least 0.5"),
        (0.2, "temperature must be >= 0.5", "temperature at least 0.5"),
        (0.2, "temperature may not be less than 0.5", "temperature at least 0.5"),
        (0.2, "temperature must be in the range [0.5, 2]", "temperature at least 0.5"),
        (0.0, "temperature must be strictly positive", "temperature at least 0.01"),
        (0.0, "temperature must be > 0", "temperature at least 0.01"),
        (0.0, "temperature must be in (0, 1]", "temperature at least 0.01"),
        (1.0, "top_p must be > 0.0 and < 1.0", "temperature at most 0.99"),
        (2.0, "0 <= temperature <= 1", "temperature at most 1"),
        (0.2, "temperature must be between 0 and 2", None),
        (0.2, "temperature is not supported", None),
        (0.2, "temperature must be a number", None),
        (True, "must be at least 3", None),
        ("x", "must be at least 3", None),
    ],
)
def test_bounds_of_every_kind_are_read(value: object, message: str, adaptation: str | None) -> None:
    assert cures.for_value("temperature", value, message) == adaptation


def sent(**more: Any) -> dict[str, Any]:
    return request.body("m", HI, Options(seed=1, extra=more), 4096, frozenset())


@pytest.mark.parametrize(
    ("message", "param", "change"),
    [
        ("temperature and top_p cannot both be set", "", "without top_p"),
        ("`top_k` and `top_p` are mutually exclusive", "", "without top_k"),
        ("This model supports at most 2048 completion tokens", "", "max_tokens at most 2048"),
        ("Input should be greater than or equal to 0.5", "temperature", "temperature at least 0.5"),
        ("Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", "", request.COMPLETION_TOKENS),
        ("messages must have at most 3 entries", "messages", None),
        ("seed must be at most 0", "", "seed at most 0"),
    ],
)
def test_the_field_is_read_out_of_the_refusal_too(message: str, param: str, change: str | None) -> None:
    refusal = refusals.Refusal(400, message, param=param)
    assert request.adaptation(refusal, sent(top_k=3), HI, frozenset()) == change


def test_a_cure_that_did_not_help_is_not_repeated() -> None:
    refusal = refusals.Refusal(400, "temperature must be at least 0.5")
    made: frozenset[str] = frozenset()
    changes = []
    while change := request.adaptation(refusal, request.body("m", HI, Options(), 9, made - {*made}), HI, made):
        changes.append(change)
        made |= {change}
    assert changes == ["temperature at least 0.5", "without temperature"]
    smaller = [refusals.Refusal(400, f"max_tokens must be at most {number}") for number in range(4000, 3900, -1)]
    made = frozenset()
    for refusal in smaller:
        change = request.adaptation(refusal, request.body("m", HI, Options(), 4096, made), HI, made)
        made |= {change} if change else frozenset()
    assert len(made) == 3


def test_cures_are_applied_to_the_request_and_never_touch_the_messages() -> None:
    made = {"max_tokens at most 2048", "temperature at least 0.5", "top_p set to 0.9", "seed at most 0"}
    changed = request.body("m", HI, Options(seed=7), 4096, frozenset(made))
    assert [changed[name] for name in ("max_tokens", "temperature", "top_p", "seed")] == [2048, 0.5, 0.9, 0]
    renamed = request.body("m", HI, Options(), 4096, frozenset({*made, request.COMPLETION_TOKENS}))
    assert (renamed["max_completion_tokens"], request.limit_in(renamed, 9)) == (2048, 2048)
    smaller = request.body("m", HI, Options(temperature=0.9), 100, frozenset(made))
    assert (smaller["max_tokens"], smaller["temperature"]) == (100, 0.9)
    refused = frozenset({"without messages", "without model", "messages at most 0"})
    kept = request.body("m", HI, Options(extra={"messages": [], "model": ""}), 9, refused)
    assert (kept["model"], kept["messages"]) == ("m", HI)


async def test_a_call_is_made_once_more_with_the_cure_and_so_are_all_later_ones() -> None:
    async with model(
        refuses("max_tokens is too large: 4096. This model supports at most 2048 completion tokens."),
        refuses("Input should be greater than or equal to 0.5", param="temperature"),
        OK,
    ) as (backend, server):
        first = await backend.complete(HI, Options())
        second = await backend.complete(HI, Options())
    assert [(asked["max_tokens"], asked["temperature"]) for asked in server.asked] == [
        (4096, 0.2), (2048, 0.2), (2048, 0.5), (2048, 0.5),
    ]  # fmt: skip
    assert all(asked["messages"] == [{"role": "user", "content": "hi"}] for asked in server.asked)
    assert (first.receipt.tries, first.receipt.max_tokens, second.receipt.tries) == (3, 2048, 1)
    assert second.receipt.adapted == ("max_tokens at most 2048", "temperature at least 0.5")


async def test_a_cure_is_remembered_in_the_profile_by_the_next_process(tmp_path: Path) -> None:
    async with serving(refuses("temperature: only 1 is allowed"), OK) as server:
        settings = Settings(vllm_endpoint=server.url, cache=tmp_path)
        Profiles(tmp_path).put(Profile(server.url, "default"))
        for _ in range(2):
            endpoint = EndpointModel.of_vllm(settings)
            await endpoint.complete(HI, Options())
            await endpoint.aclose()
    assert [asked["temperature"] for asked in server.asked] == [0.2, 1.0, 1.0]


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (500, "CUDA out of memory. Tried to allocate 2.00 GiB"),
        (500, "model requires more system memory (5.6 GiB) than is available (3.1 GiB)"),
        (503, "llama_kv_cache: failed to find a memory slot for batch of size 512"),
        (400, "Model loading was stopped due to insufficient system resources."),
    ],
)
async def test_a_refusal_for_too_little_memory_names_the_window_and_the_slots(status: int, message: str) -> None:
    async with model(refuses(message, status)) as (backend, _):
        with pytest.raises(errors.ModelError) as error:
            await backend.complete(HI, Options())
    assert "--max-model-len" in error.value.do and "--max-num-seqs" in error.value.do
    assert "OLLAMA_NUM_PARALLEL" in error.value.do and "-np" in error.value.do
