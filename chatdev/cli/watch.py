"""What watches a run besides its user: a metrics scraper, a span collector; and the server's own metrics."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from chatdev.cli.options import WatchOptions
from chatdev.cli.run_output import RunOutput
from chatdev.errors import UserError
from chatdev.journal.store import Record
from chatdev.models.chat_model import ChatModel
from chatdev.settings import Settings, traces_url

if TYPE_CHECKING:
    from chatdev.ops.tracing import Tracing
    from chatdev.views.prometheus import Metrics
    from chatdev.views.spans import Spans

LOOK = 3.0
"""Seconds between two reads of the server's own metrics."""


class Watchers:
    """All listeners to the records of a run: the voice, and the optional metrics and spans."""

    def __init__(self, output: RunOutput, metrics: "Metrics | None" = None, tracing: "Tracing | None" = None) -> None:
        self.output = output
        self._metrics = metrics
        self._tracing = tracing
        self._spans: Spans | None = None

    def begun(self, earlier: Sequence[Record]) -> None:
        """The work begins; ``earlier`` is what the log holds already."""
        self.output.begun(earlier)
        if self._metrics:
            for record in earlier:
                self._metrics.count(record)
        if self._tracing:
            from chatdev.views.spans import Spans

            self._spans = Spans(earlier)
            self._tracing.send(self._spans.left)

    def on_record(self, record: Record) -> None:
        """A listener for the store."""
        self.output.on_record(record)
        if self._metrics:
            self._metrics.count(record)
        if self._spans and self._tracing:
            self._tracing.send(self._spans.add(record))


@contextlib.asynccontextmanager
async def watchers(watch_options: WatchOptions, settings: Settings, output: RunOutput) -> AsyncIterator[Watchers]:
    """The watchers that the options and settings request. Raises UserError if the metrics port is taken."""
    if "@" in watch_options.otel_endpoint:
        raise UserError(
            "--otel-endpoint contains a user name or a password.",
            do="Set them as a header, with OpenTelemetry's own OTEL_EXPORTER_OTLP_HEADERS.",
        )
    url = traces_url(watch_options.otel_endpoint) if watch_options.otel_endpoint else settings.otlp_traces
    async with contextlib.AsyncExitStack() as stack:
        metrics: Metrics | None = None
        if watch_options.metrics_port is not None:
            from chatdev.ops import scrape
            from chatdev.views.prometheus import Metrics as Fold

            metrics = Fold()
            page = await stack.enter_async_context(scrape.serving(watch_options.metrics_port, metrics.render))
            output.notice(f"Metrics of this run: {page}")
        tracing = _tracing(url, output) if url else None
        try:
            yield Watchers(output, metrics, tracing)
        finally:
            if tracing and (lost := tracing.close()):
                output.notice(lost)


def _tracing(url: str, output: RunOutput) -> "Tracing | None":
    from chatdev.ops.tracing import NotInstalled, Tracing

    try:
        return Tracing(url)
    except NotInstalled as error:
        output.notice(str(error))
        return None


@contextlib.asynccontextmanager
async def server_shown(model: ChatModel, output: RunOutput) -> AsyncIterator[None]:
    """While this lasts, a live terminal shows the model server's queue and cache, if the server reports them.
    Without a live terminal, no such request is sent."""

    async def poll() -> None:
        reported = False
        while (load := await model.load()) or reported:  # a server that reported once will report again
            reported = True
            output.on_server(load.text() if load else "")
            await asyncio.sleep(LOOK)

    polling = asyncio.create_task(poll()) if output.live else None
    try:
        yield
    finally:
        if polling:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
