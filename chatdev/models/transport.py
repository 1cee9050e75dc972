"""HTTP to one endpoint: one client session per event loop, deadlines, and aiohttp errors mapped to ours.

This module imports aiohttp (0.15 s): it is imported when a backend is first used.
"""

import asyncio
import errno
import re
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, NamedTuple

import aiohttp
import msgspec
from multidict import CIMultiDict

from chatdev.errors import SettingsError
from chatdev.models import debug, proxy, refusals
from chatdev.models.address import Address
from chatdev.models.early_stop import StopCondition
from chatdev.models.errors import CutShort, Disconnected, EndpointError, ModelError, ServerBroke, Stalled, Unreachable
from chatdev.models.refusals import Refusal
from chatdev.models.resolver import Resolver
from chatdev.models.stream import AnswerReader, ServerAnswer
from chatdev.models.types import Watch
from chatdev.models.watchdog import Watchdog

POOLED = 4.0
"""Seconds that an idle connection is kept: vLLM (uvicorn) closes it after 5."""

Debug = Callable[[str], None]


class Reply(NamedTuple):
    """The outcome of a call, and its times: ``first_token`` and ``seconds`` are seconds after the request was sent."""

    outcome: ServerAnswer | Refusal
    first_token: float | None
    seconds: float


class Page(NamedTuple):
    """A page of a server: its HTTP status, its body, and the text of its header ``Retry-After``."""

    status: int
    body: bytes
    retry_after: str = ""


class _Open(NamedTuple):
    """The state of one event loop. The keeper is a generator that closes the session when it is closed itself: by us,
    by ``asyncio.run`` at its end, or by the garbage collector through the loop's hook."""

    session: aiohttp.ClientSession
    keeper: AsyncGenerator[None, None]
    describing: asyncio.Lock
    slots: dict[int, asyncio.Semaphore]

    def slot(self, calls: int | None) -> AbstractAsyncContextManager[object]:
        """Each call enters this, so that at most ``calls`` are in flight at the same time (None: no limit)."""
        return self.slots.setdefault(calls, asyncio.Semaphore(calls)) if calls else nullcontext()


