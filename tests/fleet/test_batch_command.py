"""The command as its user types it, and what becomes of a batch whose process is killed."""

import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from helpers import plain
from helpers.support import ANSWERS, recording

from chatdev.cli.main import cli
from chatdev.journal import events
from chatdev.journal.store import read
from chatdev.models.background import BACKGROUND
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback

OURS = ("VLLM_", "OPENAI_", "BASE_URL", "CHATDEV_", "OTEL_")


@contextmanager
def serving(*manners: FaultSpec) -> Iterator[str]:
    """A model server in this process, beside the test."""
    playback = Playback(plain.says(), manners=manners)
    endpoint = BACKGROUND.wait_for(playback.start())
    try:
        yield endpoint
    finally:
        BACKGROUND.wait_for(playback.stop())


def environment(endpoint: str, home: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    root = str(Path(__file__).parents[2])
    return kept | {"VLLM_ENDPOINT": endpoint, "XDG_CACHE_HOME": str(home / "cache"), "PYTHONPATH": root}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with 9 tasks and a company that only talks."""
    plain.company(tmp_path / "plain")
    lines = [f'Project {number},"task {number}",{"odd" if number % 2 else "even"}' for number in range(9)]
    (tmp_path / "tasks.csv").write_text("\n".join(["Name,Description,Category", *lines, ""]))
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(OURS):
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


def type_in(*words: str) -> Result:
    return CliRunner().invoke(cli, ["batch", *words], catch_exceptions=False)


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "results.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_file_of_tasks_becomes_results_and_the_same_command_goes_on(here: Path) -> None:
    with serving() as endpoint:
        words = ("tasks.csv", "--config", "plain", "--endpoint", endpoint, "--unsafe-no-sandbox", "--jobs", "3")
        first = type_in(*words, "--limit", "4", "--where", "category=even")
        assert first.exit_code == 1  # a talk is no program
        batch = here / "WareHouse" / "tasks_batch"
        assert sorted(row["name"] for row in table(batch)) == [f"Project {number}" for number in (0, 2, 4, 6)]
        assert "[4/4]" in first.stderr
        assert "4 of 4 projects finished: passed 0, failed 4, error 0." in first.stdout
        assert "--retry-failed" in first.stdout
        second = type_in(*words)
        assert Counter(row["name"] for row in table(batch)) == {f"Project {number}": 1 for number in range(9)}
        assert "[9/9]" in second.stderr and "[4/9]" not in second.stderr
        third = type_in(str(batch))
        assert "9 of 9 projects finished" in third.stdout and "[" not in third.stderr
        fourth = type_in(str(batch), "--retry-failed", "--quiet", "--limit", "2", "--unsafe-no-sandbox")
        assert fourth.stderr == ""
        assert len(table(batch)) == 9
        assert len(list((batch / "projects").iterdir())) == 11
    assert "9 of 9 projects" in (batch / "summary.md").read_text()
    shown = CliRunner().invoke(cli, ["show", "Project_8_"], catch_exceptions=False)
    assert shown.exit_code == 0 and "task 8" in shown.stdout


def test_recorded_answers_make_whole_products(here: Path) -> None:
    (here / "tasks.jsonl").write_text('{"name": "Hello", "task": "create a hello world program"}\n')
    done = type_in("tasks.jsonl", "--model", "DEMO", "--out", "out")
    assert done.exit_code == 0
    assert "1 of 1 projects finished: passed 1" in done.stdout and "Continue with" not in done.stdout
    assert [row["verdict"] for row in table(here / "out")] == ["passed"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("nothing.csv",), "nothing.csv cannot be read (No such file or directory)"),
        (("plain",), "plain is a folder, but not a batch"),
        (("tasks.csv", "--where", "Size=L"), "names no column"),
        (("tasks.csv", "--config", "nowhere"), "nowhere"),
        (("tasks.csv", "--role-model", "Programmer"), "is not of the form ROLE=MODEL"),
        (
            ("tasks.csv", "--config", "plain", "--unsafe-no-sandbox", "--endpoint", "127.0.0.1:9"),
            "No model server answered",
        ),
        (("tasks.csv", "--out", "tasks.csv/out"), "Cannot create a batch in tasks.csv/out"),
    ],
)
def test_what_cannot_be_is_reported_in_words(here: Path, words: tuple[str, ...], expected: str) -> None:
    done = type_in(*words)
    assert done.exit_code == 2
    assert f"Error: {expected}" in done.stderr or expected in done.stderr.splitlines()[0]


def test_nothing_left_after_the_conditions_is_a_batch_that_has_ended(here: Path) -> None:
    done = type_in("tasks.csv", "--config", "plain", "--where", "category=none")
    assert done.exit_code == 0
    assert "0 of 0 projects finished" in done.stdout


def test_a_disk_that_refuses_is_reported_in_words(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: object) -> None:
        raise OSError(13, "Permission denied", "summary.md")

    monkeypatch.setattr("chatdev.cli.batching.summary.write", refusing)
    done = type_in("tasks.csv", "--config", "plain", "--where", "category=none")
    assert done.exit_code == 1
    assert "Operating system error: Permission denied (summary.md)" in done.stderr


def test_all_traffic_is_kept_in_one_file_for_debugging(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_DEBUG", "1")
    with serving() as endpoint:
        done = type_in("tasks.csv", "--config", "plain", "--endpoint", endpoint, "--unsafe-no-sandbox", "--limit", "2")
    log = here / "WareHouse" / "tasks_batch" / ".batch" / "debug.log"
    assert str(log.relative_to(here)) in done.stderr
    assert log.read_text().count("POST") >= 2 * plain.CALLS


def until(condition: Callable[[], object]) -> None:
    """Wait for what must come; a minute is for a machine that is very busy."""
    for _ in range(6_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come")


PLAIN = ("--config", "plain", "--unsafe-no-sandbox", "--jobs", "4")


@contextmanager
def started(here: Path, endpoint: str, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The batch in a process of its own, which does not outlive the test."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chatdev", "batch", "tasks.csv", *(words or PLAIN)],
        cwd=here,
        env=environment(endpoint, here),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_saves_all_projects_and_says_how_to_go_on(here: Path) -> None:
    batch = here / "WareHouse" / "tasks_batch"
    with serving(FaultSpec(place="Plain2.1", first_token=600.0)) as endpoint, started(here, endpoint) as process:
        until(lambda: len(list(batch.glob("projects/*/.chatdev/events.jsonl"))) == 4)
        until(lambda: all(b'"Plain2"' in log.read_bytes() for log in batch.glob("projects/*/.chatdev/events.jsonl")))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Interrupted. Nothing is lost." in err
    assert f'batch "{batch.relative_to(here)}"' in out and "0 of 9 projects finished" in out
    for log in batch.glob("projects/*/.chatdev/events.jsonl"):
        assert isinstance(read(log)[-1].event, events.AttemptStopped)
        assert "Not finished: interrupted" in (log.parents[1] / "REPORT.md").read_text()


def test_a_batch_that_is_killed_again_and_again_gives_every_result_once(here: Path) -> None:
    batch = here / "WareHouse" / "tasks_batch"
    chance = random.Random(9)
    with serving(FaultSpec(first_token=0.03)) as endpoint:
        for _ in range(6):
            with started(here, endpoint) as process:
                before = sum(log.stat().st_size for log in batch.glob("projects/*/.chatdev/events.jsonl"))
                more = chance.randrange(200, 12_000)

                def grown(before: int = before, more: int = more, process: subprocess.Popen[str] = process) -> bool:
                    logs = batch.glob("projects/*/.chatdev/events.jsonl")
                    return process.poll() is not None or sum(log.stat().st_size for log in logs) > before + more

                until(grown)
                process.kill()
        with started(here, endpoint) as process:
            out, err = process.communicate(timeout=600)
    assert "9 of 9 projects finished" in out, err
    assert Counter(row["name"] for row in table(batch)) == {f"Project {number}": 1 for number in range(9)}
    assert len((batch / "results.jsonl").read_bytes().splitlines()) == 9
    for row in table(batch):
        answered = [
            record.event.place
            for record in read(batch / row["folder"] / ".chatdev" / "events.jsonl")
            if isinstance(record.event, events.ModelAnswered)
        ]
        assert len(answered) == len(set(answered)) == plain.CALLS
        assert (batch / row["folder"] / "REPORT.md").is_file()


@pytest.mark.parametrize("seed", [1, 2])
def test_many_jobs_that_race_through_faults_and_kills_end_once_and_right(here: Path, seed: int) -> None:
    """What holds of one run holds of many at once, with candidates: nothing repeated or lost, the right verdict."""
    count, words = 16, ("--config", "full", "--jobs", "64", "--candidates", "3")
    rows = [f'Greeting {number},"greet, for the {number}th time"' for number in range(count)]
    (here / "tasks.csv").write_text("\n".join(["Name,Description", *rows, ""]))
    batch = here / "WareHouse" / "tasks_batch"
    again = {place.replace("ask.1", f"ask.{number}"): text for place, text in ANSWERS.items() for number in (1, 2, 3)}
    chance = random.Random(seed)
    faults = [
        FaultSpec(share=0.02, status=500),
        FaultSpec(share=0.02, fault="cut", after=3),
        FaultSpec(share=0.1, place="Coding.1", empty=True),
    ]
    playback = Playback(recording(again), manners=[FaultSpec(first_token=0.05), *faults])
    endpoint = BACKGROUND.wait_for(playback.start())
    seen: dict[str, set[str]] = {}
    try:
        for _ in range(3):
            with started(here, endpoint, *words) as process:
                before, more = logged(batch), chance.randrange(20_000, 200_000)
                while process.poll() is None and logged(batch) <= before + more:
                    time.sleep(0.01)
                process.kill()
                process.wait()
            for log in batch.glob("projects/*/.chatdev/events.jsonl"):
                seen.setdefault(log.parents[1].name, set()).update(answered(log))
        with started(here, endpoint, *words) as process:
            out, err = process.communicate(timeout=600)
    finally:
        BACKGROUND.wait_for(playback.stop())
    assert f"{count} of {count} projects finished: passed {count}" in out, err
    assert Counter(row["name"] for row in table(batch)) == {f"Greeting {number}": 1 for number in range(count)}
    for row in table(batch):
        log = batch / row["folder"] / ".chatdev" / "events.jsonl"
        places = answered(log)
        assert len(places) == len(set(places))
        assert seen.get(Path(row["folder"]).name, set()) <= set(places)
        (race,) = [record.event for record in read(log) if isinstance(record.event, events.RaceDecided)]
        assert race.winner == len(race.standings) <= 3  # in a batch they work one after another, until one holds
        assert (batch / row["folder"] / "words.py").is_file()


def logged(batch: Path) -> int:
    """The bytes of all logs."""
    return sum(log.stat().st_size for log in batch.glob("projects/*/.chatdev/events.jsonl"))


def answered(log: Path) -> list[str]:
    """The places of the answers that a log holds."""
    return [record.event.place for record in read(log) if isinstance(record.event, events.ModelAnswered)]
