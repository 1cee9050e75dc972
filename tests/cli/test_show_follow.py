"""``chatdev show --follow``, in its own process, while this one writes the log."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import environment

from chatdev import runs
from chatdev.journal import events
from chatdev.journal.store import Store

STARTED = events.RunStarted(4, "0", "Calc", "Org", "1", "create a calculator", "default", "VLLM")
FINISHED = events.RunFinished("Verdict.1", "passed")


@contextmanager
def following(folder: Path, *more: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "chatdev", "show", "run", "--follow", *more]
    with subprocess.Popen(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run's folder that has no log yet."""
    (tmp_path / "run" / runs.HIDDEN).mkdir(parents=True)
    return tmp_path


def append(folder: Path, *records: events.Any) -> None:
    log = Store(runs.log_of(folder / "run"))
    for event in records:
        log.append(event)
    log.close()


def lines(process: "subprocess.Popen[str]", count: int) -> Sequence[str]:
    assert process.stdout
    return [process.stdout.readline() for _ in range(count)]


def test_records_are_printed_as_they_arrive_until_the_run_is_finished(folder: Path) -> None:
    with following(folder) as process:
        append(folder, STARTED)
        assert lines(process, 1) == ["Calc: create a calculator\n"]
        append(folder, events.PhaseBegan("Coding.1", "Coding", "Programmer"))
        assert lines(process, 1) == ["Coding: Programmer\n"]
        append(folder, events.VerdictReached("Verdict.1", "passed"), FINISHED)
        rest, errors = process.communicate(timeout=600)
        assert (process.returncode, errors) == (0, "")
    assert rest.startswith("verdict: passed\n") and "\nfiles: 0, with 0 lines\n" in rest


def test_a_finished_run_is_printed_and_ends_at_once(folder: Path) -> None:
    append(folder, STARTED, events.VerdictReached("Verdict.1", "passed"), FINISHED)
    with following(folder, "--json") as process:
        printed, errors = process.communicate(timeout=600)
        assert (process.returncode, errors) == (0, "")
    assert [json.loads(line)["type"] for line in printed.splitlines()] == [
        "run.started",
        "verdict.reached",
        "run.finished",
    ]


def test_ctrl_c_ends_it_without_a_traceback_and_leaves_the_log_alone(folder: Path) -> None:
    append(folder, STARTED)
    before = runs.log_of(folder / "run").read_bytes()
    with following(folder) as process:
        lines(process, 1)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=600)
        assert (process.returncode, errors) == (130, "")
    assert runs.log_of(folder / "run").read_bytes() == before


def test_a_reader_that_goes_away_ends_it(folder: Path) -> None:
    append(folder, STARTED)
    with following(folder) as process:
        lines(process, 1)
        assert process.stdout and process.stderr
        process.stdout.close()
        append(folder, events.PhaseBegan("Coding.1", "Coding", "Programmer"))
        assert "Traceback" not in process.stderr.read()
        assert process.wait(timeout=600) == 1


def test_a_run_that_does_not_exist_is_an_error(folder: Path) -> None:
    with following(folder / "run") as process:
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 2 and errors.startswith('Error: There is no run "run"')
