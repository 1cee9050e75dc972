"""The progress of a batch, on a terminal or in a log: a line for each finished project, and a status line."""

import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import TextIO

from chatdev.fleet.ledger import Result
from chatdev.fleet.pool import PoolStatus

PLAIN = 30.0
"""Seconds between two status lines where the output is no terminal."""
_MEMORY = 30.0
"""Seconds over which tokens per second are averaged."""


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: ``1:02:03``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class Display:
    """Writes to ``out``. ``before`` are results of earlier commands, ``total`` is the number of all projects of this
    command; ``standing`` reports the running ones."""

    def __init__(
        self,
        out: TextIO,
        total: int,
        before: Collection[Result],
        standing: Callable[[], PoolStatus],
        *,
        quiet: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._total, self._standing, self._now = out, total, standing, now
        self._drawn = out.isatty() and not quiet
        self._quiet = quiet
        self._counts: Counter[str] = Counter(each.status for each in before)
        self._cost = sum(each.cost for each in before)
        self._begun, self._here = now(), 0
        self._seen: list[tuple[float, int]] = [(self._begun, 0)]
        self._last = self._begun

    def ended(self, result: Result) -> None:
        """A project has finished: print its line."""
        self._counts[result.status] += 1
        self._cost += result.cost
        self._here += 1
        if self._quiet:
            return
        told = result.verdict or f"error: {result.error}"
        done = self._counts.total()
        self._say(f"[{done}/{self._total}] {result.name}: {told} ({result.calls} calls, {clock(result.seconds)})")

    def tick(self) -> None:
        """Show the status line: on a terminal each time, otherwise every half minute."""
        if self._drawn:
            self._out.write(f"\r\x1b[K{self.line()}")
            self._out.flush()
        elif not self._quiet and self._now() - self._last >= PLAIN:
            self._last = self._now()
            self._say(self.line())

    def close(self) -> None:
        """Clear the status line."""
        if self._drawn:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def line(self) -> str:
        """The status line."""
        now, standing, counts = self._now(), self._standing(), self._counts
        self._seen = [each for each in self._seen if now - each[0] <= _MEMORY] or self._seen[-1:]
        then, tokens = self._seen[0]
        speed = (standing.tokens - tokens) / (now - then) if now > then else 0.0
        self._seen.append((now, standing.tokens))
        done = counts.total()
        left = (self._total - done) * (now - self._begun) / self._here if self._here else None
        parts = [
            f"{done} of {self._total} finished: {counts['passed']} passed, {counts['failed']} failed",
            f"errors: {counts['error']}" if counts["error"] else "",
            f"{standing.running} running (limit {standing.limit})",
            f"{standing.out} calls in flight, {speed:,.0f} tokens/s",
            f"${self._cost:.2f}" if self._cost else "",
            f"{clock(left)} left" if left is not None else "",
        ]
        return " · ".join(filter(None, parts))

    def _say(self, text: str) -> None:
        self._out.write(f"\r\x1b[K{text}\n" if self._drawn else f"{text}\n")
        self._out.flush()
