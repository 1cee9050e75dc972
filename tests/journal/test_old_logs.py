"""Logs of earlier versions: still read, still resumed, and nothing in them asked for again."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest

from chatdev import runs, wiring
from chatdev.journal import events
from chatdev.journal.store import read
from chatdev.models.choose import choose
from chatdev.playback.recording import read as read_recording
from chatdev.playback.server import Playback
from chatdev.settings import load
from chatdev.views import report, show, transcript

LOGS = Path(__file__).parent / "logs"
OLD = sorted(LOGS.glob("schema-*"), key=lambda path: path.name)


def test_there_is_one_of_each_version() -> None:
    kept = [read(path / "events.jsonl")[0].event for path in OLD]
    assert [event.schema for event in kept if isinstance(event, events.RunStarted)] == list(range(1, events.SCHEMA + 1))


def test_the_options_in_a_log_are_read_and_written_by_the_published_names() -> None:
    path = LOGS / "schema-4" / "events.jsonl"
    lines = [json.loads(line)["event"] for line in path.read_bytes().splitlines()]
    started, attempt = (record.event for record in read(path)[:2])
    assert isinstance(started, events.RunStarted) and isinstance(attempt, events.AttemptStarted)
    assert started.endpoints == ("gpu-1:8000", "gpu-2:8000") and started.local_only and started.second_opinion
    assert (started.max_cost, started.limits) == (1.5, {"calls": 40, "minutes": 30.0})
    assert (started.role_models, started.settings) == (("Programmer=default",), ("Coding.candidates=1",))
    assert (started.candidates, started.effort, started.sample) == (1, "normal", 2)
    assert (attempt.candidates, attempt.effort, attempt.limits) == (1, "normal", {"calls": 50, "minutes": 30.0})
    assert [json.loads(msgspec.json.encode(event)) for event in (started, attempt)] == lines[:2]


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.name)
def test_an_old_log_is_reported_as_ever(old: Path) -> None:
    records = read(old / "events.jsonl")
    assert "starts (not tested)" in show.one_line("run", records)
    assert "main.py" in report.render(records)
    assert "Which kind of program" in transcript.render(records)


@pytest.mark.parametrize("old", OLD, ids=lambda path: path.name)
async def test_an_old_log_that_breaks_off_is_taken_to_its_end(tmp_path: Path, old: Path) -> None:
    lines = (old / "events.jsonl").read_bytes().splitlines(keepends=True)
    before = len(read(old / "events.jsonl"))
    kinds = [type(record.event) for record in read(old / "events.jsonl")]
    answers = [number for number, kind in enumerate(kinds) if kind is events.ModelAnswered]
    folder = tmp_path / "run"
    shutil.copytree(old / "company", folder / ".chatdev" / "company")
    log = runs.log_of(folder)
    log.write_bytes(b"".join(lines[: answers[1] + 1]))  # the program was written, and the machine went down
    async with Playback(read_recording(old / "tiny.recording")) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, tmp_path))
        reached = await wiring.work(folder, choice)
        await choice.backend.aclose()
    assert reached.verdict == "starts (not tested)"
    records = read(log)
    assert log.read_bytes().splitlines(keepends=True)[: answers[1] + 1] == lines[: answers[1] + 1]
    assert len(records) == before + 1  # the second attempt
    assert sum(isinstance(record.event, events.ModelAnswered) for record in records) == len(answers)
    assert (folder / "main.py").read_text() == 'print("hello")\n'
