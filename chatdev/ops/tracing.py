"""Sends a run's spans to a collector, by OTLP over HTTP, with OpenTelemetry's own SDK (the extra ``otel``).

The SDK reads its own variables besides the address: ``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_SERVICE_NAME``,
``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_BSP_…`` and others. It is imported only where spans are wanted (0.1 s).
"""

import logging
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import chatdev
from chatdev.errors import ChatDevError
from chatdev.views.spans import Span

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExporter

PATIENCE = 2.0
"""Seconds that the end of a run waits for the last spans to leave."""


class NotInstalled(ChatDevError):
    """The packages of the extra ``otel`` are not here; the message has the command that installs them."""


class Tracing:
    """A queue of spans and a thread that sends them. Nothing that the collector does or leaves undone is felt by the
    run: a queue that is full drops, and what did not arrive is told once, at the end.

    ``url`` is where the collector takes spans. Raises NotInstalled.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._given = self._arrived = 0
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise NotInstalled(
                f"No spans are sent to {url}: {error.name or 'opentelemetry'} is not installed here.",
                do=f"Install it with: {sys.executable} -m pip install opentelemetry-sdk "
                "opentelemetry-exporter-otlp-proto-http",
            ) from error
        # It would tell each failure in the middle of the run's own lines.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        named = Resource.create({"service.name": "chatdev", "service.version": chatdev.__version__})
        self._resource = named.merge(OTELResourceDetector().detect())  # the user's own names win
        self._exporter: SpanExporter = OTLPSpanExporter(endpoint=url)
        self._queue = BatchSpanProcessor(_counting(self._exporter, self._count))

    def _count(self, arrived: int) -> None:
        self._arrived += arrived

    def send(self, spans: Sequence[Span]) -> None:
        """Put spans into the queue; returns at once."""
        for span in spans:
            self._given += 1
            self._queue.on_end(self._readable(span))

    def close(self) -> str:
        """Send what is left, for at most PATIENCE seconds. What to tell the user; empty if all spans arrived."""
        leaving = threading.Thread(target=self._queue.shutdown, daemon=True)
        leaving.start()
        leaving.join(PATIENCE)
        if leaving.is_alive():
            self._exporter.shutdown()  # no further tries; a request in flight ends with its thread or with the process
        lost = self._given - self._arrived
        return f"{lost} of {self._given} spans did not reach {self.url}. The run itself lost nothing." if lost else ""

    def _readable(self, span: Span) -> "ReadableSpan":
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

        def context(number: int) -> SpanContext:
            return SpanContext(span.trace, number, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))

        return ReadableSpan(
            name=span.name,
            context=context(span.id),
            parent=context(span.parent) if span.parent else None,
            resource=self._resource,
            attributes=dict(span.attributes),
            kind=SpanKind.CLIENT if span.kind == "client" else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=InstrumentationScope("chatdev", chatdev.__version__),
        )


def _nanoseconds(at: float) -> int:
    """In whole microseconds, which a float still tells apart."""
    return 1000 * round(at * 1e6)


def _counting(inner: "SpanExporter", count: Callable[[int], None]) -> "SpanExporter":
    """The exporter, whose successes are counted."""
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

    class Counting(SpanExporter):
        def export(self, spans: "Sequence[ReadableSpan]") -> SpanExportResult:
            result = inner.export(spans)
            if result is SpanExportResult.SUCCESS:
                count(len(spans))
            return result

        def shutdown(self) -> None:
            inner.shutdown()

    return Counting()
