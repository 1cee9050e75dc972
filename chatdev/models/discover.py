"""Which model servers listen on this machine, if no endpoint is set."""

import asyncio
from collections.abc import Iterable

import msgspec

from chatdev.models import dialects, endpoint
from chatdev.models.address import Address
from chatdev.models.endpoint import Facts
from chatdev.models.errors import ModelError

PATIENCE = 2.0
"""Seconds for a local server to list its models."""


async def servers(like: Address, ports: Iterable[int] = ()) -> tuple[Facts, ...]:
    """The OpenAI-compatible servers on this machine, each as it describes itself, in the order of ``ports``.

    Without ``ports``, those where servers listen by default. ``like`` gives everything but the URL: deadlines, and a
    key that is sent only to this machine.
    """
    found = await asyncio.gather(*(_on(like, port) for port in ports or dialects.load().ports))
    return tuple(facts for facts in found if facts is not None)


async def _on(like: Address, port: int) -> Facts | None:
    """What listens on a port of this machine, by IPv4 or else by IPv6."""
    urls = (f"http://{host}:{port}/v1" for host in ("127.0.0.1", "[::1]"))
    first, second = (msgspec.structs.replace(like, base_url=url, proxy=None) for url in urls)
    return await _at(first) or await _at(second)


async def _at(address: Address) -> Facts | None:
    from chatdev.models.transport import Transport

    line = Transport(address)
    try:
        return await endpoint.ask(line, "default", PATIENCE)
    except ModelError:
        return None
    finally:
        await line.aclose()
