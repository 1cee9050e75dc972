"""Sends an answer, whole or as a stream, and plays the faults that cut it off or never end it."""

import asyncio
import socket
import struct
from typing import NoReturn

from aiohttp import web

from chatdev.playback import protocol
from chatdev.playback.answer import DONE, PlayedAnswer, pace
from chatdev.playback.faults import FaultSpec

TRICKLE = 1.0
"""Seconds between two meaningless bytes, unless the manner sets it."""


async def whole(request: web.Request, answer: PlayedAnswer, manner: FaultSpec) -> web.StreamResponse:
    """Send the answer as one object."""
    await asyncio.sleep((manner.first_token or 0.0) + max(answer.tokens - 1, 0) * (manner.per_token or 0.0))
    match manner.fault:
        case "stall":
            await _until_the_client_leaves()
        case "trickle" | "repeat":
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            await _trickle(response, b" ", manner)
        case "half":
            body = answer.whole(usage=not manner.no_usage)
            return web.Response(body=body[: len(body) // 2], content_type="application/json")
        case "error":
            raise protocol.engine_died()
        case "cut" | "drop":
            _hang_up(request)
    if manner.reset:
        reset(request)
    return web.Response(body=answer.whole(usage=not manner.no_usage), content_type="application/json")


async def streamed(request: web.Request, answer: PlayedAnswer, manner: FaultSpec, *, usage: bool) -> web.StreamResponse:
    """Send the answer as events, one for each token, as time passes."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    if manner.reset:
        await response.write(answer.opening())
        reset(request)
    stop = answer.tokens if manner.fault is None or manner.after is None else min(answer.tokens, manner.after)
    sent, pending = 0, answer.opening()
    async for due in pace(stop, manner.first_token or 0.0, manner.per_token or 0.0):
        pending += answer.between(sent, due)
        sent = due
        if due < stop:
            await response.write(pending)
            pending = b""
    match manner.fault:
        case "stall":
            await response.write(pending)
            await _until_the_client_leaves()
        case "trickle":
            await response.write(pending + b":")
            await _trickle(response, b" ", manner)
        case "repeat":
            await response.write(pending)
            await _trickle(response, answer.between(0, answer.tokens) or b":\n", manner, 0.0)
        case "half":
            pending = pending[: -len(pending) // 4]  # in the middle of its last event
        case "drop":
            await response.write(pending)
            _hang_up(request)
            return response
    await response.write_eof(pending + _ending(answer, manner, usage=usage))
    return response


def _ending(answer: PlayedAnswer, manner: FaultSpec, *, usage: bool) -> bytes:
    if manner.fault in ("cut", "half"):
        return b""
    done = b"" if manner.no_done else DONE
    if manner.fault == "error":
        return b"data: " + protocol.engine_died().body + b"\n\n" + done
    return answer.closing(usage=usage) + done


async def _until_the_client_leaves() -> None:
    """Silence; aiohttp cancels the handler when its client disconnects, and ``stop`` cancels it, too."""
    await asyncio.get_running_loop().create_future()


async def _trickle(response: web.StreamResponse, some: bytes, manner: FaultSpec, pause: float = TRICKLE) -> NoReturn:
    """Send the same bytes until the client disconnects."""
    while True:
        await response.write(some)
        await asyncio.sleep(pause if manner.per_token is None else manner.per_token)


def reset(request: web.Request) -> NoReturn:
    """End the connection like a dying machine: with a reset (TCP's RST), without sending pending data."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        request.transport.abort()
    raise ConnectionResetError


def _hang_up(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()
