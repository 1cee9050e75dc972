"""What a person reads with VLLM_DEBUG=1, of real exchanges."""

import pytest
from helpers.fake_server import Answer, delta, hello, refuses, says, serving, sse, streams, usage

from chatdev.models.address import Address
from chatdev.models.backend import VLLMModel
from chatdev.models.errors import CutShort
from chatdev.models.transport import Transport
from chatdev.models.types import Message, Options
from chatdev.settings import Secret, Settings

KEY, TOKEN, PASSWORD = "k-123456", "dG9rZW4tMTIz", 'p"w\\ord'
BODY = {"model": "default", "messages": [{"role": "user", "content": "hi"}], "stream": True}


async def seen_of(*answers: Answer, request_id: str = "Coding.1;1;f00d") -> tuple[list[str], str]:
    """What is told of one request, and the server's address."""
    seen: list[str] = []
    async with serving(*answers) as server:
        line = Transport(Address(base_url=server.url, key=Secret(KEY), headers={"X-Team": Secret("Basic " + TOKEN)}))
        line.debug = seen.append
        try:
            await line.post_chat(BODY, request_id=request_id)
        finally:
            await line.aclose()
    return seen, server.url


async def test_an_answer_tells_its_ids_its_times_its_tokens_and_every_word() -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 8}, "completion_tokens_details": {"reasoning_tokens": 1}}
    ending = usage(**details) | {"model": "default"}
    answer = sse(delta(reasoning="Let me see."), delta(content="Hello,\nyou"), delta("stop"), ending)
    (request_text, answer_text), url = await seen_of(streams(answer))
    head, where, *body = request_text.split("\n")
    assert head == f"> POST {url}/chat/completions"
    assert where.startswith("  request Coding.1;1;f00d; headers set: Content-Type, ")
    assert "Authorization" in where
    assert '"content":"hi"' in body[0]

    lines = answer_text.split("\n")
    assert lines[:2] == [f"< HTTP 200 from {url}/chat/completions", "  request Coding.1;1;f00d"]
    assert lines[2].startswith("  first token after 0.")
    assert " s, complete after 0." in lines[2]
    assert lines[3] == (
        "  answer chatcmpl-1 of default, finish reason stop, 9 prompt (8 of them cached) "
        "+ 2 completion tokens (1 of them reasoning)"
    )
    assert lines[4:] == ["--- reasoning", "Let me see.", "--- text", "Hello,", "you"]


async def test_a_server_that_counts_nothing_and_names_nothing_is_shown_as_that() -> None:
    (_, answer_text), _ = await seen_of(says({"choices": [{"message": {"content": "Hi"}}]}), request_id="")
    assert "  request without an id\n" in answer_text
    assert "answer without an id of a model without a name, finish reason stop, tokens not counted" in answer_text


async def test_a_refusal_tells_its_status_its_words_and_the_wait_that_it_asks_for() -> None:
    busy = says({"error": {"message": "slow down"}}, 429, Retry_After="7", X_Request_Id="req_9")
    (_, answer_text), url = await seen_of(busy)
    assert answer_text.startswith(f"< HTTP 429 from {url}/chat/completions\n")
    assert "request Coding.1;1;f00d; the server's X-Request-Id: req_9\n" in answer_text
    assert answer_text.endswith("  refused with 429, Retry-After 7 s\nslow down")


async def test_what_breaks_is_reported_too() -> None:
    seen: list[str] = []
    async with serving(streams(sse(delta(content="Hel"), done=False))) as server:
        line = Transport(Address(base_url=server.url))
        line.debug = seen.append
        with pytest.raises(CutShort):
            await line.post_chat(BODY, request_id="Coding.1;1;f00d")
        await line.aclose()
    assert seen[-1].startswith(f"! {server.url}/chat/completions failed after 0.")
    assert "  request Coding.1;1;f00d\nCutShort: " in seen[-1]


async def test_what_is_tried_again_is_reported_with_the_wait_and_the_reason() -> None:
    seen: list[str] = []
    async with serving(refuses("boom", 500), streams(hello())) as server:
        backend = VLLMModel(settings=Settings(vllm_endpoint=server.url), backoff=(0.01,))
        backend.debug = seen.append
        await backend.complete([Message("user", "hi")], Options(request_id="Coding.1"))
        await backend.aclose()
    (again,) = [text for text in seen if text.startswith("~")]
    assert again == f"~ Coding.1: retrying in 0.0 s: The server at {server.url} failed (HTTP status 500): boom."


async def test_no_secret_is_shown_however_it_is_quoted_back() -> None:
    quoted = f"key {KEY}, header Basic {TOKEN}, bare {TOKEN}"
    seen, _ = await seen_of(streams(sse(delta(content=quoted), delta("stop"), usage())))
    assert seen[1].endswith("\nkey ***, header ***, bare ***")
    assert KEY not in "".join(seen)


def test_a_proxys_password_is_masked_alone_in_its_address_and_in_json() -> None:
    address = Address(base_url="http://m/v1", key=Secret(PASSWORD), proxy=Secret("http://me:s%40cret@proxy:3128"))
    text = r'via http://me:s%40cret@proxy:3128, "s@cret", {"said": "p\"w\\ord"}, p"w\ord'
    assert address.masked(text) == 'via http://***@proxy:3128, "***", {"said": "***"}, ***'


def test_a_proxys_short_password_is_masked_in_its_address_and_words_are_left_alone() -> None:
    address = Address(base_url="http://m/v1", key=Secret("k"), proxy=Secret("http://m:p@proxy:3128"))
    assert address.masked("http://m:p@proxy:3128 knows the p of k") == "http:***proxy:3128 knows the p of k"
