import asyncio
import time
from typing import Any

import aiohttp
import msgspec
import pytest
from playing import ENTRIES, PING, PLACE, RECORDING, TEXT, Client, playing

from chatdev.errors import UserError
from chatdev.playback.answer import pace
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Entry, Recording
from chatdev.playback.server import Playback

TOKENS = 12  # of TEXT, which has 45 characters


async def idle(client: Client) -> None:
    """Return once no answer is under way."""
    async with asyncio.timeout(30):
        while client.server.in_flight:
            await asyncio.sleep(0.005)


async def test_the_server_says_what_it_is() -> None:
    async with playing() as client:
        [card] = (await client.get("/v1/models")).json["data"]
        health = await client.get("/health")
        version = await client.get("/version")
    assert (card["id"], card["max_model_len"], card["owned_by"]) == ("tiny", 100, "vllm")
    assert (health.status, health.body) == (200, b"")
    assert "playback" in version.json["version"]


async def test_an_unknown_route_is_not_found() -> None:
    async with playing() as client:
        reply = await client.get("/v1/embeddings")
    assert (reply.status, reply.json) == (404, {"detail": "Not Found"})


@pytest.mark.parametrize(
    ("body", "count"),
    [({"prompt": "12345"}, 2), ({"prompt": ""}, 0), ({"model": "tiny", "messages": PING}, 5)],
)
async def test_tokenize_counts_characters_by_four_and_four_for_each_message(
    body: dict[str, object], count: int
) -> None:
    async with playing() as client:
        reply = await client.send("POST", f"{client.root}/tokenize", data=msgspec.json.encode(body))
    assert reply.json == {"count": count, "max_model_len": 100, "tokens": list(range(count)), "token_strs": None}


async def test_a_streamed_answer_has_vllms_chunks() -> None:
    async with playing() as client:
        reply = await client.chat(place=PLACE)
    first, *_, finish, usage, done = reply.events
    assert reply.type == "text/event-stream"
    assert {event["id"] for event in reply.events[:-1]} == {"chatcmpl-Coding.1%2FProgrammer.1%2Fask.1;1;f00d"}
    assert {event["object"] for event in reply.events[:-1]} == {"chat.completion.chunk"}
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert finish["choices"][0]["finish_reason"] == "stop"
    assert (usage["choices"], usage["usage"]["completion_tokens"], usage["usage"]["total_tokens"]) == ([], TOKENS, 17)
    assert done == "[DONE]"


async def test_the_pieces_of_a_stream_are_the_text_a_token_each() -> None:
    async with playing() as client:
        deltas = (await client.chat(place=PLACE)).deltas()
    assert "".join(deltas) == TEXT
    assert len([delta for delta in deltas if delta]) == TOKENS


async def test_usage_is_streamed_only_when_asked_for() -> None:
    async with playing() as client:
        reply = await client.chat(stream_options=None)
    assert [event for event in reply.events if "usage" in event] == []
    assert reply.events[-1] == "[DONE]"


async def test_an_unstreamed_answer_is_a_chat_completion() -> None:
    async with playing() as client:
        answer = (await client.chat(place=PLACE, stream=False)).json
    message = answer["choices"][0]["message"]
    assert (answer["object"], answer["model"], message) == (
        "chat.completion",
        "tiny",
        {"role": "assistant", "content": TEXT},
    )
    assert answer["usage"]["prompt_tokens"] == 5


async def test_a_request_without_a_place_is_answered_by_a_rule() -> None:
    async with playing() as client:
        replies = [await client.chat(stream=False) for _ in range(2)]
        foreign = await client.send("POST", f"{client.base}/chat/completions", **_with_id(client, "abc"))
        latin = await client.send("POST", f"{client.base}/chat/completions", **_with_id(client, "é"))
    assert [reply.json["choices"][0]["message"]["content"] for reply in replies] == ["pong", "pong"]
    assert replies[0].json["id"] != replies[1].json["id"]
    assert foreign.events[0]["id"] == "chatcmpl-abc"
    assert latin.events[0]["id"].isascii()


