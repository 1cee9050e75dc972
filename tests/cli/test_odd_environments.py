"""Commands in environments where something is missing: a reason in plain words, or the whole result."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OURS = ("VLLM_", "OPENAI_", "BASE_URL", "CHATDEV_", "OTEL_")
RUN = f"{sys.executable} {ROOT / 'run.py'} --task 'create a calculator' --name Calculator --model DEMO"
CHATDEV = f"{sys.executable} -m chatdev"


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    environment = {**kept, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", line], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def report(folder: Path) -> str:
    (found,) = folder.glob("WareHouse/*/REPORT.md")
    return found.read_text()


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-", ">/dev/full"])
def test_a_run_without_a_standard_stream_is_a_whole_run(tmp_path: Path, streams: str) -> None:
    done = shell(tmp_path, f"{RUN} {streams}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "passed" in report(tmp_path)
    for path in (tmp_path / "WareHouse").rglob("*"):
        assert not path.is_file() or "Verdict: passed\nReport:" not in path.read_text(errors="replace"), path


def test_few_open_files_are_a_reason_before_anything_is_written(tmp_path: Path) -> None:
    done = shell(tmp_path, f"ulimit -n 32; {RUN}")
    assert done.returncode == 2
    assert done.stderr.startswith("Error: Only 32 files may be open here, and ChatDev needs 256.\n")
    assert "ulimit -n 1024" in done.stderr
    assert not (tmp_path / "WareHouse").exists()


def test_a_low_limit_that_may_be_raised_is_raised(tmp_path: Path) -> None:
    assert shell(tmp_path, f"ulimit -S -n 64; {RUN}").returncode == 0


def test_a_run_needs_no_home(tmp_path: Path) -> None:
    done = shell(tmp_path, f"env -u HOME {RUN}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        (f"{sys.executable} {ROOT / 'run.py'} --task - --model DEMO <&-", 2, "The task is empty"),
        (f"{sys.executable} {ROOT / 'run.py'} --help >/dev/full", 1, "No space left on device"),
        (f"{CHATDEV} --help >/dev/full", 1, "No space left on device"),
        (f"{CHATDEV} company list >/dev/full", 1, "No space left on device"),
        (f"ulimit -n 32; {CHATDEV} sandbox run true", 2, "Only 32 files"),
        (f"ulimit -n 32; {CHATDEV} doctor", 2, "Only 32 files"),
        (f"ulimit -n 32; {CHATDEV} serve tiny.gguf", 2, ""),
        (f"ulimit -n 32; {CHATDEV} playback {ROOT / 'chatdev/playback/recordings/calculator.recording'}", 2, "Only 32"),
        (f"ulimit -n 32; {CHATDEV} sandbox check", 2, "ulimit -n 1024"),
        (f"ulimit -n 32; echo create a calculator > t.txt; {CHATDEV} batch t.txt --model DEMO", 2, ""),
        (f"mkdir gone; cd gone; rmdir ../gone; {RUN}", 2, "No run can be written under WareHouse"),
    ],
)
def test_what_cannot_be_done_here_has_a_plain_reason(tmp_path: Path, line: str, status: int, reason: str) -> None:
    done = shell(tmp_path, line)
    assert "Traceback" not in done.stderr + done.stdout
    assert "Exception ignored" not in done.stderr
    assert (done.returncode, reason in done.stderr + done.stdout) == (status, True), done.stderr
