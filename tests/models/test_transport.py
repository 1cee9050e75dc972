"""Sockets fail in many ways; each is waited for no longer than told, and becomes one of our errors."""

import asyncio
import gc
import gzip
import json
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest
from aiohttp import web
from helpers.fake_server import delta, hello, model, refuses, says, serving, sse, streams, usage
from helpers.listening import Talk, free_port, listening

from chatdev.errors import SettingsError
from chatdev.models import errors
from chatdev.models.address import Address
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.transport import Transport
from chatdev.models.types import Message, Options, Progress
from chatdev.settings import Deadlines, Secret, Settings

HI = [Message("user", "hi")]
BODY = {"model": "m", "messages": HI, "stream": True}


def transport(url: str, **more: object) -> Transport:
    deadlines = Deadlines(**{name: more.pop(name) for name in Deadlines.__struct_fields__ if name in more})  # type: ignore[arg-type]
    return Transport(Address(base_url=url, deadlines=deadlines, how_to_reach="Start one.", **more))  # type: ignore[arg-type]


async def failure(url: str, **more: object) -> errors.ModelError:
    """The error of a chat request."""
    line = transport(url, **more)
    try:
        with pytest.raises(errors.ModelError) as caught:
            await line.post_chat(BODY)
        return caught.value
    finally:
        await line.aclose()


async def test_no_one_there_is_reported_in_plain_words() -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    assert str(await failure(url)) == f"No model server answered at {url} (connection refused).\nStart one."


async def test_an_unknown_host_is_reported_by_name() -> None:
    error = await failure("http://no-such-host.invalid/v1")
    assert (type(error), "resolve the host name no-such-host.invalid" in error.what) == (errors.Unreachable, True)


async def test_a_connection_that_never_stands_is_given_up() -> None:
    with socket.socket() as full:  # its queue of one is taken, so that the kernel answers no more
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        queued = [socket.socket() for _ in range(4)]
        for waiting in queued:
            waiting.setblocking(False)
            waiting.connect_ex(address)
        error = await failure(f"http://127.0.0.1:{address[1]}/v1", connect=0.2)
        for waiting in queued:
            waiting.close()
    assert (type(error), "no connection within 0.2 s" in error.what) == (errors.Unreachable, True)


async def test_https_to_a_plain_port_says_so() -> None:
    async with serving() as server:
        error = await failure(server.url.replace("http:", "https:"))
    assert (type(error), "TLS" in error.what, error.do) == (
        errors.Unreachable,
        True,
        "Use http:// instead of https://.",
    )


async def test_something_that_is_no_http_is_no_model_server() -> None:
    async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"220 mail.example ESMTP\r\n")
        await writer.drain()

    async with listening(shout) as url:
        assert isinstance(await failure(url), errors.NotAModelServer)


async def test_no_first_token_in_time_is_a_stall_that_names_the_deadline() -> None:
    async with serving(streams(b": ping\n\n", sse(delta(role="assistant"), done=False), hang=True)) as server:
        error = await failure(server.url, first_token=0.2)
    assert (type(error), "no first token within 0.2 s" in error.what) == (errors.Stalled, True)
    assert "deadlines.first_token" in error.do


async def test_silence_in_the_middle_is_a_stall() -> None:
    async with serving(streams(sse(delta(content="Hel"), done=False), hang=True)) as server:
        error = await failure(server.url, idle=0.2)
    assert (type(error), "sent nothing for 0.2 s after 1 chunks" in error.what) == (errors.Stalled, True)


async def test_comments_are_no_sign_of_life() -> None:
    pings: list[bytes | float] = [b": ping\n\n", 0.05] * 40
    async with serving(streams(sse(delta(content="Hel"), done=False), *pings, hang=True)) as server:
        assert "sent nothing for" in (await failure(server.url, idle=0.3)).what


async def test_an_endless_answer_meets_the_total_deadline() -> None:
    endless: list[bytes | float] = [sse(delta(content="la"), done=False), 0.02] * 500
    async with serving(streams(*endless)) as server:
        error = await failure(server.url, total=0.4, idle=5)
    assert (type(error), "did not finish within 0.4 s" in error.what) == (errors.Stalled, True)


async def test_an_unstreamed_answer_may_take_the_whole_time() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return await says({"choices": [{"message": {"content": "Hi"}}]})(request)

    async with serving(slow) as server:
        line = transport(server.url, first_token=0.1)
        reply = await line.post_chat(BODY | {"stream": False})
        await line.aclose()
    assert getattr(reply.outcome, "text", "") == "Hi"


@pytest.mark.parametrize("mark", [True, False])
async def test_a_finished_answer_counts_although_the_connection_stays_open(mark: bool) -> None:
    data = sse(delta(content="Hi"), delta("stop"), usage(), done=mark)
    async with serving(streams(data, hang=True)) as server:
        line = transport(server.url, idle=0.3)
        reply = await line.post_chat(BODY)
        await line.aclose()
    assert getattr(reply.outcome, "text", "") == "Hi"


