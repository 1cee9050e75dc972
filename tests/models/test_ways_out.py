"""Proxies and name servers between ChatDev and an endpoint: those that fail, and those that take their time."""

import asyncio
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from helpers.fake_server import serving

from chatdev.models import errors
from chatdev.models.address import Address
from chatdev.models.resolver import Resolver
from chatdev.models.transport import Transport
from chatdev.settings import Secret

ROOT = Path(__file__).parents[2]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def failed(url: str, proxy: str) -> errors.ModelError:
    line = Transport(Address(base_url=url, proxy=Secret(proxy)))
    with pytest.raises(errors.ModelError) as error:
        await line.get(f"{url}/models", 10)
    await line.aclose()
    return error.value


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_does_not_listen_is_named_and_its_login_is_not(scheme: str) -> None:
    port = closed_port()
    error = await failed(f"{scheme}://model.example/v1", f"http://me:hunter2@127.0.0.1:{port}")
    assert isinstance(error, errors.Unreachable)
    assert error.what == (
        f"The proxy at 127.0.0.1:{port} did not connect to {scheme}://model.example/v1 (connection refused)."
    )
    assert "NO_PROXY" in error.do


async def test_a_proxy_that_refuses_the_way_is_named() -> None:
    async with serving() as server:  # it knows no CONNECT
        error = await failed("https://model.example/v1", server.url.removesuffix("/v1"))
    assert error.what.startswith(f"The proxy at {server.url.split('/')[2]} did not connect to https://model.example/v1")
    assert "HTTP 40" in error.what


async def test_a_proxy_without_an_address_is_named() -> None:
    error = await failed("http://model.example/v1", "http://proxy.invalid:3128")
    assert "The proxy at proxy.invalid:3128" in error.what
    assert "host name cannot be resolved" in error.what


async def test_without_a_proxy_the_server_is_named() -> None:
    line = Transport(Address(base_url="http://model.invalid/v1"))
    with pytest.raises(errors.Unreachable, match=r"No model server answered at http://model\.invalid/v1"):
        await line.get("http://model.invalid/v1/models", 10)
    await line.aclose()


async def test_localhost_is_this_machine_by_both_protocols_without_a_lookup() -> None:
    def lookup(*_: Any) -> list[Any]:
        raise AssertionError

    found = await Resolver(lookup).resolve("LocalHost", 80, socket.AF_UNSPEC)
    assert [(each["host"], each["port"]) for each in found] == [("127.0.0.1", 80), ("::1", 80)]
    assert [each["host"] for each in await Resolver(lookup).resolve("localhost", 80)] == ["127.0.0.1"]


async def test_what_cannot_be_resolved_is_an_error_of_the_system() -> None:
    for host in ("nowhere.invalid", "a" * 70):
        with pytest.raises(OSError):
            await Resolver().resolve(host, 80)


async def test_a_lookup_that_takes_its_time_holds_no_deadline() -> None:
    released = threading.Event()

    def lookup(*_: Any) -> list[Any]:
        released.wait(60)
        return []

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await Resolver(lookup).resolve("slow.example", 80)
    assert not released.is_set()
    released.set()


def test_a_lookup_that_never_ends_holds_neither_the_loop_nor_the_process() -> None:
    code = """
import asyncio, threading
from chatdev.models.resolver import Resolver
async def main():
    try:
        async with asyncio.timeout(0.05):
            await Resolver(lambda *_: threading.Event().wait()).resolve("slow.example", 80)
    except TimeoutError:
        print("deadline")
asyncio.run(main())
print("ended")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.stdout, done.stderr, done.returncode) == ("deadline\nended\n", "", 0)
