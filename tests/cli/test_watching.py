"""Runs that are watched: as JSON lines, by a scraper of metrics, by a collector of spans."""

import asyncio
import http.client
import http.server
import io
import json
import os
import pty
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from command_line import ROOT, environment, serving, type_in, type_in_process
from helpers import exposition
from helpers.collector import collecting
from helpers.support import ANSWERS, recording

from chatdev.cli import watch
from chatdev.cli.run_output import Text
from chatdev.models.backend import StubModel
from chatdev.models.metrics import Load
from chatdev.playback.recording import write

DEMO = ["run.py", "--task", "create a calculator", "--name", "Calculator", "--model", "DEMO"]
METRICS = (ROOT / "tests" / "models" / "vllm_metrics.txt").read_text()
GREET = ["chatdev", "build", "greet", "--name", "G", "--config", "full"]


def lines_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def journal(folder: Path) -> list[dict[str, Any]]:
    (log,) = folder.glob("WareHouse/*/.chatdev/events.jsonl")
    return lines_of(log.read_text())


def test_a_demo_as_json_lines_is_the_journal_line_by_line_and_ends_with_the_verdict(tmp_path: Path) -> None:
    done = type_in(tmp_path, *DEMO, "--log-format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    *records, ended = lines_of(done.stdout)
    assert [(line["n"], line["type"]) for line in records] == [
        (record["n"], record["event"]["type"]) for record in journal(tmp_path)
    ]
    for line, record in zip(records, journal(tmp_path), strict=True):
        assert line.get("place") == record["event"].get("place")
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["time"])
    (report,) = tmp_path.glob("WareHouse/*/REPORT.md")
    assert (ended["type"], ended["verdict"], ended["exit_status"]) == ("ended", "passed", 0)
    assert tmp_path / ended["report"] == report

    again = type_in(tmp_path, "chatdev", "resume", "Calc", "--log-format", "json")
    (only,) = lines_of(again.stdout)
    assert (only["type"], only["verdict"]) == ("ended", "passed")


