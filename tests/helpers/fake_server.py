"""A model server of a few lines that does what a test tells it, over real HTTP on a port of its own."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from chatdev.models.backend import VLLMModel
from chatdev.settings import Deadlines, Settings

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}


def delta(finish: str | None = None, **said: object) -> dict[str, Any]:
    """One chunk of a streamed answer."""
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "default",
        "choices": [{"index": 0, "delta": said, "finish_reason": finish}],
    }


def usage(**counts: object) -> dict[str, Any]:
    """vLLM's last chunk."""
    return {"id": "chatcmpl-1", "choices": [], "usage": USAGE | counts}


def sse(*events: object, end: str = "\n\n", done: bool = True) -> bytes:
    """Server-sent events; a text stands for itself."""
    lines = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return "".join(f"data: {line}{end}" for line in [*lines, *(["[DONE]"] if done else [])]).encode()


def hello() -> bytes:
    """A whole stream that says hello."""
    return sse(delta(role="assistant", content=""), delta(content="Hel"), delta(content="lo"), delta("stop"), usage())


def whole(text: str = "Hello", **more: object) -> dict[str, Any]:
    """An unstreamed answer."""
    message = {"role": "assistant", "content": text} | more
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "chatcmpl-1", "created": 1700000000, "model": "default", "choices": [choice], "usage": USAGE}


def streams(*pieces: bytes | float, hang: bool = False) -> Answer:
    """Send the pieces; a number is a pause in seconds. ``hang``: then keep the connection open, in silence."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            if isinstance(piece, bytes):
                await response.write(piece)
            else:
                await asyncio.sleep(piece)
        if hang:
            await asyncio.sleep(3600)
        await response.write_eof()
        return response

    return answer


def says(body: object, status: int = 200, **headers: str) -> Answer:
    """Send JSON, or bytes as they are."""

    async def answer(request: web.Request) -> web.StreamResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(
            body=data, status=status, headers={name.replace("_", "-"): v for name, v in headers.items()}
        )

    return answer


def refuses(message: str, status: int = 400, **more: object) -> Answer:
    """Refuse as OpenAI and vLLM do."""
    return says({"error": {"message": message, "code": status} | more}, status)


class FakeServer:
    """``answers`` are given to the chat requests in turn, the last one for ever; ``pages`` are other GET paths."""

    def __init__(self, answers: tuple[Answer, ...], pages: dict[str, object]) -> None:
        self.answers = answers
        self.pages = pages
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.headers: list[Mapping[str, str]] = []
        self.got: list[str] = []
        self.peers: set[object] = set()

    async def chat(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(await request.json())
        self.headers.append(request.headers)
        if request.transport:
            self.peers.add(request.transport.get_extra_info("peername"))
        return await self.answers[min(len(self.asked), len(self.answers)) - 1](request)

    async def page(self, request: web.Request) -> web.StreamResponse:
        self.got.append(request.path)
        page = self.pages.get(request.path)
        if page is None:
            return web.Response(status=404, text="not here")
        return await (page if callable(page) else says(page))(request)


@contextlib.asynccontextmanager
async def serving(
    *answers: Answer, models: object = None, pages: dict[str, object] | None = None
) -> AsyncIterator[FakeServer]:
    """A server that is up; ``models`` is what ``/v1/models`` gives."""
    listed = models or {"data": [{"id": "default", "max_model_len": 8192}]}
    server = FakeServer(answers or (streams(hello()),), {"/v1/models": listed} | (pages or {}))
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.chat)
    app.router.add_get("/{path:.*}", server.page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def model(
    *answers: Answer, models: object = None, deadlines: Deadlines | None = None, **config: object
) -> AsyncIterator[tuple[VLLMModel, FakeServer]]:
    """A backend beside the server that it speaks to; it does not wait before it tries again."""
    async with serving(*answers, models=models) as server:
        settings = Settings(vllm_endpoint=server.url, deadlines=deadlines or Deadlines())
        backend = VLLMModel(None, config, settings=settings, backoff=(0, 0))
        try:
            yield backend, server
        finally:
            await backend.aclose()
