import asyncio
import re
from typing import Any

import aiohttp
import msgspec
import pytest
from playing import PING, PLACE, RECORDING, TEXT, Client, playing

from chatdev.errors import UserError
from chatdev.playback.faults import FaultSpec, merge, parse
from chatdev.playback.recording import Entry, Recording

USER, ASSISTANT = {"role": "user", "content": "ping"}, {"role": "assistant", "content": "ping"}
SYSTEM = {"role": "system", "content": "ping"}


@pytest.mark.parametrize(
    ("body", "status", "kind", "param", "words"),
    [
        ({"model": "nope"}, 404, "NotFoundError", "model", "The model `nope` does not exist. Valid aliases: tiny."),
        (
            {"max_tokens": 101},
            400,
            "BadRequestError",
            "max_tokens",
            "max_tokens=101 cannot be greater than max_model_len=max_total_tokens=100.",
        ),
        ({"max_completion_tokens": 101}, 400, "BadRequestError", "max_completion_tokens", "max_completion_tokens=101 "),
        ({"max_tokens": 0}, 400, "BadRequestError", "max_tokens", "max_tokens must be at least 1, got 0."),
        (
            {"messages": [{"role": "user", "content": "x" * 500}]},
            400,
            "BadRequestError",
            "input_tokens",
            "maximum context length is 100 tokens. However, you requested 0 output tokens and your prompt contains at "
            "least 101 input tokens",
        ),
        ({"messages": [{"role": "user", "content": "x" * 384}]}, 400, "BadRequestError", "max_tokens", "at least 1"),
        ({"temperature": -1}, 400, "BadRequestError", "temperature", "temperature must be non-negative, got -1.0."),
        ({"temperature": 2.5}, 400, "BadRequestError", "temperature", "temperature must be in [0, 2], got 2.5."),
        ({"top_p": 0}, 400, "BadRequestError", "top_p", "top_p must be in (0, 1], got 0.0."),
        ({"stream": None, "stream_options": {}}, 200, "", None, ""),
        ({"messages": "ping"}, 400, "Bad Request", None, "Expected `array`, got `str` - at `$.messages`"),
    ],
)
async def test_refusals_are_worded_as_vllm_words_them(
    body: dict[str, Any], status: int, kind: str, param: str | None, words: str
) -> None:
    async with playing() as client:
        reply = await client.chat(**body)
    assert reply.status == status
    if status != 200:
        assert (reply.error["type"], reply.error["param"], reply.error["code"]) == (kind, param, status)
        assert words in reply.error["message"]


async def test_stream_options_without_a_stream_are_refused() -> None:
    body = b'{"messages":[{"role":"user","content":"ping"}],"stream_options":{"include_usage":true}}'
    async with playing() as client:
        reply = await client.send("POST", f"{client.base}/chat/completions", data=body)
    assert (reply.status, reply.error["param"]) == (400, "stream_options")


async def test_a_missing_model_and_unknown_fields_are_accepted() -> None:
    async with playing() as client:
        reply = await client.chat(model=None, guided_json={}, temperature=2, top_p=1)
    assert "".join(reply.deltas()) == "pong"


async def test_a_body_that_is_not_json_is_refused() -> None:
    async with playing() as client:
        reply = await client.send("POST", f"{client.base}/chat/completions", data=b"{")
    assert (reply.status, reply.error["type"]) == (400, "Bad Request")


async def test_the_key_is_asked_for_under_v1_only() -> None:
    async with playing(manners=[FaultSpec(api_key="secret")]) as client:
        refused = await client.chat()
        statuses = [(await client.get(path)).status for path in ("/v1/models", "/health", "/version")]
        request = client.request()
        request["headers"] = {"Authorization": "Bearer secret"}
        given = await client.send("POST", f"{client.base}/chat/completions", **request)
    assert (refused.status, refused.json) == (401, {"error": "Unauthorized"})
    assert statuses == [401, 200, 200]
    assert given.status == 200


async def test_refused_fields_are_named() -> None:
    async with playing(manners=[FaultSpec(refuse_fields=("stream_options", "seed"))]) as client:
        refused = await client.chat()
        accepted = await client.chat(stream=False)
    assert refused.status == 400
    assert "{'type': 'extra_forbidden', 'loc': ('body', 'stream_options')" in refused.error["message"]
    assert "seed" not in refused.error["message"]
    assert accepted.status == 200


