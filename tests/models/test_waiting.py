"""A server that is loading or restarting is waited for, visibly and not for ever."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from helpers.fake_server import hello, refuses, says, serving, streams
from helpers.listening import free_port

from chatdev.models import choose as choosing
from chatdev.models import errors, retry
from chatdev.models.choose import choose
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.types import Message, Options
from chatdev.settings import Deadlines, Settings

HI = [Message("user", "hi")]
LOADING = refuses("Loading model", 503)
MODELS = {"data": [{"id": "default", "max_model_len": 8192}]}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "POLL", 0.01)
    monkeypatch.setattr(retry, "LOADING", 0.01)


def settings(url: str, *, waits: bool = True, loading: float = 60, at_start: float = 0) -> Settings:
    deadlines = Deadlines(loading=loading)
    return Settings(vllm_endpoint=url, deadlines=deadlines, waits=waits, wait_at_start=at_start)


@asynccontextmanager
async def at(port: int) -> AsyncIterator[None]:
    """A model server on a port that was closed before."""

    async def chat(request: web.Request) -> web.StreamResponse:
        return await streams(hello())(request)

    async def models(request: web.Request) -> web.StreamResponse:
        return await says(MODELS)(request)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/v1/models", models)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


async def test_a_start_waits_for_a_server_that_says_that_it_is_loading_and_says_so_once() -> None:
    notices: list[str] = []
    seen: list[int] = []

    async def models(request: web.Request) -> web.StreamResponse:
        seen.append(1)
        return await (LOADING if len(seen) < 4 else says(MODELS))(request)

    async with serving(pages={"/v1/models": models}) as server:
        choice = await choose("VLLM", settings(server.url), notice=notices.append)
        assert (choice.facts.model, len(seen)) == ("default", 4)
        await choice.backend.aclose()
    assert len(notices) == 1
    assert notices[0].startswith(f"The server at {server.url} is not ready yet: Loading model. Trying again every")
    assert notices[0].endswith("at the latest.")


@pytest.mark.parametrize(("waits", "loading"), [(True, 0.05), (False, 60)])
async def test_a_start_does_not_wait_longer_than_allowed(waits: bool, loading: float) -> None:
    async with serving(pages={"/v1/models": LOADING}) as server:
        with pytest.raises(errors.Loading):
            await choose("VLLM", settings(server.url, waits=waits, loading=loading))


async def test_a_start_waits_for_a_server_that_does_not_answer_only_if_asked_to() -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/v1"
    with pytest.raises(errors.Unreachable):
        await choose("VLLM", settings(url))
    notices: list[str] = []
    choosing_it = asyncio.create_task(choose("VLLM", settings(url, at_start=60), notice=notices.append))
    while not notices:
        await asyncio.sleep(0.01)
    assert "connection refused" in notices[0]
    async with at(port):
        choice = await choosing_it
        assert choice.facts.model == "default"
        await choice.backend.aclose()


async def test_a_call_waits_for_a_server_that_restarts() -> None:
    port = free_port()
    notices: list[str] = []
    model = EndpointModel.of_vllm(settings(f"http://127.0.0.1:{port}/v1"), backoff=())
    model.notice = notices.append
    async with at(port):
        assert (await model.complete(HI, Options())).text == "Hello"
    calling = asyncio.create_task(model.complete(HI, Options()))
    while not notices:
        await asyncio.sleep(0.01)
    async with at(port):
        completion = await calling
    assert completion.text == "Hello" and completion.receipt.tries > 1
    assert len(notices) == 1 and "Trying again every" in notices[0]
    await model.aclose()


@pytest.mark.parametrize(("waits", "loading"), [(True, 0.05), (False, 60)])
async def test_a_call_does_not_wait_longer_than_allowed(waits: bool, loading: float) -> None:
    port = free_port()
    model = EndpointModel.of_vllm(settings(f"http://127.0.0.1:{port}/v1", waits=waits, loading=loading), backoff=(0,))
    async with at(port):
        await model.facts()
    with pytest.raises(errors.Unreachable) as error:
        await model.complete(HI, Options())
    await model.aclose()
    assert any("requests within" in line for line in error.value.tried)


async def test_a_call_waits_while_the_server_loads_its_model_again() -> None:
    async with serving(LOADING, LOADING, LOADING, LOADING, streams(hello())) as server:
        model = EndpointModel.of_vllm(settings(server.url), backoff=())
        assert (await model.complete(HI, Options())).receipt.tries == 5
        await model.aclose()


async def test_a_long_pause_that_the_server_asks_for_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = says({"error": {"message": "slow down"}}, 429, Retry_After="0.05")
    notices: list[str] = []
    async with serving(busy, streams(hello())) as server:
        model = EndpointModel.of_vllm(settings(server.url), backoff=(0.0,))
        model.notice = notices.append
        await model.complete(HI, Options())
        assert notices == []
        monkeypatch.setattr(retry, "SHORT", 0.01)
        server.asked.clear()
        await model.complete(HI, Options())
        await model.aclose()
    assert len(notices) == 1 and "slow down. Trying again at " in notices[0]
