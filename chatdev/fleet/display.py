"""The progress of a batch, on a terminal or in a log: a line for each finished project, and a status."""

import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, TextIO

from chatdev.fleet.ledger import Result
from chatdev.fleet.pool import PoolStatus
from chatdev.views.text import one_line

if TYPE_CHECKING:
    from rich.progress import Progress

PLAIN = 30.0
"""Seconds between two status lines where the output is no terminal."""
_MEMORY = 30.0
"""Seconds over which tokens per second are averaged."""


def clock(seconds: float) -> str:
    """Hours, minutes and seconds: ``1:02:03``."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


class Display:
    """Writes to ``out``. ``earlier`` are results of earlier commands, ``total`` is the number of all projects of this
    command; ``status`` reports the running ones."""

    def __init__(
        self,
        out: TextIO,
        total: int,
        earlier: Collection[Result],
        status: Callable[[], PoolStatus],
        *,
        quiet: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._total, self._status, self._now = out, total, status, now
        self._quiet = quiet
        self._bar = _bar(out, total) if out.isatty() and not quiet else None
        self._counts: Counter[str] = Counter(each.status for each in earlier)
        self._cost = sum(each.cost for each in earlier)
        self._started_at, self._finished_here = now(), 0
        self._samples: list[tuple[float, int]] = [(self._started_at, 0)]
        self._last = self._started_at

    def ended(self, result: Result) -> None:
        """A project has finished: print its line."""
        self._counts[result.status] += 1
        self._cost += result.cost
        self._finished_here += 1
        if self._quiet:
            return
        outcome = one_line(result.verdict or f"error: {result.error}", 300)
        done = self._counts.total()
        self._say(
            f"[{done}/{self._total}] {one_line(result.name)}: {outcome} ({result.calls} calls, {clock(result.seconds)})"
        )

    def tick(self) -> None:
        """Show the status: on a terminal each time, otherwise every half minute."""
        if self._bar:
            self._bar.start()
            self._bar.update(self._bar.task_ids[0], completed=self._counts.total(), description=self.line())
            self._bar.refresh()
        elif not self._quiet and self._now() - self._last >= PLAIN:
            self._last = self._now()
            self._say(self.line())

    def close(self) -> None:
        """Clear the status."""
        if self._bar:
            self._bar.stop()

    def line(self) -> str:
        """The status, as one line."""
        now, status, counts = self._now(), self._status(), self._counts
        self._samples = [each for each in self._samples if now - each[0] <= _MEMORY] or self._samples[-1:]
        oldest, tokens = self._samples[0]
        speed = (status.tokens - tokens) / (now - oldest) if now > oldest else 0.0
        self._samples.append((now, status.tokens))
        done = counts.total()
        seconds_left = (
            (self._total - done) * (now - self._started_at) / self._finished_here if self._finished_here else None
        )
        parts = [
            f"{done} of {self._total} finished: {counts['passed']} passed, {counts['failed']} failed",
            f"errors: {counts['error']}" if counts["error"] else "",
            f"{status.running} running (limit {status.limit})",
            f"{status.out} calls in flight, {speed:,.0f} tokens/s",
            f"${self._cost:.2f}" if self._cost else "",
            f"{clock(seconds_left)} left" if seconds_left is not None else "",
        ]
        return " · ".join(filter(None, parts))

    def _say(self, text: str) -> None:
        if self._bar:
            self._bar.console.print(text, soft_wrap=True)
        else:
            self._out.write(f"{text}\n")
            self._out.flush()


def _bar(out: TextIO, total: int) -> "Progress | None":
    """A bar with a status beside it; None for a terminal that cannot move its cursor. rich is imported here, so that a
    pipe is spared the time."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn
    from rich.table import Column

    console = Console(file=out, highlight=False, markup=False, emoji=False)
    if console.is_dumb_terminal:
        return None
    status = TextColumn("{task.description}", markup=False, table_column=Column(ratio=1, no_wrap=True))
    bar = Progress(
        BarColumn(bar_width=20),
        status,
        console=console,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        expand=True,
    )
    bar.add_task("", total=total)
    return bar
