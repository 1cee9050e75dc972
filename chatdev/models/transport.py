"""HTTP to one endpoint: one client session per event loop, deadlines, and aiohttp errors mapped to ours.

This module imports aiohttp (0.15 s): it is imported when a backend is first used.
"""

import asyncio
import errno
import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, NamedTuple

import aiohttp
import msgspec

from chatdev.errors import SettingsError
from chatdev.models import debug, proxy, refusals
from chatdev.models.address import Address
from chatdev.models.early_stop import StopCondition
from chatdev.models.errors import CutShort, Disconnected, ModelError, ServerBroke, Stalled, Unreachable
from chatdev.models.refusals import Refusal
from chatdev.models.resolver import Resolver
from chatdev.models.stream import AnswerReader, ServerAnswer
from chatdev.models.types import Progress, Watch

POOLED = 4.0
"""Seconds that an idle connection is kept: vLLM (uvicorn) closes it after 5."""

AFTER_DONE = 1.0
"""Seconds to wait for the end of the body after the stream's own end mark; then the connection is closed. The answer
is kept."""

LARGEST = 256 * 1024 * 1024
"""Bytes of one answer: the longest answers of the largest models, at some hundred bytes per token."""

Debug = Callable[[str], None]


class Reply(NamedTuple):
    """The outcome of a call, and its times: ``first_token`` and ``seconds`` are seconds after the request was sent."""

    outcome: ServerAnswer | Refusal
    first_token: float | None
    seconds: float


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
    """HTTP to one endpoint from any event loop. ``debug`` gets a text for each request and answer, keys masked."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.debug: Debug | None = None
        self._url = f"{address.base_url}/chat/completions"
        self._open: dict[asyncio.AbstractEventLoop, _Open] = {}
        self._proxy = address.proxy.reveal() if address.proxy else None
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", "User-Agent": "chatdev"}
        if address.key:
            self._headers["Authorization"] = f"Bearer {address.key.reveal()}"
        self._headers |= {name: value.reveal() for name, value in address.headers.items()}

    async def opened(self) -> _Open:
        """The session of the running loop, with a lock for requests that are to be sent only once."""
        loop = asyncio.get_running_loop()
        state = self._open.get(loop)
        if state is None or state.session.closed:
            self._open = {other: held for other, held in self._open.items() if not other.is_closed()}
            session = self._session()
            state = self._open[loop] = _Open(session, _kept(session), asyncio.Lock(), {})
            await anext(state.keeper)
        return state

    def _session(self, *, pooled: bool = True) -> aiohttp.ClientSession:
        trusted: ssl.SSLContext | bool = True
        if self.address.ca_file:
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
        held, self._open = self._open, {}
        for loop, each in held.items():
            if loop is here:
                await each.keeper.aclose()
            elif loop.is_running():
                await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(each.keeper.aclose(), loop))

    def tell(self, text: str) -> None:
        """Send a text to ``debug``, if it is set, keys masked."""
        if self.debug:
            self.debug(self.address.masked(text))

    async def get(self, url: str, seconds: float, *, shown: bool = True) -> tuple[int, bytes]:
        """The status and the body of ``url``, within ``seconds``; ``shown``: also send them to ``debug``.

        Raises Unreachable, Stalled, ServerBroke.
        """
        return await self._fetch("GET", url, None, seconds, shown)

    async def post(self, url: str, value: Mapping[str, Any], seconds: float) -> tuple[int, bytes]:
        """The same for a POST of a JSON object."""
        return await self._fetch("POST", url, msgspec.json.encode(value), seconds, True)

    async def _fetch(self, method: str, url: str, data: bytes | None, seconds: float, shown: bool) -> tuple[int, bytes]:
        session = (await self.opened()).session
        try:
            async with asyncio.timeout(seconds):
                async with session.request(
                    method, url, data=data, proxy=self._proxy, allow_redirects=False
                ) as response:
                    body = await response.read()
        except aiohttp.ClientError as error:
            raise _mapped(error, self.address) from error
        except TimeoutError:
            raise Stalled(f"The server at {self.address.base_url} did not answer within {seconds:g} s.") from None
        if shown and self.debug:
            self.tell(f"< HTTP {response.status} from {method} {url}\n{body.decode('utf-8', 'replace')}")
        return response.status, _explained(response, body)

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
        watchdog: "Watchdog",
    ) -> ServerAnswer | Refusal:
        """Send ``debug`` the request, and its answer or failure."""
        data = msgspec.json.encode(body)
        if self.debug:
            self.tell(debug.sent(self._url, request_id, session.headers, data.decode()))
        try:
            outcome = await self._with_deadlines(session, data, request_id, reader, watchdog)
        except ModelError as error:
            if self.debug:
                self.tell(debug.failed(self._url, request_id, watchdog.seconds(), error))
            raise
        if self.debug:
            ids, times = (watchdog.status, watchdog.server_id), (watchdog.first_token, watchdog.seconds())
            self.tell(debug.came(self._url, request_id, *ids, *times, outcome))
        return outcome

    async def _with_deadlines(
        self, session: aiohttp.ClientSession, data: bytes, request_id: str, reader: AnswerReader, watchdog: "Watchdog"
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
        self, session: aiohttp.ClientSession, data: bytes, request_id: str, reader: AnswerReader, watchdog: "Watchdog"
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
                async for piece in response.content.iter_any():
                    reader.feed(piece)
                    watchdog.heard(len(piece))
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


class Watchdog:
    """Watches one call: reports about every second that it waits, and ends it when a deadline passes without data, or
    when its ``stop_condition`` says so.

    ``status`` is HTTP's and ``server_id`` the server's own ``X-Request-Id``, once the response has begun.
    """

    def __init__(
        self,
        reader: AnswerReader,
        address: Address,
        streamed: bool,
        watch: Watch | None,
        limit: int = 0,
        stop_condition: StopCondition | None = None,
    ) -> None:
        self.first_token: float | None = None
        self.status = 0
        self.server_id = ""
        self._reader = reader
        self._address = address
        self._deadlines = address.deadlines
        self._patience = self._deadlines.first_token if streamed else self._deadlines.total
        self._watch = watch
        self._stop_condition = stop_condition
        self._loop = asyncio.get_running_loop()
        self._began = self._heard = self._loop.time()
        self._pieces = 0
        self._most = 2 * limit + 100 if limit else 0  # pieces (about tokens) that exceed the limit clearly
        self._bytes = 0
        self._ending = False
        self._timer: asyncio.TimerHandle

    def start(self, scope: asyncio.Timeout) -> None:
        """Start; a passed deadline ends ``scope``."""
        self._scope = scope
        first = min(1.0, self._patience) if self._watch else self._patience
        self._timer = self._loop.call_at(self._began + first, self._wake)

    def stop(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def seconds(self) -> float:
        """Seconds since the request was sent."""
        return self._loop.time() - self._began

    def heard(self, size: int) -> None:
        """``size`` bytes came. Only pieces of the answer count as progress: a proxy can send comments forever.

        Raises CutShort for a server that ignores the token limit of the answer.
        """
        self._bytes += size
        if self._bytes > LARGEST or 0 < self._most < self._reader.pieces:
            raise CutShort(
                f"The server at {self._address.base_url} ignored the token limit of the answer; the stream was closed "
                f"after {self._reader.pieces:,} chunks."
            )
        if self._reader.done and not self._ending:
            self._ending = True
            self._timer.cancel()
            self._timer = self._loop.call_later(AFTER_DONE, self._give_up)
        if self._reader.pieces == self._pieces:
            return
        self._pieces = self._reader.pieces
        self._heard = self._loop.time()
        if self.first_token is None:
            self.first_token = self._heard - self._began
            if not self._ending:
                self._timer.cancel()
                self._timer = self._loop.call_at(self._heard + self._deadlines.idle, self._wake)
        if self._watch:
            for kind, text in self._reader.news():
                self._watch(Progress(kind, text, self._heard - self._began, self._pieces))
        if (
            self._stop_condition
            and not self._reader.finish_reason
            and (stop := self._stop_condition.look(*self._reader.so_far))
        ):
            self._reader.leave(*stop)

    def _wake(self) -> None:
        now, waiting = self._loop.time(), self.first_token is None
        limit = self._began + self._patience if waiting else self._heard + self._deadlines.idle
        if now >= limit:
            self._give_up()
            return
        if waiting and self._watch:
            self._watch(Progress("waiting", seconds=now - self._began))
            limit = min(limit, now + 1)
        self._timer = self._loop.call_at(limit, self._wake)

    def _give_up(self) -> None:
        self._scope.reschedule(self._loop.time())

    def stalled(self) -> Stalled:
        """The error for the deadline that passed."""
        url, limits, spent = self._address.base_url, self._deadlines, self.seconds()
        if spent >= limits.total:
            what, name = f"did not finish within {limits.total:g} s", "total"
        elif self.first_token is None:
            what, name = f"sent no first token within {limits.first_token:g} s", "first_token"
        else:
            what, name = f"sent nothing for {limits.idle:g} s after {self._pieces} chunks of its answer", "idle"
        return Stalled(
            f"The server at {url} {what}.", do=f"If it is just slow, raise deadlines.{name} in chatdev.toml."
        )


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
        return _unreachable(address, _REASONS.get(error.os_error.errno or 0, str(error.os_error)))
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
        return Disconnected(f"The server at {address.base_url} closed the connection without an answer.")
    if isinstance(error, aiohttp.ClientResponseError):
        return refusals.not_a_model_server(address, f"invalid HTTP ({error.message})")
    return ServerBroke(f"Reading the answer from the server at {address.base_url} failed: {error}.")


def _unreachable(address: Address, why: str, do: str = "") -> Unreachable:
    return Unreachable(f"No model server answered at {address.base_url} ({why}).", do=do or address.how_to_reach)