class Transport:
    """HTTP to one endpoint from any event loop, with a session for each in ``sessions``. ``debug`` gets a text for each
    request and answer, keys masked."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.debug: Debug | None = None
        self._url = f"{address.base_url}/chat/completions"
        self.sessions: dict[asyncio.AbstractEventLoop, _Open] = {}
        self._proxy = address.proxy.reveal() if address.proxy else None
        self._headers = CIMultiDict({"Content-Type": "application/json", "User-Agent": "chatdev"})
        if address.key:
            self._headers["Authorization"] = f"Bearer {address.key.reveal()}"
        for name, value in address.headers.items():
            self._headers[name] = value.reveal()
        self._headers["Accept-Encoding"] = "identity"  # whatever the user's headers say: a stream must not be buffered

    async def opened(self) -> _Open:
        """The session of the running loop, with a lock for requests that are to be sent only once."""
        loop = asyncio.get_running_loop()
        state = self.sessions.get(loop)
        if state is None or state.session.closed:
            self.sessions = {other: held for other, held in self.sessions.items() if not other.is_closed()}
            session = self._session()
            state = self.sessions[loop] = _Open(session, _kept(session), asyncio.Lock(), {})
            await anext(state.keeper)
        return state

    def _session(self, *, pooled: bool = True) -> aiohttp.ClientSession:
        trusted: ssl.SSLContext | bool = True
        # Reading the system's certificates takes 25 ms, and SSL_CERT_FILE is often set: not for plain HTTP.
        encrypted = self.address.base_url.startswith("https:") or self._proxy is not None
        if self.address.ca_file and encrypted:
            try:
                trusted = ssl.create_default_context()
                own = self.address.ca_file
                trusted.load_verify_locations(*((None, own) if own.is_dir() else (own,)))
            except (OSError, ssl.SSLError) as error:
                raise SettingsError(f"The CA file {self.address.ca_file} cannot be used: {error}.") from None
        connector = (
            aiohttp.TCPConnector(limit=0, keepalive_timeout=POOLED, ssl=trusted, resolver=Resolver())
            if pooled
            else aiohttp.TCPConnector(force_close=True, ssl=trusted, resolver=Resolver())
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=None, connect=self.address.deadlines.connect),
        )

    async def aclose(self) -> None:
        """Close the sessions of all loops that are still running."""
        here = asyncio.get_running_loop()
        held, self.sessions = self.sessions, {}
        for loop, each in held.items():
            if loop is here:
                await each.keeper.aclose()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(each.keeper.aclose(), loop))

    def log_debug(self, text: str) -> None:
        """Send a text to ``debug``, if it is set, keys masked."""
        if self.debug:
            self.debug(self.address.masked(text))

    async def fetch(self, url: str, seconds: float, *, shown: bool = True) -> Page:
        """What a GET of ``url`` returns within ``seconds``; ``shown``: also send it to ``debug``.

        Raises Unreachable, Stalled, ServerBroke.
        """
        return await self._fetch("GET", url, None, seconds, shown)

    async def get(self, url: str, seconds: float, *, shown: bool = True) -> tuple[int, bytes]:
        """The same, as status and body."""
        return (await self.fetch(url, seconds, shown=shown))[:2]

    async def post(self, url: str, value: Mapping[str, Any], seconds: float) -> tuple[int, bytes]:
        """The same for a POST of a JSON object."""
        return (await self._fetch("POST", url, msgspec.json.encode(value), seconds, True))[:2]

    async def _fetch(self, method: str, url: str, data: bytes | None, seconds: float, shown: bool) -> Page:
        session = (await self.opened()).session
        try:
            async with asyncio.timeout(seconds):
                async with session.request(
                    method, url, data=data, proxy=self._proxy, allow_redirects=False
                ) as response:
                    _require_decodable(response, self.address)
                    body = await response.read()
        except aiohttp.ClientError as error:
            raise _mapped(error, self.address) from error
        except TimeoutError:
            raise Stalled(f"The server at {self.address.base_url} did not answer within {seconds:g} s.") from None
        if shown and self.debug:
            self.log_debug(f"< HTTP {response.status} from {method} {url}\n{body.decode('utf-8', 'replace')}")
        return Page(response.status, _explained(response, body), response.headers.get("Retry-After", ""))

    async def post_chat(
        self,
        body: Mapping[str, Any],
        *,
        request_id: str = "",
        watch: Watch | None = None,
        stop_condition: Callable[[], StopCondition] | None = None,
        fresh: bool = False,
    ) -> Reply:
        """Send one chat request and read its whole answer, or until its ``stop_condition`` says stop.

        ``fresh``: on a new connection, since the pool may hold more that the server has closed. Raises Unreachable, and
        ServerFault if a retry may help; a refusal of the server is returned as Refusal.
        """
        reader = AnswerReader()
        limit = body.get("max_tokens") or body.get("max_completion_tokens") or 0
        streamed = bool(body.get("stream"))
        watchdog = Watchdog(
            reader, self.address, streamed, watch, limit, stop_condition() if stop_condition and streamed else None
        )
        session = self._session(pooled=False) if fresh else (await self.opened()).session
        try:
            outcome = await self._with_debug(session, body, request_id, reader, watchdog)
        finally:
            if fresh:
                await session.close()
        return Reply(outcome, watchdog.first_token, watchdog.seconds())

    async def _with_debug(
        self,
        session: aiohttp.ClientSession,
        body: Mapping[str, Any],
        request_id: str,
        reader: AnswerReader,
        watchdog: Watchdog,
    ) -> ServerAnswer | Refusal:
        """Send ``debug`` the request, and its answer or failure."""
        data = msgspec.json.encode(body)
        if self.debug:
            self.log_debug(debug.sent(self._url, request_id, session.headers, data.decode()))
        try:
            outcome = await self._with_deadlines(session, data, request_id, reader, watchdog)
        except ModelError as error:
            if self.debug:
                self.log_debug(debug.failed(self._url, request_id, watchdog.seconds(), error))
            raise
        if self.debug:
            ids, times = (watchdog.status, watchdog.server_id), (watchdog.first_token, watchdog.seconds())
            self.log_debug(debug.came(self._url, request_id, *ids, *times, outcome))
        return outcome

    async def _with_deadlines(
        self, session: aiohttp.ClientSession, data: bytes, request_id: str, reader: AnswerReader, watchdog: Watchdog
    ) -> ServerAnswer | Refusal:
        """End the exchange when a deadline passes; an answer that is complete by then counts."""
        try:
            async with asyncio.timeout(self.address.deadlines.total) as scope:
                watchdog.start(scope)
                return await self._post_stream(session, data, request_id, reader, watchdog)
        except TimeoutError:
            if not (reader.finish_reason or reader.done):
                raise watchdog.stalled() from None
            return reader.close()
        finally:
            watchdog.stop()

    async def _post_stream(
        self, session: aiohttp.ClientSession, data: bytes, request_id: str, reader: AnswerReader, watchdog: Watchdog
    ) -> ServerAnswer | Refusal:
        """Send the request, and read the answer or the refusal."""
        try:
            async with session.post(
                self._url,
                data=data,
                headers={"X-Request-Id": request_id} if request_id else None,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                watchdog.status, watchdog.server_id = response.status, response.headers.get("X-Request-Id", "")
                if response.status >= 300:
                    explained = _explained(response, await response.read())
                    return refusals.read(response.status, explained, response.headers.get("Retry-After", ""))
                _require_decodable(response, self.address)
                async for piece in response.content.iter_any():
                    reader.feed(piece)
                    watchdog.received(len(piece))
                    if reader.stopped:
                        response.close()
                        break
        except aiohttp.ClientError as error:
            if reader.finish_reason:
                return reader.close()
            if reader.pieces:
                raise CutShort(f"The connection broke after {reader.pieces} chunks of the answer.") from error
            raise _mapped(error, self.address) from error
        return reader.close()


async def _kept(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await session.close()


def _explained(response: aiohttp.ClientResponse, body: bytes) -> bytes:
    """The body, or the target of a redirect. Redirects are not followed: they would turn a POST into a GET."""
    if 300 <= response.status < 400:
        return f"a redirect to {response.headers.get('Location', 'nowhere')}".encode()
    return body


_REASONS = {errno.ECONNREFUSED: "connection refused", errno.EHOSTUNREACH: "no route to host"}


def _mapped(error: aiohttp.ClientError, address: Address) -> ModelError:
    """An aiohttp error as one of ours."""
    if failed := proxy.failure(error, address):
        return failed
    if isinstance(error, aiohttp.ServerTimeoutError):
        return _unreachable(address, f"no connection within {address.deadlines.connect:g} s")
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return _unreachable(
            address, f"its certificate is not trusted: {error.certificate_error}", "Set ca_file in chatdev.toml."
        )
    if isinstance(error, aiohttp.ClientConnectorSSLError):
        return _unreachable(address, "no TLS on this port", "Use http:// instead of https://.")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return _unreachable(address, f"cannot resolve the host name {address.host}")
    if isinstance(error, aiohttp.ClientConnectorError):
        failed = _unreachable(address, _REASONS.get(error.os_error.errno or 0, str(error.os_error)))
        failed.refused = error.os_error.errno == errno.ECONNREFUSED
        return failed
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return Disconnected(f"The server at {address.base_url} closed the connection without an answer.")
    if (text := str(error).lower()) and "content-encoding" in text:
        named = re.search(r"content-encoding: (?:.*\()?(\w+)", text)
        return _undecodable(address, named[1] if named else "")
    if isinstance(error, aiohttp.ClientResponseError):
        return refusals.not_a_model_server(address, f"invalid HTTP ({error.message})")
    return ServerBroke(f"Reading the answer from the server at {address.base_url} failed: {error}.")


def _require_decodable(response: aiohttp.ClientResponse, address: Address) -> None:
    """Raise EndpointError for a compression that aiohttp passes through as it is."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip", "deflate", "br", "zstd"):
        raise _undecodable(address, encoding)


def _undecodable(address: Address, encoding: str) -> EndpointError:
    return EndpointError(
        f"The server at {address.base_url} compressed its answer as {encoding or 'something unknown'}, although no "
        "compression was requested, and that cannot be read here.",
        do="Switch off compression in the server, or in the proxy before it.",
    )


def _unreachable(address: Address, why: str, do: str = "") -> Unreachable:
    return Unreachable(f"No model server answered at {address.base_url} ({why}).", do=do or address.how_to_reach)