def test_debug_lines_are_json_too_and_whole(tmp_path: Path) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    with serving(tmp_path, "greet.recording") as endpoint:
        done = type_in(
            tmp_path, *GREET, "--log-format", "json",
            VLLM_ENDPOINT=endpoint, VLLM_DEBUG="1", VLLM_API_KEY="sk-very-secret-0123456789",
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    output = [line["text"] for line in lines_of(done.stdout) if line["type"] == "debug"]
    assert sum(text.startswith("> POST ") for text in output) == len(ANSWERS)
    assert sum(text.startswith("< HTTP 200 ") for text in output) == len(ANSWERS)
    assert sum("DemandAnalysis.1/ChiefProductOfficer.1/ask.1;1;" in text for text in output) == 2
    assert "very-secret" not in done.stdout
    (log,) = tmp_path.glob("WareHouse/*/.chatdev/debug.log")
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z > POST ", log.read_text())


def test_errors_are_json_too_and_the_last_line_has_the_exit_status(tmp_path: Path) -> None:
    done = type_in(tmp_path, *GREET, "--log-format", "json", VLLM_ENDPOINT="http://127.0.0.1:9/v1")
    assert (done.returncode, done.stderr) == (2, "")
    (error,) = lines_of(done.stdout)
    assert (error["type"], error["error"], error["exit_status"]) == ("error", "Unreachable", 2)
    assert "No model server answered" in error["text"]

    (tmp_path / "half.recording").write_text(write(recording(dict(list(ANSWERS.items())[:3]))))
    with serving(tmp_path, "half.recording") as endpoint:
        done = type_in(tmp_path, *GREET, "--log-format", "json", VLLM_ENDPOINT=endpoint)
    *_, error, hint, ended = lines_of(done.stdout)
    assert [line["type"] for line in (error, hint, ended)] == ["error", "notice", "ended"]
    assert "resume" in hint["text"]
    assert (ended["verdict"], ended["exit_status"]) == (None, done.returncode)


def scraped(url: str) -> dict[str, exposition.Family]:
    with urllib.request.urlopen(url, timeout=10) as page:
        return exposition.read(page.read().decode())


def test_a_run_serves_its_metrics_while_it_lasts_and_counts_on_over_a_resume(tmp_path: Path) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    slow = 'place = "Coding.1", first_token = 60'
    with serving(tmp_path, "greet.recording", slow) as endpoint:
        process = subprocess.Popen(
            [sys.executable, "-m", "chatdev", *GREET[1:], "--metrics-port", "0"],
            cwd=tmp_path, env=environment(VLLM_ENDPOINT=endpoint),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            url = process.stderr.readline().split()[-1]
            families = scraped(url)
            while "chatdev_phases_open" not in families or not any(
                ("phase", "Coding") in labels for _, labels in families["chatdev_phases_open"].samples
            ):
                time.sleep(0.05)
                families = scraped(url)
        finally:
            process.terminate()
            _, stderr = process.communicate(timeout=600)
    assert process.returncode == 130, stderr
    assert families["chatdev_calls_total"].value("chatdev_calls_total", phase="TestWriting") == 1
    assert families["chatdev_attempts_total"].value("chatdev_attempts_total") == 1

    slow = 'place = "together.1", first_token = 60'
    port = url.rsplit(":", 1)[1].split("/")[0]
    with serving(tmp_path, "greet.recording", slow) as endpoint:
        process = subprocess.Popen(
            [sys.executable, "-m", "chatdev", "resume", "G", "--metrics-port", port],
            cwd=tmp_path, env=environment(VLLM_ENDPOINT=endpoint),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            while "Manual" not in process.stdout.readline():
                pass
            families = scraped(url)
        finally:
            process.terminate()
            process.communicate(timeout=600)
    assert families["chatdev_attempts_total"].value("chatdev_attempts_total") == 2
    assert families["chatdev_errors_total"].value("chatdev_errors_total", type="CancelledError") == 1
    assert families["chatdev_calls_total"].value("chatdev_calls_total", phase="TestWriting") == 1


def test_a_metrics_port_that_is_taken_stops_the_run_before_it_begins(tmp_path: Path) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    with serving(tmp_path, "greet.recording") as endpoint:
        port = endpoint.split(":")[2].removesuffix("/v1")
        done = type_in(tmp_path, *GREET, "--metrics-port", port, VLLM_ENDPOINT=endpoint)
    assert done.returncode == 2
    assert f"Cannot serve metrics on 127.0.0.1, port {port}" in done.stderr
    assert not (tmp_path / "WareHouse").exists()


@pytest.mark.parametrize("source", ["variable", "flag"])
def test_a_collector_gets_the_spans_of_a_run_and_none_of_its_words(tmp_path: Path, source: str) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    with collecting() as collector, serving(tmp_path, "greet.recording") as endpoint:
        flag = ["--otel-endpoint", collector.url] if source == "flag" else []
        variable = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url} if source == "variable" else {}
        done = type_in(tmp_path, *GREET, *flag, VLLM_ENDPOINT=endpoint, **variable)
    assert (done.returncode, done.stderr) == (0, "")
    by_id = {span.id: span for span in collector.spans}
    (run,) = [span for span in collector.spans if not span.parent]
    assert (run.name, run.attributes["chatdev.verdict"]) == ("invoke_workflow full", "passed")
    calls = [span for span in collector.spans if span.name == "chat recorded"]
    assert len(calls) == len(ANSWERS)
    for span in collector.spans:
        assert span.trace == run.trace
        if span.parent:
            above = by_id[span.parent]
            assert above.start <= span.start <= span.end <= above.end
    phase = by_id[calls[0].parent]
    assert phase.name == "phase DemandAnalysis"
    assert by_id[phase.parent].name == "attempt 1"
    assert calls[0].attributes["gen_ai.usage.input_tokens"] > 0
    assert calls[0].attributes["gen_ai.response.finish_reasons"] == ["stop"]
    assert {span.name for span in collector.spans} >= {"sandbox tests", "sandbox start", "phase Coding"}
    assert not [word for word in (b"A small one", b"def greeting", b"Which kind") if word in b"".join(collector.bodies)]


def test_without_the_extra_the_run_goes_on_and_the_command_to_install_it_is_reported(tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "opentelemetry.py").write_text("raise ModuleNotFoundError(name='opentelemetry')\n")
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    with serving(tmp_path, "greet.recording") as endpoint:
        done = type_in_process(
            tmp_path, *GREET, "--otel-endpoint", "http://127.0.0.1:9",
            VLLM_ENDPOINT=endpoint, PYTHONPATH=os.pathsep.join((str(bare), str(ROOT))),
        )  # fmt: skip
    assert done.returncode == 0
    assert "Cannot send spans to http://127.0.0.1:9/v1/traces: opentelemetry is not installed.\n" in done.stderr
    assert "-m pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http" in done.stderr


def test_a_dead_collector_is_reported_once_and_changes_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    with serving(tmp_path, "greet.recording") as endpoint:
        done = type_in(
            tmp_path, *GREET, "--log-format", "json", "--otel-endpoint", "http://127.0.0.1:9", VLLM_ENDPOINT=endpoint
        )
    assert (done.returncode, done.stderr) == (0, "")
    lost, ended = lines_of(done.stdout)[-2:]
    assert (lost["type"], ended["verdict"]) == ("notice", "passed")
    assert re.fullmatch(r"(\d+) of \1 spans did not reach http://127.0.0.1:9/v1/traces\. .*", lost["text"])


def test_a_run_that_no_one_watches_imports_nothing_for_it(tmp_path: Path) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    script = (
        "import sys, chatdev.cli.main as main\n"
        "sys.argv = ['chatdev', 'build', 'greet', '--name', 'G', '--config', 'full']\n"
        "try: main.main()\n"
        "finally: print('LOADED', [name for name in sys.modules if name.split('.')[0] == 'opentelemetry'"
        " or name in ('chatdev.ops.scrape', 'chatdev.ops.tracing', 'chatdev.views.spans')])\n"
    )
    with serving(tmp_path, "greet.recording") as endpoint:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=tmp_path, env=environment(VLLM_ENDPOINT=endpoint), capture_output=True, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "LOADED []" in done.stdout


def test_a_live_terminal_shows_what_the_server_says_of_itself_and_the_report_its_share(tmp_path: Path) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    slow = 'place = "DemandAnalysis.1", per_token = 0.2'
    with serving(tmp_path, "greet.recording", slow) as endpoint, gateway(endpoint) as (front, looks):
        shown = on_a_terminal(tmp_path, GREET, VLLM_ENDPOINT=front)
        assert len(looks) > 2
        looks.clear()
        plain = type_in(tmp_path, *GREET, VLLM_ENDPOINT=front)
        assert len(looks) == 2  # for the report alone
    assert "server: 0 running, 7 waiting, KV cache 0 % full" in shown
    assert "server: " not in plain.stdout
    for report in tmp_path.glob("WareHouse/*/REPORT.md"):
        assert "other clients' traffic included:\n\n- attempt 1: 25 % of " in report.read_text()


async def test_a_server_that_falls_silent_is_no_longer_shown_and_looked_at_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[Load | None] = [Load(engine="vllm", running=1), None, Load(engine="vllm", running=2)]
    shown: list[str] = []
    done = asyncio.Event()

    class Telling(StubModel):
        async def load(self) -> Load | None:
            if not loads:
                done.set()
                await asyncio.Event().wait()
            return loads.pop(0)

    class Listening(Text):
        live = True

        def on_server(self, told: str) -> None:
            shown.append(told)

    monkeypatch.setattr(watch, "LOOK", 0)
    async with watch.server_shown(Telling(), Listening(quiet=False)):
        await done.wait()
    assert shown == ["1 running", "", "2 running"]


@contextmanager
def gateway(endpoint: str) -> Iterator[tuple[str, list[int]]]:
    """A server in front of another, with a page of vLLM's metrics: its endpoint, and the looks at the page. With each
    look, 400 prompt tokens more have been looked up in the prefix cache, and 100 found."""
    looks: list[int] = []
    total = [0]

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                looks.append(1)
                total[0] += 1
                page = METRICS.replace('_total{engine="0",model_name="default"} 939.0', f"_total{{}} {400 * total[0]}")
                page = page.replace('_total{engine="0",model_name="default"} 512.0', f"_total{{}} {100 * total[0]}")
                page = page.replace('requests_waiting{engine="0",model_name="default"} 0.0', "requests_waiting 7")
                self.answer(200, io.BytesIO(page.encode()))
            else:
                self.pass_on(b"")

        def do_POST(self) -> None:
            self.pass_on(self.rfile.read(int(self.headers["Content-Length"])))

        def pass_on(self, body: bytes) -> None:
            there = http.client.HTTPConnection(urlsplit(endpoint).netloc, timeout=30)
            there.request(self.command, self.path, body or None, {"X-Request-Id": self.headers.get("X-Request-Id", "")})
            response = there.getresponse()
            self.answer(response.status, response)
            there.close()

        def answer(self, status: int, body: Any) -> None:
            self.send_response(status)
            self.send_header("Connection", "close")
            self.end_headers()
            while piece := body.read1(65536):
                self.wfile.write(piece)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1", looks
        finally:
            server.shutdown()
            thread.join()


def on_a_terminal(folder: Path, words: list[str], **more: str) -> str:
    """What a command shows on a terminal of its own."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=folder, env=environment(TERM="xterm-256color", COLUMNS="120", **more),
        stdout=follower, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(follower)
    shown = b""
    try:
        while data := os.read(leader, 65536):
            shown += data
    except OSError:  # the last writer is gone
        pass
    finally:
        os.close(leader)
        process.kill()
        process.wait()
    return shown.decode("utf-8", "replace")
