"""Playback: a model server that answers from recordings, over the real protocol and with vLLM's messages.

It keeps no state, except a prefix cache if that is to be computed. A request names its place in the run: its
``X-Request-Id`` is ``PLACE;TRY;SUFFIX``, with the place percent-encoded. So the same request always gets the same
answer.
"""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web

from chatdev import __version__
from chatdev.errors import UserError
from chatdev.journal import places
from chatdev.playback import protocol, sending
from chatdev.playback.answer import Pieces, PlayedAnswer, pieces
from chatdev.playback.faults import FaultSpec, merge
from chatdev.playback.prefix import PrefixCache
from chatdev.playback.protocol import Chat, ErrorResponse
from chatdev.playback.recording import Entry, Recording, choose

_PAGE = b"<!doctype html>\n<title>Welcome</title>\n<p>This is a web server, but no model answers here.</p>\n"
_BODY_LIMIT = 64 * 1024 * 1024
"""Bytes of a request: far more than any window, so that a long prompt is refused for its tokens."""
_SHUTDOWN = 1.0
"""Seconds for idle connections to close; answers in flight are ended immediately."""


class _Call(msgspec.Struct, frozen=True):
    """What a request's headers say, and how to treat it. ``window`` is in tokens."""

    id: str
    place: str
    manner: FaultSpec
    window: int


_EXAMINED = Entry(
    text="Red, yellow and blue. I am a recording, and I give this answer to every test of this server: how it answers, "
    "what constraints it keeps, how fast it is, and how well it copes with load."
)
"""The answer to every question of ``chatdev doctor``."""

_Handler = Callable[[web.Request, _Call], Awaitable[web.StreamResponse]]


