import logging
import socket
import sys
import threading
from collections.abc import Iterator

import pytest
from helpers.collector import collecting

from chatdev.ops import tracing
from chatdev.ops.tracing import NotInstalled, Tracing
from chatdev.views.spans import Span

CALL = Span(
    trace=0xABC << 100,
    id=7,
    parent=3,
    name="chat m",
    kind="client",
    start=1_764_000_000.25,
    end=1_764_000_001.5,
    attributes={"gen_ai.usage.input_tokens": 9, "gen_ai.response.finish_reasons": ["stop"], "chatdev.cost_usd": 0.5},
)
FAILED = Span(CALL.trace, 3, None, "attempt 1", "internal", 1.0, 2.0, {"error.type": "Unreachable"}, "Unreachable")


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """The SDK's threads are gone before another test runs, which may not bear what they draw at random."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(30)
        assert not thread.is_alive()
    logging.getLogger("opentelemetry").setLevel(logging.NOTSET)


def test_spans_arrive_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "our-company")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=red")
    with collecting() as collector:
        sender = Tracing(f"{collector.url}/v1/traces")
        sender.send([CALL, FAILED])
        assert sender.close() == ""
    call, failed = collector.spans
    assert (call.trace, call.id, call.parent) == (f"{0xABC << 100:032x}", f"{7:016x}", f"{3:016x}")
    assert (call.name, call.kind, call.status) == ("chat m", 3, 0)
    assert (call.start, call.end) == (1_764_000_000_250_000_000, 1_764_000_001_500_000_000)
    assert call.attributes == dict(CALL.attributes)
    assert (failed.parent, failed.kind, failed.status) == ("", 1, 2)
    assert collector.resources[0]["service.name"] == "our-company"
    assert collector.headers[0]["x-team"] == "red"


@pytest.mark.parametrize("silent", [True, False], ids=["that says nothing", "that is not there"])
def test_a_collector_does_not_hold_anyone_up(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], silent: bool
) -> None:
    monkeypatch.setattr(tracing, "PATIENCE", 0.1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if silent:
            listener.listen()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces"
        sender = Tracing(url)
        for _ in range(5000):  # more than the queue holds
            sender.send([CALL])
        warning = sender.close()
    assert warning.startswith("5000 of 5000 spans did not reach http://127.0.0.1:")
    assert capfd.readouterr().err == ""


def test_what_is_missing_is_reported_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(NotInstalled, match=r"pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http$"):
        Tracing("http://127.0.0.1:9/v1/traces")