@pytest.mark.parametrize(
    ("manner", "messages", "words"),
    [
        (FaultSpec(refuse_system=True), [SYSTEM, USER], "System role not supported System role not supported"),
        (FaultSpec(refuse_system=True), [USER, ASSISTANT, USER], ""),
        (FaultSpec(alternate_roles=True), [USER, USER], "Conversation roles must alternate user/assistant/user"),
        (FaultSpec(alternate_roles=True), [ASSISTANT, USER], "Conversation roles must alternate user/assistant/user"),
        (FaultSpec(alternate_roles=True), [SYSTEM, USER, ASSISTANT, USER], ""),
        (
            FaultSpec(alternate_roles=True),
            [SYSTEM, SYSTEM, USER],
            "Conversation roles must alternate user/assistant/user",
        ),
    ],
)
async def test_strict_templates_refuse_in_their_own_words(
    manner: FaultSpec, messages: list[dict[str, str]], words: str
) -> None:
    async with playing(manners=[manner]) as client:
        reply = await client.chat(messages=messages)
    if words:
        assert (reply.status, reply.error["type"]) == (400, "BadRequestError")
        assert words in reply.error["message"]
    else:
        assert reply.status == 200


async def test_a_cut_stream_ends_cleanly_without_a_finish_reason() -> None:
    async with playing(manners=[FaultSpec(fault="cut", after=2)]) as client:
        reply = await client.chat(place=PLACE)
    texts = [event["choices"][0]["delta"]["content"] for event in reply.events]
    assert ("".join(texts), reply.finish, reply.broken) == (TEXT[:8], [], False)


async def test_a_cut_without_a_place_in_the_answer_comes_after_its_last_token() -> None:
    async with playing(manners=[FaultSpec(fault="cut")]) as client:
        events = (await client.chat(place=PLACE)).events
    assert "".join(event["choices"][0]["delta"]["content"] for event in events) == TEXT


async def test_a_dropped_stream_breaks_the_connection() -> None:
    async with playing(manners=[FaultSpec(fault="drop", after=1)]) as client:
        reply = await client.chat(place=PLACE)
    assert reply.broken
    assert reply.events[1]["choices"][0]["delta"]["content"] == TEXT[:4]


@pytest.mark.parametrize("fault", ["cut", "drop"])
async def test_an_unstreamed_answer_is_lost_with_its_connection(fault: Any) -> None:
    async with playing(manners=[FaultSpec(fault=fault)]) as client:
        with pytest.raises(Exception, match="disconnected"):
            await client.chat(stream=False)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stall_is_silence_until_the_client_leaves(stream: bool) -> None:
    async with playing(manners=[FaultSpec(fault="stall", after=1)]) as client:
        request = asyncio.create_task(client.chat(place=PLACE, stream=stream))
        async with asyncio.timeout(30):
            while not client.server.in_flight:
                await asyncio.sleep(0.005)
            assert not request.done()
            request.cancel()
            while client.server.in_flight:
                await asyncio.sleep(0.005)


async def test_a_stalled_stream_has_sent_its_first_tokens() -> None:
    async with playing(manners=[FaultSpec(fault="stall", after=1)]) as client:
        request = client.session.post(f"{client.base}/chat/completions", **client.request(place=PLACE))
        async with request as response, asyncio.timeout(30):
            got = await response.content.readuntil(b'"content":"main"},"logprobs":null,"finish_reason":null}]}\n\n')
            assert (got.count(b"data: "), client.server.in_flight) == (2, 1)


async def test_an_engine_that_dies_sends_an_error_object_and_done() -> None:
    async with playing(manners=[FaultSpec(fault="error", after=1)]) as client:
        reply = await client.chat(place=PLACE)
        whole = await client.chat(place=PLACE, stream=False)
    assert reply.status == 200
    assert (reply.events[-2]["error"]["code"], reply.events[-1], reply.finish) == (500, "[DONE]", [])
    assert (whole.status, whole.error["type"]) == (500, "InternalServerError")


async def test_usage_and_done_can_be_left_out() -> None:
    async with playing(manners=[FaultSpec(no_usage=True, no_done=True)]) as client:
        reply = await client.chat()
        whole = await client.chat(stream=False)
    assert reply.events[-1]["choices"][0]["finish_reason"] == "stop"
    assert "usage" not in whole.json


async def test_null_content_moves_the_text_to_the_reasoning() -> None:
    async with playing(manners=[FaultSpec(null_content=True, reasoning_field="reasoning_content")]) as client:
        reply = await client.chat(place=PLACE)
        message = (await client.chat(place=PLACE, stream=False)).json["choices"][0]["message"]
    assert (reply.deltas(), "".join(reply.deltas("reasoning_content"))) == ([], TEXT)
    assert message == {"role": "assistant", "content": None, "reasoning_content": TEXT}


