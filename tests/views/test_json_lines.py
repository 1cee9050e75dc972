import io
import json
from typing import Any

import msgspec
from sample_log import CPO, HOSTILE, Log, answer, finished, hostile

from chatdev.journal import events
from chatdev.views.json_lines import LONGEST, JsonLines


def written(log: list[Any]) -> list[dict[str, Any]]:
    stream = io.StringIO()
    lines = JsonLines(stream)
    for record in log:
        lines.on_record(record)
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_each_record_is_a_line_with_its_time_its_type_its_place_and_its_own_fields() -> None:
    lines = written(finished())

    assert [line["n"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0]["time"] == "2025-11-24T16:00:01.000Z"
    assert list(lines[0])[:3] == ["time", "type", "n"]
    assert (lines[0]["type"], lines[0]["task"]) == ("run.started", "create a calculator")
    answers = [line for line in lines if line["type"] == "model.answered"]
    assert answers[0]["place"] == f"DemandAnalysis.1/{CPO}.1/ask.1"
    assert (answers[0]["text"], answers[0]["prompt_tokens"]) == ("A console application.", 100)
    assert lines[-1]["type"] == "run.finished"


def test_a_field_of_an_event_that_is_called_kind_stays_its_own() -> None:
    (line,) = written(Log().add(events.Diagnostic("P.1/note.1", "guessed", "a name")).records)
    assert (line["type"], line["kind"]) == ("noted", "guessed")


def test_a_long_text_is_cut_and_its_field_named_also_deep_inside() -> None:
    long = "é" * (LONGEST + 1)
    (short,) = written(Log().add(answer("P.1/r.1/ask.1", "r", long[1:], reasoning="why")).records)
    assert short["text"] == long[1:]
    assert "cut" not in short
    (cut,) = written(Log().add(answer("P.1/r.1/ask.1", "r", long, reasoning="why")).records)
    assert cut["text"] == long[:LONGEST]
    assert cut["cut"] == ["text"]
    tests = events.TestsRan("tests.1", "d", (events.TestResult("a", "failed", long),), output="short")
    (ran,) = written(Log().add(tests).records)
    assert ran["cut"] == ["results"]
    assert len(ran["results"][0]["why"]) == LONGEST


def test_nothing_from_outside_breaks_a_line() -> None:
    records = hostile()
    lines = written(records)
    assert len(lines) == len(records)
    assert all("\ud800" not in msgspec.json.encode(line).decode() for line in lines)
    assert lines[0]["task"] == HOSTILE[:LONGEST].replace("\ud800", "?")


def test_lines_that_are_no_record_have_the_time_and_no_number() -> None:
    stream = io.StringIO()
    JsonLines(stream, clock=lambda: 0.25).say("debug", text="x" * (LONGEST + 1))
    line = json.loads(stream.getvalue())
    assert line == {"time": "1970-01-01T00:00:00.250Z", "type": "debug", "text": "x" * (LONGEST + 1)}


def test_the_lines_are_utf_8_whatever_the_locale() -> None:
    data = io.BytesIO()
    stream = io.TextIOWrapper(data, encoding="ascii")
    JsonLines(stream).say("notice", text="wörld 🌍")
    assert json.loads(data.getvalue())["text"] == "wörld 🌍"


def test_a_stream_that_was_closed_is_given_up() -> None:
    stream = io.StringIO()
    lines = JsonLines(stream)
    stream.close()
    lines.say("notice", text="gone")
    lines.say("notice", text="still gone")
