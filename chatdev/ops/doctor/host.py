"""What surrounds the endpoint: where each setting comes from, who else can reach the server, and the GPUs."""

import ipaddress
from urllib.parse import urlsplit

import msgspec

from chatdev.models.address import Address
from chatdev.models.errors import ModelError
from chatdev.models.transport import Transport
from chatdev.ops import machine
from chatdev.ops.doctor.findings import Finding
from chatdev.settings import Settings

ANOTHER_LOOPBACK = "127.0.0.2"
"""Reaches a server that listens on all addresses, but not one that listens on 127.0.0.1 only (RFC 1122, 3.2.1.3)."""


def settings(given: Settings) -> Finding:
    """Where each setting comes from; secrets are named without their values."""
    origins = [f"{name} from {source}" for name, source in sorted(given.sources.items())]
    if "VLLM_ENDPOINT" not in given.sources:
        origins.insert(0, f"VLLM_ENDPOINT is not set, so {given.endpoint} is used")
    if given.window:
        origins.append("window from chatdev.toml")
    fallback = "OpenAI takes over if the endpoint does not answer" if given.openai_api_key else "There is no fallback"
    return Finding("settings", "good", f"{'; '.join(origins)}. {fallback}.", " ".join(given.notes))


def is_here(address: Address) -> bool:
    """Whether the endpoint is on this machine."""
    try:
        return ipaddress.ip_address(address.host).is_loopback
    except ValueError:
        return address.host == "localhost"


def traffic(address: Address) -> Finding | None:
    """A warning if prompts and keys cross a network unencrypted."""
    if is_here(address) or address.base_url.startswith("https://"):
        return None
    what = "Your key, the task and all code go" if address.key else "The task and all code go"
    return Finding(
        "network",
        "warning",
        f"{what} to {address.host} over plain HTTP: anyone on the way can read and change them.",
        f"Use https, or a tunnel: ssh -N -L 8000:localhost:{_port(address)} {address.host}",
    )


async def exposure(address: Address) -> Finding | None:
    """A warning if a server on this machine is open to the network and requires no key."""
    if not is_here(address) or urlsplit(address.base_url).hostname == ANOTHER_LOOPBACK:
        return None
    path = urlsplit(address.base_url).path
    outside = msgspec.structs.replace(
        address, base_url=f"http://{ANOTHER_LOOPBACK}:{_port(address)}{path}", key=None, headers={}, proxy=None
    )
    line = Transport(outside)
    try:
        status, _ = await line.get(f"{outside.base_url}/models", address.deadlines.connect)
    except ModelError:
        return None
    finally:
        await line.aclose()
    if status != 200:
        return None
    return Finding(
        "network",
        "warning",
        "The server listens on all addresses of this machine and requires no key: anyone on its network can use it.",
        "Start it with --host 127.0.0.1 (Docker: -p 127.0.0.1:8000:8000), or with --api-key.",
    )


def _port(address: Address) -> int:
    parts = urlsplit(address.base_url)
    return parts.port or (443 if parts.scheme == "https" else 80)


def holder(address: Address) -> str:
    """The program that listens at an address on this machine; empty if that cannot be seen."""
    return machine.holder(_port(address)) if is_here(address) else ""


def gpus(address: Address) -> Finding:
    """The GPUs of this machine, how full they are, and which processes use them."""
    if not is_here(address):
        return Finding("GPU", "not known", f"The server is on another machine, {address.host}.")
    found = machine.gpus()
    if not found:
        return Finding("GPU", "good", "This machine has none, or its driver's tools are missing.")
    return Finding("GPU", "good", "; ".join(_gpu(gpu) for gpu in found) + ".")


def _gpu(gpu: machine.Gpu) -> str:
    users = ", ".join(f"{user.name} (pid {user.pid})" for user in gpu.users)
    used, total = gpu.used / 1e9, gpu.total / 1e9
    return f"{gpu.name}: {used:.1f} of {total:.1f} GB used{f' by {users}' if users else ''}"
