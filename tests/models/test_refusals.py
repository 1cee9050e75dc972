"""Servers refuse in many forms; each becomes one error, by who must act."""

import json

import pytest
from helpers.fake_server import hello, model, says, streams

from chatdev.models import errors, refusals
from chatdev.models.address import Address
from chatdev.models.types import Message, Options
from chatdev.settings import Secret

PLACE = Address(
    base_url="http://host/v1",
    key=Secret("sk-secret-1"),
    key_name="VLLM_API_KEY",
    how_to_reach="Set VLLM_ENDPOINT.",
    how_to_name="Set VLLM_MODEL_NAME.",
)


def read(body: object, status: int = 400) -> refusals.Refusal:
    return refusals.read(status, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "No way"}},
        {"error": "No way"},
        {"detail": "No way"},
        {"detail": [{"loc": ["body", "x"], "msg": "No way"}]},
        {"object": "error", "message": "No\n way"},
        [{"error": {"message": "No way"}}],
        b"No way",
        "No way",
    ],
)
def test_the_words_are_found_in_every_form(body: object) -> None:
    assert read(body).message == "No way"


def test_the_field_and_the_code_are_found() -> None:
    assert read({"error": {"message": "m", "param": "top_p", "code": 400}}).param == "top_p"
    assert read({"error": {"message": "m", "param": None, "code": "400"}}).code == "400"
    assert read({"detail": [{"loc": ["body", "top_p"], "msg": "m"}]}, 422).param == "top_p"
    assert read(b"").message == ""
    assert read({"error": {"message": "m" * 9999}}).message == "m" * refusals.LONGEST


@pytest.mark.parametrize(
    ("error", "window", "prompt"),
    [
        (
            {
                "message": "This model's maximum context length is 4096 tokens. However, you requested 5060 tokens "
                "(4036 in the messages, 1024 in the completion). Please reduce the length.",
            },
            4096,
            4036,
        ),
        (
            {
                "message": "This model's maximum context length is 2048 tokens. However, your request has 8 input "
                "tokens plus 2045 'max_tokens'.",
                "param": "input_tokens, max_tokens",
            },
            2048,
            8,
        ),
        (
            {
                "message": "This model's maximum context length is 4096 tokens. However, your prompt contains at least "
                "4097 input tokens.",
                "param": "input_tokens",
            },
            4096,
            None,
        ),
        (
            {
                "message": "request (15014 tokens) exceeds the available context size (1024 tokens), try increasing it",
                "type": "exceed_context_size_error",
                "n_prompt_tokens": 15014,
                "n_ctx": 1024,
            },
            1024,
            15014,
        ),
        ({"message": "max_tokens=9999 cannot be greater than max_model_len=4096.", "param": "max_tokens"}, 4096, None),
        ({"message": "`inputs` tokens + `max_new_tokens` must be <= 4096. Given: 904 `inputs` tokens"}, 4096, 904),
        ({"message": "The input (5000 tokens) is longer than the model's context length (4096 tokens)."}, 4096, 5000),
        ({"message": "Too long.", "code": "context_length_exceeded"}, None, None),
    ],
)
def test_an_overflow_is_known_by_its_words_and_its_numbers(
    error: dict[str, object], window: int | None, prompt: int | None
) -> None:
    refusal = read({"error": error})
    assert (refusal.overflow, refusal.window, refusal.prompt) == (True, window, prompt)


def test_other_refusals_are_no_overflow() -> None:
    assert not read({"error": {"message": "temperature must be in [0, 2]"}}).overflow
    assert not read({"error": {"message": "context length 4096"}}, 500).overflow


