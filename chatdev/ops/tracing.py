"""Sends a run's spans to a collector by OTLP over HTTP, using the OpenTelemetry SDK (the extra ``otel``).

Besides the address, the SDK reads its own variables: ``OTEL_EXPORTER_OTLP_HEADERS``, ``OTEL_SERVICE_NAME``,
``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_BSP_…`` and others. It is imported only when spans are sent (0.1 s).
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
"""Seconds to wait at the end of a run for the last spans to be sent."""


class NotInstalled(ChatDevError):
    """The packages of the extra ``otel`` are not installed; the message gives the command that installs them."""


class Tracing:
    """A queue of spans and a thread that sends them. The collector cannot slow down or fail the run: a full queue drops
    spans, and the number of spans that did not arrive is reported once, at the end.

    ``url`` is the collector's endpoint for spans. Raises NotInstalled.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._queued = self._arrived = 0
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import OTELResourceDetector, Resource
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ImportError as error:
            raise NotInstalled(
                f"Cannot send spans to {url}: {error.name or 'opentelemetry'} is not installed.",
                do=f"Install it with: {sys.executable} -m pip install opentelemetry-sdk "
                "opentelemetry-exporter-otlp-proto-http",
            ) from error
        # It would log each failure between the run's own lines.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)
        named = Resource.create({"service.name": "chatdev", "service.version": chatdev.__version__})
        self._resource = named.merge(OTELResourceDetector().detect())  # the user's own names take precedence
        self._exporter: SpanExporter = OTLPSpanExporter(endpoint=url)
        self._queue = BatchSpanProcessor(_counting(self._exporter, self._count))

    def _count(self, arrived: int) -> None:
        self._arrived += arrived

    def send(self, spans: Sequence[Span]) -> None:
        """Queue spans; returns immediately."""
        for span in spans:
            self._queued += 1
            self._queue.on_end(self._readable(span))

    def close(self) -> str:
        """Send the rest, for at most PATIENCE seconds. Returns a message for the user; empty if all spans arrived."""
        leaving = threading.Thread(target=self._queue.shutdown, daemon=True)
        leaving.start()
        leaving.join(PATIENCE)
        if leaving.is_alive():
            self._exporter.shutdown()  # no more retries; a request in flight ends with its thread or with the process
        lost = self._queued - self._arrived
        return f"{lost} of {self._queued} spans did not reach {self.url}. The run is not affected." if lost else ""

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
    """Rounded to whole microseconds, the resolution that a float keeps."""
    return 1000 * round(at * 1e6)


def _counting(inner: "SpanExporter", count: Callable[[int], None]) -> "SpanExporter":
    """Wrap the exporter to count the spans that it delivers."""
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