async def test_a_connection_that_breaks_in_the_middle_cuts_the_answer_short() -> None:
    def cut(data: bytes) -> Talk:
        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
            writer.write(head + b"%x\r\n%b\r\n" % (len(data), data))
            await writer.drain()

        return talk

    async with listening(cut(sse(delta(content="Hel"), done=False))) as url:
        error = await failure(url)
    assert (type(error), "after 1 chunks" in error.what) == (errors.CutShort, True)
    async with listening(cut(sse(delta(role="assistant"), done=False))) as url:
        assert type(await failure(url)) is errors.ServerBroke
    async with listening(cut(hello())) as url:
        line = transport(url)
        assert getattr((await line.post_chat(BODY)).outcome, "text", "") == "Hello"
        await line.aclose()


MODELS = json.dumps({"data": [{"id": "default", "max_model_len": 8192}]}).encode()


def answering_once_per_connection(log: list[str]) -> Talk:
    """As a server does that gives up pooled connections: the second request on one is met with a close."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        log.append("connected")
        answered = False
        while not answered or not reader.at_eof():
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                data = MODELS
            else:
                lines = head.split(b"\r\n")
                length = next(int(line[15:]) for line in lines if line.lower().startswith(b"content-length:"))
                await reader.readexactly(length)
                log.append("requested")
                if answered:
                    return
                data, answered = hello(), True
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(data), data))
            await writer.drain()

    return talk


async def test_a_stale_pooled_connection_is_an_error_of_its_own_and_a_fresh_one_answers() -> None:
    log: list[str] = []
    async with listening(answering_once_per_connection(log)) as url:
        line = transport(url)
        await asyncio.gather(line.post_chat(BODY), line.post_chat(BODY))
        with pytest.raises(errors.Disconnected):
            await line.post_chat(BODY)
        reply = await line.post_chat(BODY, fresh=True)  # and not the other one of the pool, which is stale too
        await line.aclose()
    assert getattr(reply.outcome, "text", "") == "Hello"
    assert log[-2:] == ["connected", "requested"]


async def test_a_call_on_a_stale_connection_is_sent_again_at_once_and_does_not_count_against_the_server() -> None:
    log: list[str] = []
    async with listening(answering_once_per_connection(log)) as url:
        model = EndpointModel.of_vllm(Settings(vllm_endpoint=url), backoff=())
        tries = [(await model.complete(HI, Options())).receipt.tries for _ in range(4)]
        assert model.breaker.state == "closed" and model.breaker.why == ""
        await model.aclose()
    assert tries == [1, 2, 2, 2] or tries == [1, 2, 1, 2]
    assert log.count("requested") == sum(tries)


async def test_a_server_that_always_hangs_up_is_broken() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async with listening(hang_up) as url:
        error = await failure(url)
    assert (isinstance(error, errors.ServerBroke), "closed the connection" in error.what) == (True, True)


async def test_waiting_is_shown_until_the_first_token() -> None:
    seen: list[Progress] = []
    async with serving(streams(1.3, hello())) as server:
        line = transport(server.url)
        reply = await line.post_chat(BODY, watch=seen.append)
        await line.aclose()
    assert [progress.kind for progress in seen][:2] == ["waiting", "text"]
    assert "".join(progress.text for progress in seen) == "Hello"
    assert seen[-1].tokens == 2
    assert reply.first_token is not None and 1 <= seen[0].seconds <= reply.first_token <= reply.seconds


async def test_one_connection_serves_calls_in_a_row_and_any_number_at_once() -> None:
    async def once_all_are_here(request: web.Request) -> web.StreamResponse:
        while len(server.asked) < 150:
            await asyncio.sleep(0.01)
        return await streams(hello())(request)

    async with model(once_all_are_here) as (backend, server):
        await asyncio.gather(*(backend.complete(HI, Options()) for _ in range(150)))
        assert len(server.peers) == 150  # aiohttp's own limit is 100
        await asyncio.gather(*(backend.complete(HI, Options()) for _ in range(3)))
        assert len(server.peers) == 150


async def test_headers_key_and_proxy_are_used() -> None:
    async with serving() as proxy:
        line = transport(
            "http://model.invalid/v1",
            key=Secret("k-123456"),
            headers={"X-Team": Secret("red")},
            proxy=Secret(proxy.url.removesuffix("/v1")),
        )
        await line.post_chat(BODY, request_id="Coding.1")
        await line.aclose()
    sent = proxy.headers[0]
    assert (sent["Authorization"], sent["X-Team"], sent["X-Request-Id"]) == ("Bearer k-123456", "red", "Coding.1")
    assert sent["Host"] == "model.invalid"


async def test_debug_sees_requests_and_answers_without_keys() -> None:
    seen: list[str] = []
    async with serving(refuses("your key k-123456 is odd"), pages={"/v1/x": {"a": "k-123456"}}) as server:
        line = transport(server.url, key=Secret("k-123456"))
        line.debug = seen.append
        await line.post_chat(BODY | {"messages": [Message("user", "my key is k-123456")]})
        await line.get(f"{server.url}/x", 5)
        await line.aclose()
    assert ["my key is ***" in seen[0], "your key *** is odd" in seen[1], '{"a": "***"}' in seen[2]] == [True] * 3


def test_every_loop_has_its_own_session_and_asyncio_run_closes_it() -> None:
    async def main() -> None:
        async with serving() as server:
            line = transport(server.url)
            lines.append(line)
            await line.post_chat(BODY)
            held.append((await line.opened()).session)
            assert (await line.opened()).session is held[-1]

    lines: list[Transport] = []
    held: list[object] = []
    asyncio.run(main())
    asyncio.run(main())
    assert [getattr(session, "closed", None) for session in held] == [True, True]


async def test_a_forgotten_transport_is_closed_by_the_loop() -> None:
    async with serving() as server:
        line: Transport | None = transport(server.url)
        assert line is not None
        await line.post_chat(BODY)
        session = (await line.opened()).session
        line = None
        gc.collect()
        while not session.closed:
            await asyncio.sleep(0)


async def test_closing_closes_the_sessions_of_other_loops_too() -> None:
    async with model() as (backend, _):
        await asyncio.to_thread(backend.run, [{"role": "user", "content": "hi"}])
        await backend.complete(HI, Options())
        sessions = [held.session for held in backend.chat_model.opened_transport().sessions.values()]
        await backend.aclose()
        assert [session.closed for session in sessions] == [True, True]
        assert (await backend.complete(HI, Options())).text == "Hello"  # it can be used again


async def test_a_certificate_is_trusted_if_the_ca_file_says_so(tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes the certificate, is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "ca.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost "
    command += f"-addext subjectAltName=DNS:localhost -keyout {key} -out {certificate}"
    subprocess.run(command.split(), check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(hello()), hello()))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "localhost", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/v1"
    try:
        error = await failure(url)
        assert (type(error), "certificate is not trusted" in error.what) == (errors.Unreachable, True)
        line = transport(url, ca_file=certificate)
        assert getattr((await line.post_chat(BODY)).outcome, "text", "") == "Hello"
        await line.aclose()
    finally:
        server.close()
        await server.wait_closed()


async def test_a_ca_file_is_not_read_for_plain_http(tmp_path: Path) -> None:
    async with serving() as server:
        line = transport(server.url, ca_file=tmp_path / "missing.pem")
        assert getattr((await line.post_chat(BODY)).outcome, "text", "") == "Hello"
        await line.aclose()


async def test_a_ca_file_that_is_none_is_a_mistake_in_the_settings(tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    wrong.write_text(json.dumps("no certificate"))
    with pytest.raises(SettingsError, match="CA file"):
        await transport("https://127.0.0.1/v1", ca_file=wrong).post_chat(BODY)


@pytest.mark.parametrize("encoding", ["br", "zstd", "x-lz4"])
async def test_a_compressed_answer_that_cannot_be_read_is_named(encoding: str) -> None:
    async with serving(says(b"\x28\xb5\x2f\xfd\x04", Content_Encoding=encoding)) as server:
        error = await failure(server.url, headers={"accept-encoding": Secret(f"{encoding}, gzip")})
    assert type(error) is errors.EndpointError
    assert encoding in error.what and "Switch off compression" in error.do
    assert server.headers[0].getall("Accept-Encoding") == ["identity"]  # type: ignore[attr-defined]


async def test_a_header_of_the_user_replaces_ours_in_any_letter_case() -> None:
    async with serving() as server:
        line = transport(server.url, key=Secret("k-123456"), headers={"authorization": Secret("Token t")})
        await line.post_chat(BODY)
        await line.aclose()
    assert server.headers[0].getall("Authorization") == ["Token t"]  # type: ignore[attr-defined]


async def test_json_lines_show_progress_and_gzip_is_read() -> None:
    lines = [f"{json.dumps(each)}\n".encode() for each in (delta(content="Hel"), delta(content="lo"), delta("stop"))]
    shown: list[Progress] = []
    async with serving(streams(lines[0], 0.05, *lines[1:])) as server:
        line = transport(server.url)
        reply = await line.post_chat(BODY, watch=shown.append)
        await line.aclose()
    assert next(progress.text for progress in shown if progress.text) == "Hel"
    assert getattr(reply.outcome, "text", "") == "Hello" and reply.first_token is not None
    async with serving(says(gzip.compress(hello()), Content_Encoding="gzip")) as server:
        line = transport(server.url)
        assert getattr((await line.post_chat(BODY)).outcome, "text", "") == "Hello"
        await line.aclose()
