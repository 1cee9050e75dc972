"""Which model servers listen on this machine, if no endpoint is set."""

import asyncio

import msgspec

from chatdev.models import endpoint
from chatdev.models.address import Address
from chatdev.models.endpoint import Facts
from chatdev.models.errors import ModelError

PORTS = (8000, 8080, 11434, 1234, 30000, 4000, 3000, 5000, 8001)
"""Default ports: vLLM, llama.cpp and TGI, Ollama, LM Studio, SGLang, LiteLLM, TGI's image as its documentation maps it,
text-generation-webui, and a second vLLM."""

PATIENCE = 2.0
"""Seconds for a local server to list its models."""


async def servers(like: Address, ports: tuple[int, ...] = PORTS) -> tuple[Facts, ...]:
    """The OpenAI-compatible servers on this machine, each as it describes itself, in the order of ``ports``.

    ``like`` gives everything but the URL: deadlines, and a key that is sent only to this machine.
    """
    found = await asyncio.gather(*(_at(msgspec.structs.replace(like, base_url=_url(port))) for port in ports))
    return tuple(facts for facts in found if facts is not None)


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}/v1"


async def _at(address: Address) -> Facts | None:
    from chatdev.models.transport import Transport

    line = Transport(address)
    try:
        return await endpoint.ask(line, "default", PATIENCE)
    except ModelError:
        return None
    finally:
        await line.aclose()