def _with_id(client: Client, header: str) -> dict[str, Any]:
    return client.request() | {"headers": {"X-Request-Id": header}}


async def test_the_same_request_gets_the_same_answer_whatever_came_before() -> None:
    async with playing() as client:
        texts = [(await client.chat(place=PLACE, attempt=attempt)).deltas() for attempt in (1, 2, 1)]
    assert texts[0] == texts[1] == texts[2]


async def test_a_place_may_hold_any_letters() -> None:
    recording = Recording(model="tiny", entries=(Entry(place="コード.1/Prüfer_1.2", text="да"),))
    async with playing(recording) as client:
        assert (await client.chat(place="コード.1/Prüfer_1.2")).deltas() == ["", "да", ""]


async def test_no_match_names_the_nearest_entry() -> None:
    async with playing() as client:
        away = await client.chat(place="Coding.1/Programmer.1/ask.2", messages=[{"role": "user", "content": "?"}])
        rule = await client.chat(messages=[{"role": "user", "content": "pin"}])
        silent = await client.chat(messages=[])
    assert away.status == 400
    assert "no answer for Coding.1/Programmer.1/ask.2" in away.error["message"]
    assert f"the nearest entry is {PLACE}." in away.error["message"]
    assert (
        'a request without a place and no rule for its last message; the nearest entry is when "ping".'
        in (rule.error["message"])
    )
    assert silent.status == 400


async def test_an_empty_recording_says_so() -> None:
    async with playing(Recording(model="tiny")) as client:
        assert "it has no entries" in (await client.chat()).error["message"]


async def test_of_several_recordings_the_one_answers_whose_task_is_asked() -> None:
    todo = Recording(model="tiny", task="a todo app", entries=(Entry(when="", text="todo"),))
    game = Recording(task="a game", entries=(Entry(when="", text="game"),))
    async with playing(todo, game) as client:
        replies = [
            await client.chat(stream=False, messages=[{"role": "user", "content": text}])
            for text in ("Task: a game.", "Task: a todo app.", "Task: a clock.")
        ]
    assert [reply.json["choices"][0]["message"]["content"] for reply in replies[:2]] == ["game", "todo"]
    assert "recorded tasks: 'a todo app', 'a game'" in replies[2].error["message"]


async def test_content_may_come_in_parts_or_be_null() -> None:
    parts = [{"role": "user", "content": [{"type": "text", "text": "pi"}, {"type": "text", "text": "ng"}]}]
    null = [{"role": "assistant", "content": None}, *PING]
    async with playing() as client:
        assert "".join((await client.chat(messages=parts)).deltas()) == "pong"
        assert "".join((await client.chat(messages=null)).deltas()) == "pong"


async def test_the_answer_is_cut_at_max_tokens() -> None:
    async with playing() as client:
        streamed = await client.chat(place=PLACE, max_tokens=2)
        whole = (await client.chat(place=PLACE, max_completion_tokens=2, max_tokens=50, stream=False)).json
    assert ("".join(streamed.deltas()), streamed.finish) == (TEXT[:8], ["length"])
    assert whole["choices"][0]["message"]["content"] == TEXT[:8]
    assert (whole["choices"][0]["finish_reason"], whole["usage"]["completion_tokens"]) == ("length", 2)


async def test_the_answer_is_cut_silently_where_the_window_ends() -> None:
    long = [{"role": "user", "content": "x" * 4 * 90}]
    async with playing() as client:
        reply = await client.chat(place=PLACE, max_tokens=50, messages=long)
    assert ("".join(reply.deltas()), reply.finish) == (TEXT[: 4 * 6], ["length"])


async def test_an_entrys_own_finish_reason_is_given() -> None:
    recording = Recording(model="tiny", entries=(Entry(when="", text="half", finish="length"),))
    async with playing(recording) as client:
        assert (await client.chat()).finish == ["length"]


REASONED = Recording(model="tiny", entries=(Entry(when="", text="said", reasoning="thought!"),))


