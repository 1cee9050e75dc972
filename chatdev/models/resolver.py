"""Host names to addresses, in threads that nothing waits for.

The event loop's own resolver uses a pool of threads, and the end of the loop waits for them: a name server that does
not answer for half a minute would hold a finished run and Ctrl-C for as long.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from chatdev.settings.urls import is_this_machine

Lookup = Callable[..., list[Any]]


class Resolver(AbstractResolver):
    """Resolves by the system's rules; ``localhost`` is this machine by IPv4 and by IPv6, without a lookup."""

    def __init__(self, lookup: Lookup = socket.getaddrinfo) -> None:
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of ``host``. Raises OSError."""
        if is_this_machine(host.lower()):
            found = [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
            return [_result(host, port, kind, at) for kind, at in found if family in (socket.AF_UNSPEC, kind)]
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Any]] = loop.create_future()

        def work() -> None:
            try:
                addresses, error = self._lookup(host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG), None
            except OSError as failure:
                addresses, error = [], failure
            except UnicodeError as failure:
                addresses, error = [], OSError(None, f"{host} cannot be a host name ({failure})")
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, answer, addresses, error)

        threading.Thread(target=work, name=f"resolve {host}", daemon=True).start()
        return [_result(host, port, kind, str(at[0])) for kind, _, _, _, at in await answer if at[0]]

    async def close(self) -> None:
        """See AbstractResolver; there is nothing to close."""


def _settle(answer: "asyncio.Future[list[Any]]", addresses: list[Any], error: OSError | None) -> None:
    if answer.done():
        return
    if error:
        answer.set_exception(error)
    else:
        answer.set_result(addresses)


def _result(host: str, port: int, family: int, at: str) -> ResolveResult:
    flags = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    return ResolveResult(hostname=host, host=at, port=port, family=family, proto=0, flags=flags)
