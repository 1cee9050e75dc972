"""What ends a run from outside: signals, a closed terminal, a sick disk. It is saved, and goes on where it stopped."""

import asyncio
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from command_line import environment, type_in
from helpers.support import ANSWERS, recording

from chatdev import wiring
from chatdev.journal import events
from chatdev.journal.store import read
from chatdev.models.background import BACKGROUND
from chatdev.models.choose import choose
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback
from chatdev.settings import load

BUILD = ("-m", "chatdev", "build", "greet", "--name", "Greeting", "--model", "VLLM", "--config", "full")
SLOW = FaultSpec(place="Coding.1", first_token=600.0)
AWHILE = FaultSpec(place="Coding.1", first_token=2.0)


@contextmanager
def serving(*manners: FaultSpec) -> Iterator[str]:
    """A model server in this process, beside the test."""
    playback = Playback(recording(ANSWERS), manners=manners)
    endpoint = BACKGROUND.wait_for(playback.start())
    try:
        yield endpoint
    finally:
        BACKGROUND.wait_for(playback.stop())


@contextmanager
def started(folder: Path, endpoint: str, *before: str, **streams: int) -> Iterator[subprocess.Popen[str]]:
    """``chatdev build`` in a process of its own, which does not outlive the test."""
    given: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
    process = subprocess.Popen(
        [*before, sys.executable, *BUILD],
        cwd=folder,
        env=environment(VLLM_ENDPOINT=endpoint),
        text=True,
        start_new_session=True,
        **given,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def until(condition: Callable[[], object]) -> None:
    """Wait for what must come; a minute is for a machine that is very busy."""
    for _ in range(6_000):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come")


def run_in(folder: Path) -> Path:
    (run,) = (folder / "WareHouse").iterdir()
    return run


def asked_to_code(folder: Path) -> bool:
    """Whether the run waits for the slow answer."""
    logs = list(folder.glob("WareHouse/*/.chatdev/events.jsonl"))
    return bool(logs) and b'"phase":"Coding"' in logs[0].read_bytes()


def answers_of(run: Path) -> list[str]:
    records = read(run / ".chatdev" / "events.jsonl")
    return [record.event.place for record in records if isinstance(record.event, events.ModelAnswered)]


def goes_on(run: Path) -> None:
    """The run is resumed to its end; no recorded answer is asked for again."""

    async def resumed(endpoint: str) -> str:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, run))
        try:
            return (await wiring.work(run, choice)).verdict
        finally:
            await choice.backend.aclose()

    before = answers_of(run)
    with serving() as endpoint:
        assert asyncio.run(resumed(endpoint)) == "passed"
    assert answers_of(run)[: len(before)] == before
    assert len(answers_of(run)) == len(ANSWERS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_run_and_says_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    with serving(SLOW) as endpoint, started(tmp_path, endpoint) as process:
        until(lambda: asked_to_code(tmp_path))
        process.send_signal(number)
        _, stderr = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert f'resume "{Path("WareHouse") / run_in(tmp_path).name}"' in stderr
    records = read(run_in(tmp_path) / ".chatdev" / "events.jsonl")
    assert isinstance(records[-1].event, events.AttemptStopped)
    assert len(answers_of(run_in(tmp_path))) == 3
    assert "Not finished: interrupted" in (run_in(tmp_path) / "REPORT.md").read_text()
    goes_on(run_in(tmp_path))


def test_a_closed_terminal_saves_the_run(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    streams = {"stdin": theirs, "stdout": theirs, "stderr": theirs}
    with serving(SLOW) as endpoint, started(tmp_path, endpoint, **streams) as process:
        os.close(theirs)
        until(lambda: asked_to_code(tmp_path))
        os.close(ours)
        process.send_signal(signal.SIGHUP)  # the kernel's, to a shell's jobs
        assert process.wait(timeout=600) == 130
    records = read(run_in(tmp_path) / ".chatdev" / "events.jsonl")
    assert isinstance(records[-1].event, events.AttemptStopped)
    goes_on(run_in(tmp_path))


def test_a_process_that_was_stopped_for_longer_than_its_deadlines_goes_on(tmp_path: Path) -> None:
    (tmp_path / "chatdev.toml").write_text("[deadlines]\nidle = 1.5\nfirst_token = 2.0\ntotal = 60.0\n")
    pace = FaultSpec(place="Coding.1", first_token=0.5, per_token=0.002)
    with serving(pace) as endpoint, started(tmp_path, endpoint) as process:
        until(lambda: asked_to_code(tmp_path))
        process.send_signal(signal.SIGSTOP)
        time.sleep(2.5)
        process.send_signal(signal.SIGCONT)
        shown, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    assert "Verdict: passed" in shown
    assert len(answers_of(run_in(tmp_path))) == len(ANSWERS)


@pytest.mark.parametrize("number", [2, 5])
def test_a_sync_that_fails_ends_the_run_in_plain_words(tmp_path: Path, number: int) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("there is no strace here")
    failing = f"inject=fdatasync:error=EIO:when={number}+"  # strace counts for each thread
    inject = (strace, "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", failing)
    if subprocess.run([*inject, "true"], capture_output=True, check=False).returncode:
        pytest.skip("strace may not trace here")
    with serving() as endpoint, started(tmp_path, endpoint, *inject) as process:
        shown, stderr = process.communicate(timeout=600)
    assert process.returncode == 1, stderr
    assert "Traceback" not in stderr
    assert "events.jsonl cannot be written: Input/output error" in stderr
    assert "Nothing acknowledged is lost" in stderr
    assert "Verdict" not in shown
    goes_on(run_in(tmp_path))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() or not (mount and umount):
        pytest.skip("only root can mount a small file system")
    if subprocess.run([mount, "-t", "tmpfs", "-o", "size=256k", "none", str(folder)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(512))


def test_a_full_disk_ends_the_run_in_plain_words_and_room_lets_it_go_on(small_disk: Path, tmp_path: Path) -> None:
    filler = small_disk / "filler"
    with serving(AWHILE) as endpoint, started(small_disk, endpoint) as process:
        until(lambda: asked_to_code(small_disk))
        fill(filler)
        shown, stderr = process.communicate(timeout=600)
    assert process.returncode == 1, stderr
    assert "Traceback" not in stderr
    assert "No space left on device" in stderr
    assert "Verdict" not in shown
    run = run_in(small_disk)
    assert len(answers_of(run)) >= 3
    full = type_in(small_disk, "chatdev", "resume", str(run), VLLM_ENDPOINT="http://127.0.0.1:9/v1")
    assert full.returncode in (1, 2) and "Error:" in full.stderr
    filler.unlink()
    goes_on(run)


def test_a_run_cannot_begin_on_a_full_disk(small_disk: Path) -> None:
    fill(small_disk / "filler")
    with serving() as endpoint:
        done = type_in(small_disk, "chatdev", *BUILD[2:], VLLM_ENDPOINT=endpoint)
    assert done.returncode == 2
    assert "No run can be written under WareHouse (No space left on device)" in done.stderr
    assert not list((small_disk / "WareHouse").iterdir())


def test_a_read_only_folder_is_a_plain_error(small_disk: Path, tmp_path: Path) -> None:
    run = small_disk / "run"
    with serving(SLOW) as endpoint, started(tmp_path, endpoint) as process:
        until(lambda: asked_to_code(tmp_path))
        process.kill()
        process.wait()
    shutil.copytree(run_in(tmp_path), run)
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with serving() as endpoint:
        done = type_in(tmp_path, "chatdev", "resume", str(run), VLLM_ENDPOINT=endpoint)
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr
    assert "permissions" in done.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    goes_on(run)


@pytest.mark.parametrize("how", ["deleted", "moved"])
def test_a_folder_that_vanishes_is_named_and_not_made_again(tmp_path: Path, how: str) -> None:
    moved = tmp_path / "elsewhere"
    with serving(AWHILE) as endpoint, started(tmp_path, endpoint) as process:
        until(lambda: asked_to_code(tmp_path))
        run = run_in(tmp_path)
        if how == "deleted":
            shutil.rmtree(run)
        else:
            run.rename(moved)
        _, stderr = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "Traceback" not in stderr
    assert "moved or deleted" in stderr
    assert not run.exists()
    if how == "moved":
        assert len(answers_of(moved)) == 4  # what was written went with the folder
        goes_on(moved)


def test_a_damaged_log_is_named_and_repaired_on_demand(tmp_path: Path) -> None:
    with serving(SLOW) as endpoint, started(tmp_path, endpoint) as process:
        until(lambda: asked_to_code(tmp_path))
        process.kill()
        process.wait()
    run = run_in(tmp_path)
    log = run / ".chatdev" / "events.jsonl"
    data = log.read_bytes()
    log.write_bytes(data.replace(b"<INFO> Python", b"<INFO> Pythin"))
    done = type_in(tmp_path, "chatdev", "resume", str(run), VLLM_ENDPOINT="http://127.0.0.1:9/v1")
    assert done.returncode == 1
    assert re.search(r"events\.jsonl: record \d+ is damaged", done.stderr)
    assert "--repair" in done.stderr
    with serving() as endpoint:
        done = type_in(tmp_path, "chatdev", "resume", str(run), "--repair", VLLM_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stderr
    assert "moved to events.jsonl.cut" in done.stderr
    assert b"Pythin" in log.with_name("events.jsonl.cut").read_bytes()
    assert len(answers_of(run)) == len(ANSWERS)