async def test_reasoning_comes_before_the_text_in_its_own_field() -> None:
    async with playing(REASONED) as client:
        reply = await client.chat()
        whole = (await client.chat(stream=False)).json
    fields = [*("".join(event["choices"][0]["delta"].keys()) for event in reply.events[1:4])]
    assert fields == ["reasoning", "reasoning", "content"]
    assert reply.events[-2]["usage"]["completion_tokens_details"] == {"reasoning_tokens": 2}
    assert whole["choices"][0]["message"] == {"role": "assistant", "content": "said", "reasoning": "thought!"}


async def test_an_answer_cut_while_thinking_has_null_content() -> None:
    async with playing(REASONED) as client:
        choice = (await client.chat(stream=False, max_tokens=1)).json["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": None, "reasoning": "thou"}
    assert choice["finish_reason"] == "length"


async def test_a_paced_answer_is_the_same_answer() -> None:
    async with playing(manners=[FaultSpec(first_token=0.001, per_token=0.001)]) as client:
        reply = await client.chat(place=PLACE)
        whole = await client.chat(place=PLACE, stream=False)
    assert ("".join(reply.deltas()), reply.finish, reply.events[-1]) == (TEXT, ["stop"], "[DONE]")
    assert whole.json["choices"][0]["message"]["content"] == TEXT


async def test_tokens_that_are_late_come_together() -> None:
    seen: list[int] = []
    async for due in pace(40, 0.0, 0.01):
        seen.append(due)
        if len(seen) == 1:
            time.sleep(0.1)  # the loop stands still, as under load
    assert seen[1] - seen[0] >= 9
    assert seen[-1] == 40


async def test_tokens_come_in_few_batches_when_no_time_is_wished() -> None:
    assert [due async for due in pace(600, 0.0, 0.0)] == [256, 512, 600]
    assert [due async for due in pace(0, 0.0, 0.0)] == []


async def test_no_token_comes_before_the_first_is_due() -> None:
    async with playing(manners=[FaultSpec(first_token=3600.0)]) as client:
        request = client.session.post(f"{client.base}/chat/completions", **client.request())
        async with request as response:
            assert (response.status, client.server.in_flight) == (200, 1)
            await client.server.stop()
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_a_client_that_leaves_ends_its_answer_at_once() -> None:
    async with playing(manners=[FaultSpec(per_token=3600.0)]) as client:
        response = await client.session.post(f"{client.base}/chat/completions", **client.request(place=PLACE))
        assert b'"role":"assistant"' in await response.content.readany()
        assert client.server.in_flight == 1
        response.close()
        await idle(client)


async def test_a_long_answer_is_whole() -> None:
    text = "".join(f"line {number}\n" for number in range(1000))
    async with playing(Recording(model="tiny", entries=(Entry(when="", text=text),))) as client:
        assert "".join((await client.chat()).deltas()) == text


async def test_many_are_answered_at_once() -> None:
    async with playing(manners=[FaultSpec(first_token=0.01, per_token=0.001)]) as client:
        replies = await asyncio.gather(*(client.chat(place=PLACE) for _ in range(50)))
    assert {"".join(reply.deltas()) for reply in replies} == {TEXT}


async def test_a_large_prompt_is_counted_not_refused_by_its_bytes() -> None:
    recording = Recording(model="tiny", window=10**6, entries=ENTRIES)
    async with playing(recording) as client:
        reply = await client.chat(messages=[{"role": "user", "content": "ping" * 900_000}])
    assert reply.events[-2]["usage"]["prompt_tokens"] == 900_004


async def test_a_port_in_use_is_a_plain_error() -> None:
    async with playing() as client:
        port = int(client.root.rsplit(":", 1)[1])
        with pytest.raises(UserError, match=f"cannot listen on 127.0.0.1, port {port}"):
            await Playback(RECORDING).start(port=port)


async def test_stopping_twice_or_before_a_start_is_harmless() -> None:
    server = Playback(RECORDING)
    await server.stop()
    assert (await server.start()).endswith("/v1")
    await server.stop()
    await server.stop()


async def test_an_idle_connection_is_closed_by_the_server() -> None:
    async with playing(keepalive=0.0) as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(client.root.rsplit(":", 1)[1]))
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(30):
            assert (await reader.read()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
