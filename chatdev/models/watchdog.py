"""Watches one call while its answer arrives: progress, deadlines, and reasons to end it early."""

import asyncio

from chatdev.models.address import Address
from chatdev.models.early_stop import StopCondition
from chatdev.models.errors import CutShort, Stalled
from chatdev.models.stream import AnswerReader
from chatdev.models.types import Progress, Watch

AFTER_DONE = 1.0
"""Seconds to wait for the end of the body after the stream's own end mark; then the connection is closed. The answer
is kept."""

LARGEST = 256 * 1024 * 1024
"""Bytes of one answer: the longest answers of the largest models, at some hundred bytes per token."""


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
        self._began = self._last_piece_at = self._loop.time()
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

    def received(self, size: int) -> None:
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
            self._timer = self._loop.call_later(AFTER_DONE, self._expire)
        if self._reader.pieces == self._pieces:
            return
        self._pieces = self._reader.pieces
        self._last_piece_at = self._loop.time()
        if self.first_token is None:
            self.first_token = self._last_piece_at - self._began
            if not self._ending:
                self._timer.cancel()
                self._timer = self._loop.call_at(self._last_piece_at + self._deadlines.idle, self._wake)
        if self._watch:
            for kind, text in self._reader.news():
                self._watch(Progress(kind, text, self._last_piece_at - self._began, self._pieces))
        if (
            self._stop_condition
            and not self._reader.finish_reason
            and (stop := self._stop_condition.check(*self._reader.so_far))
        ):
            self._reader.stop_early(*stop)

    def _wake(self) -> None:
        now, waiting = self._loop.time(), self.first_token is None
        limit = self._began + self._patience if waiting else self._last_piece_at + self._deadlines.idle
        if now >= limit:
            self._expire()
            return
        if waiting and self._watch:
            self._watch(Progress("waiting", seconds=now - self._began))
            limit = min(limit, now + 1)
        self._timer = self._loop.call_at(limit, self._wake)

    def _expire(self) -> None:
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