@pytest.mark.parametrize(
    ("status", "body", "kind", "words"),
    [
        (401, {"error": "Unauthorized"}, errors.KeyRefused, "rejected the API key: Unauthorized"),
        # LiteLLM's proxy without a database, to any key that is not its master key
        (400, {"error": {"message": "No connected db.", "code": "400"}}, errors.KeyRefused, "rejected the API key"),
        (401, b"<html>", errors.KeyRefused, "rejected the API key: a web page with HTTP status 401"),
        (403, {"error": "Forbidden"}, errors.KeyRefused, "rejected the API key"),
        (403, b"<html><title>Sorry</title>", errors.RequestRefused, r'firewall.*HTTP status 403 \("Sorry"\)'),
        (429, b"<html><h1>Slow  down</h1>", errors.Overloaded, r'a web page with HTTP status 429 \("Slow down"\)'),
        (413, b"<html><title>413</title>", errors.RequestTooLarge, "too large.*HTTP status 413"),
        (413, {"detail": "Body too large"}, errors.RequestTooLarge, "Body too large"),
        (405, b"<html>", errors.NotAModelServer, "a web page with HTTP status 405"),
        (503, b"\xef\xbb\xbf<html><title>Maintenance</title>", errors.Overloaded, "Maintenance"),
        (504, b"<html>", errors.ServerBroke, "a web page with HTTP status 504"),
        (404, {"error": {"message": "The model `m` does not exist.", "param": "model"}}, errors.ModelNotServed, "a, b"),
        (400, {"error": {"message": "Invalid model name passed in model=m"}}, errors.ModelNotServed, '"m"'),
        (404, b"<html>", errors.NotAModelServer, "a web page"),
        (404, {"detail": "Not Found"}, errors.NotAModelServer, "HTTP status 404"),
        (200, b"<html>", errors.NotAModelServer, "a web page"),
        (301, b"a redirect to https://host", errors.NotAModelServer, "a redirect to https://host"),
        (429, {"error": {"message": "slow down"}}, errors.Overloaded, "slow down"),
        (503, b"", errors.Overloaded, "HTTP status 503"),
        (429, {"error": {"message": "pay", "code": "insufficient_quota"}}, errors.RequestRefused, "pay"),
        (500, {"error": {"message": "oh"}}, errors.ServerBroke, "oh"),
        (502, b"<html>Bad Gateway", errors.ServerBroke, "502"),
        (400, {"error": {"message": "your key is sk-secret-1"}}, errors.RequestRefused, r"your key is \*\*\*"),
    ],
)
def test_each_refusal_is_the_error_of_those_who_must_act(
    status: int, body: object, kind: type[errors.ModelError], words: str
) -> None:
    error = refusals.error(read(body, status), PLACE, "m", ("a", "b"))
    assert type(error) is kind
    with pytest.raises(kind, match=words):
        raise error


def test_a_server_that_wants_a_key_is_distinguished_from_one_that_refuses_it() -> None:
    error = refusals.error(read({"error": "Unauthorized"}, 401), Address(base_url="http://host/v1", key_name="K"))
    assert str(error) == "The server at http://host/v1 needs an API key: Unauthorized.\nSet K."


def test_long_lists_of_models_are_cut() -> None:
    names = tuple(f"m{n}" for n in range(25))
    assert refusals.not_served(PLACE, "x", names).what.endswith("m19 and 5 more.")
    assert "The server lists no models" in refusals.not_served(PLACE, "x", ()).what


def test_retry_after_is_read_in_seconds() -> None:
    assert refusals.read(429, b"", "7").retry_after == 7
    assert refusals.read(429, b"", "1.5").retry_after == 1.5
    assert refusals.read(429, b"", "soon").retry_after is None


def test_retry_after_is_read_as_a_date() -> None:
    assert refusals.read(429, b"", "Wed, 21 Oct 2015 07:28:00 GMT").retry_after == 0
    later = refusals.read(429, b"", "Wed, 21 Oct 2065 07:28:00 GMT").retry_after
    assert later is not None and later > 1_000_000


async def test_a_web_page_of_a_proxy_that_limits_the_rate_is_waited_for_and_a_firewalls_is_not() -> None:
    busy = says(b"<html><title>429 Too Many Requests</title></html>", 429, Retry_After="0")
    async with model(busy, streams(hello())) as (backend, server):
        assert (await backend.complete([Message("user", "hi")], Options())).receipt.tries == 2
    async with model(says(b"<html><title>Blocked</title></html>", 403)) as (backend, server):
        with pytest.raises(errors.RequestRefused, match="firewall or proxy before the server") as error:
            await backend.complete([Message("user", "hi")], Options())
    assert len(server.asked) == 1 and "headers" in error.value.do


async def test_a_request_that_is_too_large_for_a_proxy_says_nothing_about_the_next_one() -> None:
    async with model(says(b"<html><title>413</title>", 413), streams(hello())) as (backend, _):
        with pytest.raises(errors.RequestTooLarge, match="HTTP status 413") as error:
            await backend.complete([Message("user", "hi")], Options())
        assert "client_max_body_size" in error.value.do
        assert (await backend.complete([Message("user", "hi")], Options())).text == "Hello"