async def test_a_streamed_request_can_be_answered_with_plain_json() -> None:
    async with playing(manners=[FaultSpec(plain_json=True)]) as client:
        reply = await client.chat()
    assert (reply.type, reply.json["object"]) == ("application/json", "chat.completion")


async def test_a_web_page_can_stand_where_the_api_should_be() -> None:
    async with playing(manners=[FaultSpec(html=True)]) as client:
        replies = [await client.chat(), await client.get("/v1/models"), await client.get("/")]
    assert {(reply.status, reply.type) for reply in replies} == {(200, "text/html")}


async def test_a_status_can_be_wished() -> None:
    async with playing(manners=[FaultSpec(status=503)]) as client:
        busy = await client.chat()
    async with playing(manners=[FaultSpec(status=401)]) as client:
        shut = await client.chat()
    assert (busy.status, busy.error["code"]) == (503, 503)
    assert (shut.status, shut.json) == (401, {"error": "Unauthorized"})


async def test_a_window_can_be_wished() -> None:
    async with playing(manners=[FaultSpec(window=10)]) as client:
        models = await client.get("/v1/models")
        refused = await client.chat(max_tokens=11)
    assert models.json["data"][0]["max_model_len"] == 10
    assert refused.error["param"] == "max_tokens"


async def test_a_manner_can_be_for_one_try_at_one_place() -> None:
    manner = FaultSpec(status=503, attempt=2, place="Coding.1")
    async with playing(manners=[manner]) as client:
        tries = [(await client.chat(place=PLACE, attempt=attempt)).status for attempt in (1, 2, 3)]
        elsewhere = (await client.chat(place="Coding.10/ask.1", attempt=2)).status
        nowhere = (await client.get("/v1/models")).status
    assert (tries, elsewhere, nowhere) == ([200, 503, 200], 200, 200)


async def test_a_manner_can_be_for_a_share_of_all_requests_and_different_faults_meet_different_ones() -> None:
    first, second = FaultSpec(status=503, share=0.2), FaultSpec(html=True, share=0.2)
    merged = [merge((first, second), PLACE, 1, f"id {number}") for number in range(1_000)]
    assert merged == [merge((first, second), PLACE, 1, f"id {number}") for number in range(1_000)]
    assert 150 < sum(manner.status == 503 for manner in merged) < 250
    assert 150 < sum(manner.html is True for manner in merged) < 250
    assert 20 < sum(manner.status == 503 and manner.html is True for manner in merged) < 70
    assert all(manner.share is None for manner in merged)
    async with playing(manners=[FaultSpec(status=503, share=1.0)]) as client:
        assert (await client.chat(place=PLACE)).status == 503
        assert (await client.get("/v1/models")).status == 200


async def test_the_recordings_head_has_manners_and_the_servers_come_on_top() -> None:
    head = (FaultSpec(window=50, status=503, attempt=1), FaultSpec(no_done=True))
    recording = Recording(model="tiny", manner=head, entries=RECORDING.entries)
    async with playing(recording, manners=[FaultSpec(no_done=False)]) as client:
        first = await client.chat(place=PLACE, attempt=1)
        second = await client.chat(place=PLACE, attempt=2)
    assert (first.status, second.status, second.events[-1]) == (503, 200, "[DONE]")


def test_manners_merge_field_by_field() -> None:
    manners = [
        FaultSpec(first_token=1.0, window=5),
        FaultSpec(first_token=0.0, attempt=1),
        FaultSpec(no_done=True, place="b.1"),
    ]
    assert merge(manners, "a.1", 1) == FaultSpec(first_token=0.0, window=5)
    assert merge(manners, "b.1/c.1", 2) == FaultSpec(first_token=1.0, window=5, no_done=True)
    assert merge(manners) == FaultSpec(first_token=1.0, window=5)


