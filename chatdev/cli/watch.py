"""Who watches a run besides its user: a scraper of metrics, a collector of spans; and what the server says."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from chatdev.cli.options import How
from chatdev.cli.voice import Voice
from chatdev.journal.store import Record
from chatdev.models.backend import ModelBackend
from chatdev.settings import Settings, traces_url

if TYPE_CHECKING:
    from chatdev.ops.tracing import Tracing
    from chatdev.views.prometheus import Metrics
    from chatdev.views.spans import Spans

LOOK = 3.0
"""Seconds between two looks at the server's own metrics."""


class Watchers:
    """All who listen to the records of a run: the voice, and whoever was asked for."""

    def __init__(self, voice: Voice, metrics: "Metrics | None" = None, tracing: "Tracing | None" = None) -> None:
        self.voice = voice
        self._metrics = metrics
        self._tracing = tracing
        self._spans: Spans | None = None

    def begun(self, before: Sequence[Record]) -> None:
        """The work begins; ``before`` is what the log holds already."""
        self.voice.begun(before)
        if self._metrics:
            for record in before:
                self._metrics.take(record)
        if self._tracing:
            from chatdev.views.spans import Spans

            self._spans = Spans(before)
            self._tracing.send(self._spans.left)

    def on_record(self, record: Record) -> None:
        """A listener for the store."""
        self.voice.on_record(record)
        if self._metrics:
            self._metrics.take(record)
        if self._spans and self._tracing:
            self._tracing.send(self._spans.take(record))


@contextlib.asynccontextmanager
async def watchers(how: How, settings: Settings, voice: Voice) -> AsyncIterator[Watchers]:
    """Those that the options and the settings ask for. Raises UserError if the metrics' port is taken."""
    url = traces_url(how.otel_endpoint) if how.otel_endpoint else settings.otlp_traces
    async with contextlib.AsyncExitStack() as stack:
        metrics: Metrics | None = None
        if how.metrics_port is not None:
            from chatdev.ops import scrape
            from chatdev.views.prometheus import Metrics as Fold

            metrics = Fold()
            page = await stack.enter_async_context(scrape.serving(how.metrics_port, metrics.render))
            voice.notice(f"Metrics of this run: {page}")
        tracing = _tracing(url, voice) if url else None
        try:
            yield Watchers(voice, metrics, tracing)
        finally:
            if tracing and (lost := tracing.close()):
                voice.notice(lost)


def _tracing(url: str, voice: Voice) -> "Tracing | None":
    from chatdev.ops.tracing import NotInstalled, Tracing

    try:
        return Tracing(url)
    except NotInstalled as error:
        voice.notice(str(error))
        return None


@contextlib.asynccontextmanager
async def server_shown(model: ModelBackend, voice: Voice) -> AsyncIterator[None]:
    """While this lasts, a live terminal shows what the model server says of its queue and cache, if it says anything.
    Nobody else is asked for it: a plain terminal costs the server nothing."""

    async def look() -> None:
        told = False
        while (load := await model.load()) or told:  # one that told something will do so again
            told = True
            voice.on_server(load.text() if load else "")
            await asyncio.sleep(LOOK)

    looking = asyncio.create_task(look()) if voice.live else None
    try:
        yield
    finally:
        if looking:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
