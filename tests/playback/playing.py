"""A playback server and a plain client beside it, for tests."""

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Entry, Recording
from chatdev.playback.server import Playback

PLACE = "Coding.1/Programmer.1/ask.1"
TEXT = "main.py\n```python\nprint('hello, wörld 🌍')\n```\n"
ENTRIES = (Entry(place=PLACE, text=TEXT), Entry(when="ping", text="pong"))
RECORDING = Recording(model="tiny", window=100, entries=ENTRIES)
PING = [{"role": "user", "content": "ping"}]


class Reply(msgspec.Struct):
    """What came back. ``broken``: the connection ended before the body did."""

    status: int
    type: str
    body: bytes
    broken: bool = False

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def error(self) -> dict[str, Any]:
        error = self.json["error"]
        assert isinstance(error, dict)
        return error

    @property
    def events(self) -> list[Any]:
        """The stream's events, decoded; the last one is the word ``[DONE]`` if it came."""
        datas = [line[6:] for line in self.body.split(b"\n\n") if line.startswith(b"data: ")]
        return [data.decode() if data == b"[DONE]" else msgspec.json.decode(data) for data in datas]

    def deltas(self, field: str = "content") -> list[str]:
        """The pieces of a field, without null."""
        chunks = [choice["delta"].get(field) for event in self.events[:-1] for choice in event.get("choices", ())]
        return [chunk for chunk in chunks if chunk is not None]

    @property
    def finish(self) -> list[str]:
        """Every finish reason in the stream: one, if all is well."""
        events = [event for event in self.events if event != "[DONE]"]
        reasons = [choice["finish_reason"] for event in events for choice in event.get("choices", ())]
        return [reason for reason in reasons if reason is not None]


class Client:
    """Asks the server; keeps every connection open until the end."""

    def __init__(self, session: aiohttp.ClientSession, base: str, server: Playback) -> None:
        self.session = session
        self.base = base
        self.root = base.removesuffix("/v1")
        self.server = server

    async def send(self, method: str, url: str, *, data: bytes = b"", headers: dict[str, str] | None = None) -> Reply:
        async with self.session.request(method, url, data=io.BytesIO(data), headers=headers) as response:
            parts: list[bytes] = []
            broken = False
            try:
                async for part in response.content.iter_any():
                    parts.append(part)
            except aiohttp.ClientPayloadError:
                broken = True
            return Reply(response.status, response.content_type, b"".join(parts), broken)

    async def get(self, path: str) -> Reply:
        return await self.send("GET", self.root + path)

    def request(self, *, place: str = "", attempt: int = 1, **body: Any) -> dict[str, Any]:
        """The arguments of a chat request, streamed with usage unless ``body`` says otherwise."""
        fields = {"model": "tiny", "messages": PING, "stream": True, "stream_options": {"include_usage": True}} | body
        if not fields["stream"]:
            fields.pop("stream_options")
        headers = {"X-Request-Id": f"{quote(place, safe='')};{attempt};f00d"} if place else {}
        return {"data": msgspec.json.encode(fields), "headers": headers}

    async def chat(self, *, place: str = "", attempt: int = 1, **body: Any) -> Reply:
        request = self.request(place=place, attempt=attempt, **body)
        return await self.send("POST", f"{self.base}/chat/completions", **request)


@asynccontextmanager
async def playing(
    *recordings: Recording, manners: Sequence[FaultSpec] = (), keepalive: float = 5.0
) -> AsyncIterator[Client]:
    """A client of a server with these recordings, or with RECORDING."""
    first, *others = recordings or (RECORDING,)
    server = Playback(first, *others, manners=manners, keepalive=keepalive)
    async with server as base, aiohttp.ClientSession() as session:
        yield Client(session, base, server)