def test_a_manner_can_be_typed() -> None:
    assert parse('fault = "cut", after = 5') == FaultSpec(fault="cut", after=5)
    assert parse("") == FaultSpec()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fault = cut", "Invalid value"),
        ('fault = "burn"', "Invalid enum value 'burn'"),
        ("speed = 1", "unknown field `speed`"),
        ("status = 200", "Expected `int` >= 400"),
    ],
)
def test_a_manner_that_cannot_be_read_says_why(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse(text)


async def test_a_prompt_is_cut_in_silence_on_demand() -> None:
    long = [{"role": "user", "content": "ping " + "x" * 500}]
    async with playing(manners=[FaultSpec(cut_prompt=40)]) as client:
        replies = [await client.chat(messages=messages, stream=False, max_tokens=9) for messages in (PING, long)]
    assert [reply.status for reply in replies] == [200, 200]
    assert [reply.json["usage"]["prompt_tokens"] for reply in replies] == [5, 40]


async def test_a_window_is_kept_secret_on_demand() -> None:
    async with playing(manners=[FaultSpec(no_window=True)]) as client:
        assert "max_model_len" not in (await client.get("/v1/models")).json["data"][0]


async def test_thinking_can_be_turned_off() -> None:
    entry = Entry(when="ping", text="pong", reasoning="Well, well.")
    off: dict[str, Any] = {"chat_template_kwargs": {"enable_thinking": False}}
    async with playing(Recording(model="tiny", entries=(entry,))) as client:
        messages = [(await client.chat(stream=False, **more)).json["choices"][0]["message"] for more in ({}, off)]
    message = {"role": "assistant", "content": "pong"}
    assert messages == [message | {"reasoning": "Well, well."}, message]


async def test_a_refusal_may_say_when_to_come_back() -> None:
    async with (
        playing(manners=[FaultSpec(status=429, retry_after=1.5)]) as client,
        client.session.post(f"{client.base}/chat/completions", data=b"{}") as response,
    ):
        assert (response.status, response.headers["Retry-After"]) == (429, "1.5")


async def test_the_key_is_refused_in_both_forms() -> None:
    async with playing(manners=[FaultSpec(unauthorized="object")]) as client:
        reply = await client.chat()
    assert (reply.status, reply.error["code"]) == (401, "invalid_api_key")
    async with playing(manners=[FaultSpec(unauthorized="string")]) as client:
        assert (await client.chat()).json == {"error": "Unauthorized"}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reset_comes_before_any_answer_or_after_the_headers(stream: bool) -> None:
    async with playing(manners=[FaultSpec(reset="request")]) as client:
        with pytest.raises(aiohttp.ClientError):
            await client.chat(stream=stream)
    async with playing(manners=[FaultSpec(reset="headers")]) as client:
        request = client.request(stream=stream)
        with pytest.raises((aiohttp.ClientError, ConnectionResetError)):
            async with client.session.post(f"{client.base}/chat/completions", **request) as response:
                assert response.status == 200
                while await response.content.readany():
                    pass


async def test_half_a_body_ends_cleanly_in_the_middle() -> None:
    async with playing(manners=[FaultSpec(fault="half")]) as client:
        streamed = await client.chat(place=PLACE)
        whole = await client.chat(place=PLACE, stream=False)
    assert not streamed.broken and not streamed.body.endswith(b"}\n\n")
    assert b'finish_reason":"stop' not in streamed.body
    with pytest.raises(msgspec.DecodeError):
        whole.json  # noqa: B018 - reading it is the test
    assert whole.body.startswith(b'{"id"')


async def some(client: Client, number: int, **body: Any) -> bytes:
    """The first bytes of an answer that never ends; then the client leaves."""
    found = b""
    async with client.session.post(
        f"{client.base}/chat/completions", **client.request(place=PLACE, **body)
    ) as response:
        while len(found) < number:
            found += await response.content.readany()
    while client.server.in_flight:
        await asyncio.sleep(0.01)
    return found


async def test_what_trickles_means_nothing_and_never_ends() -> None:
    async with playing(manners=[FaultSpec(fault="trickle", after=1, per_token=0.0)]) as client:
        head, _, tail = (await some(client, 3_000)).rpartition(b"\n")
        assert b"data: " in head and re.fullmatch(rb": +", tail)
        assert (await some(client, 100, stream=False)).strip() == b""


async def test_what_is_repeated_goes_on_past_the_limit() -> None:
    async with playing(manners=[FaultSpec(fault="repeat")]) as client:
        found = await some(client, 200_000, max_tokens=5)
    assert found.count(b'"content"') > 100


async def test_an_answer_may_say_nothing() -> None:
    async with playing(manners=[FaultSpec(empty=True)]) as client:
        reply = await client.chat(place=PLACE)
    assert ("".join(reply.deltas()), reply.finish) == ("", ["stop"])
    async with playing(manners=[FaultSpec(empty=True, null_content=True)]) as client:
        message = (await client.chat(place=PLACE, stream=False)).json["choices"][0]["message"]
    assert message == {"role": "assistant", "content": None}