class Playback:
    """Serves recordings on one address.

    The first recording's head names the model and its window; its manners apply to all, and ``manners`` are added.
    With several recordings, a request is answered by the one whose task its messages contain. ``keepalive`` is the
    number of seconds after which an idle connection is closed: five in vLLM. ``cache`` computes what a prefix cache
    would save, reported in the usage.
    """

    def __init__(
        self,
        recording: Recording,
        *others: Recording,
        manners: Iterable[FaultSpec] = (),
        keepalive: float = 5.0,
        cache: PrefixCache | None = None,
    ) -> None:
        self._recordings = (recording, *others)
        self._model = recording.model
        self._window = recording.window
        self._manners = (*recording.manner, *manners)
        self._keepalive, self._cache = keepalive, cache
        self._started = int(time.time())
        self._pieces: dict[str, Pieces] = {}
        self._answering: set[asyncio.Task[Any]] = set()
        self._runner: web.AppRunner | None = None

    @property
    def in_flight(self) -> int:
        """The number of answers in flight."""
        return len(self._answering)

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Listen, and return the base URL (``http://127.0.0.1:8000/v1``). Port 0 picks a free one. Raises UserError."""
        app = web.Application(client_max_size=_BODY_LIMIT)
        app.router.add_get("/health", self._guard(_health))
        app.router.add_get("/version", self._guard(_version))
        app.router.add_get("/v1/models", self._guard(self._models))
        app.router.add_post("/tokenize", self._guard(self._tokenize))
        app.router.add_post("/v1/chat/completions", self._guard(self._chat))
        app.router.add_route("*", "/{path:.*}", self._guard(_not_found))
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=self._keepalive,
            shutdown_timeout=_SHUTDOWN,
        )
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, host, port).start()
        except OSError as error:
            await self.stop()
            raise UserError(
                f"Playback cannot listen on {host}, port {port} ({error.strerror}).",
                do="Choose another port, or 0 for a free one.",
            ) from error
        return f"http://{f'[{host}]' if ':' in host else host}:{self._runner.addresses[0][1]}/v1"

    async def stop(self) -> None:
        """End the answers in flight and close the address."""
        for task in self._answering:
            task.cancel()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> str:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def _guard(self, handler: _Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            header = request.headers.get("X-Request-Id", "")
            if not header.isascii():
                header = ""
            place, attempt = _place(header)
            manner = merge(self._manners, place, attempt, header)
            try:
                _door(request, manner)
                call = _Call(header or uuid.uuid4().hex, place, manner, manner.window or self._window)
                return await handler(request, call)
            except ErrorResponse as refusal:
                wait = None if manner.retry_after is None else {"Retry-After": f"{manner.retry_after:g}"}
                return web.Response(
                    status=refusal.status, body=refusal.body, content_type=refusal.content_type, headers=wait
                )
            except ConnectionResetError:  # the client is gone, so there is no one to answer
                raise asyncio.CancelledError from None

        return handle

    async def _models(self, _: web.Request, call: _Call) -> web.Response:
        card = {"id": self._model, "object": "model", "created": self._started, "owned_by": "vllm"}
        card |= {"root": self._model, "parent": None, "permission": []}
        if not call.manner.no_window:
            card["max_model_len"] = call.window
        return web.json_response({"object": "list", "data": [card]})

    async def _tokenize(self, request: web.Request, call: _Call) -> web.Response:
        """The count is playback's own, so the token ids are just consecutive numbers."""
        count = protocol.decode(await request.read(), protocol.Tokenize).count
        answer = {"count": count, "max_model_len": call.window, "tokens": list(range(count))}
        return web.json_response(answer | {"token_strs": None})

    async def _chat(self, request: web.Request, call: _Call) -> web.StreamResponse:
        body = await request.read()
        if call.manner.reset == "request":
            sending.reset(request)
        chat = protocol.decode(body, Chat)
        limit = protocol.admit(chat, body, self._model, call.window, call.manner)
        answer = self._answer(self._find(chat, call.place), chat, call, limit)
        task = asyncio.current_task()
        assert task is not None
        self._answering.add(task)
        try:
            if chat.stream and not call.manner.plain_json:
                usage = bool(chat.stream_options and chat.stream_options.include_usage)
                return await sending.streamed(request, answer, call.manner, usage=usage and not call.manner.no_usage)
            return await sending.whole(request, answer, call.manner)
        finally:
            self._answering.discard(task)

    def _find(self, chat: Chat, place: str) -> Entry:
        if places.top(place) == places.DOCTOR:
            return _EXAMINED
        texts = [message.text for message in chat.messages] or [""]
        recording = choose(self._recordings, texts)
        if recording is None:
            tasks = ", ".join(repr(each.task) for each in self._recordings)
            raise _unknown(f"The messages contain no recorded task; recorded tasks: {tasks}.")
        if entry := recording.find(place, texts[-1]):
            return entry
        nearest = recording.nearest(place, texts[-1])
        raise _unknown(
            f"The recording has no answer for {place or 'a request without a place'} and no rule for its last message; "
            f"{f'the nearest entry is {nearest.title}' if nearest else 'it has no entries'}."
        )

    def _answer(self, entry: Entry, chat: Chat, call: _Call, limit: int) -> PlayedAnswer:
        held = entry is _EXAMINED and not call.manner.ignore_constraints  # recorded answers are never changed
        text = chat.held(entry.text) if held else entry.text
        thought, text_pieces = self._in_pieces(entry.reasoning), self._in_pieces(text)
        null = bool(call.manner.null_content) and (chat.thinks or bool(call.manner.empty))
        if call.manner.empty:
            thought, text_pieces = (), ()
        elif null:
            thought, text_pieces = thought + text_pieces, ()
        elif not chat.thinks:
            thought = ()
        cached = None
        if self._cache is not None:
            cached = self._cache.add([(each.role, each.text) for each in chat.messages], text)
        return PlayedAnswer(
            id=f"chatcmpl-{call.id}",
            model=self._model,
            created=int(time.time()),
            thought=thought[:limit],
            text_pieces=text_pieces[: max(limit - len(thought), 0)],
            finish_reason="length" if len(thought) + len(text_pieces) > limit else entry.finish,
            prompt_tokens=protocol.prompt_tokens(chat, call.manner),
            cached_tokens=cached,
            field=call.manner.reasoning_field or "reasoning",
            null=null,
        )

    def _in_pieces(self, text: str) -> Pieces:
        """The pieces of a text, encoded once and kept: without delays, encoding is most of the work."""
        if text not in self._pieces:
            self._pieces[text] = pieces(text)
        return self._pieces[text]


def _place(header: str) -> tuple[str, int]:
    """The place and the try in a request id; no place if the id is not ChatDev's."""
    parts = header.split(";")
    if len(parts) != 3 or not parts[1].isdecimal():
        return "", 1
    return unquote(parts[0]), int(parts[1])


def _door(request: web.Request, manner: FaultSpec) -> None:
    """Refuses requests before they are read. As in vLLM, only ``/v1`` requires the key."""
    if manner.html:
        raise ErrorResponse(200, _PAGE, "text/html")
    given = request.headers.get("Authorization")
    locked = manner.api_key is not None and given != f"Bearer {manner.api_key}"
    if manner.unauthorized == "object":
        raise protocol.key_refused()
    if manner.status == 401 or manner.unauthorized or (locked and request.path.startswith("/v1")):
        raise protocol.unauthorized()
    if manner.status is not None:
        message = f"Playback is set to answer with status {manner.status}."
        kind = "InternalServerError" if manner.status >= 500 else "BadRequestError"
        raise protocol.error_object(manner.status, message, kind)


def _unknown(message: str) -> ErrorResponse:
    return protocol.error_object(400, message, "BadRequestError", "messages")


async def _health(_: web.Request, __: _Call) -> web.Response:
    return web.Response()


async def _version(_: web.Request, __: _Call) -> web.Response:
    return web.json_response({"version": f"{__version__}+playback"})


async def _not_found(_: web.Request, __: _Call) -> web.Response:
    return web.json_response({"detail": "Not Found"}, status=404)
