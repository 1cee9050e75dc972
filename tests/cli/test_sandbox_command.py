"""``chatdev sandbox`` and ``--unsafe-no-sandbox`` as a user types them."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import type_in

from chatdev.cli.main import cli
from chatdev.sandbox import levels
from chatdev.sandbox.levels import LevelCheck

MAIN = "X = 1\nprint('hello')\n"
TESTS = "import unittest\nimport main\n\nclass T(unittest.TestCase):\n    def test(self):\n        assert main.X == 1\n"


def invoke(*words: str, stdin: str = "") -> tuple[int, str, str]:
    result = CliRunner().invoke(cli, words, input=stdin)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def nothing_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(levels, "tried", lambda level: LevelCheck(level, "no such thing here"))
    monkeypatch.setattr(levels.best, "__defaults__", (levels.tried,))


def test_check_names_each_level_and_the_one_that_runs_use() -> None:
    status, stdout, _ = invoke("sandbox", "check")
    lines = stdout.splitlines()
    assert [line.split()[0] for line in lines[:3]] == list(levels.LEVELS)
    holding = [line.split()[0] for line in lines[:3] if line.endswith(" usable")]
    assert status == (0 if holding else 2)
    assert [line.split()[0] for line in lines[3:-1]] == [each for each in levels.ENGINES if shutil.which(each)]
    assert lines[-1].startswith(f"Runs use: {holding[0]}" if holding else "Runs are refused")


@pytest.mark.usefixtures("nothing_holds")
def test_where_nothing_holds_check_and_test_say_why_and_leave_with_2(tmp_path: Path) -> None:
    status, stdout, _ = invoke("sandbox", "check")
    assert (status, stdout.splitlines()[0]) == (2, "bubblewrap   not usable: no such thing here")
    status, _, stderr = invoke("test", str(tmp_path))
    assert status == 2
    assert "tried: landlock: no such thing here" in stderr
    assert "--unsafe-no-sandbox" in stderr


@pytest.mark.usefixtures("nothing_holds")
def test_without_a_sandbox_a_product_is_judged_only_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    (tmp_path / "test_main.py").write_text(TESTS)
    status, stdout, _ = invoke("test", str(tmp_path), "--json", "--unsafe-no-sandbox")
    assert (status, json.loads(stdout)["verdict"]) == (0, "passed")


@pytest.mark.parametrize("level", ["process-group", None])
def test_a_command_runs_with_its_own_status_streams_and_files(level: str | None, tmp_path: Path) -> None:
    if level is None and levels.tried("namespaces").why:
        pytest.skip(f"namespaces does not hold here: {levels.tried('namespaces').why}")
    (tmp_path / "given").write_text("file")
    words = ["--level", level or "namespaces", "--dir", str(tmp_path)]
    script = "cat given - ; echo err >&2; exit 3"
    assert invoke("sandbox", "run", *words, "--", "sh", "-c", script, stdin=" input") == (3, "file input", "err\n")


def test_what_ended_a_command_is_reported() -> None:
    words = ("sandbox", "run", "--level", "process-group", "--seconds", "0.3", "--")
    status, _, stderr = invoke(*words, "sleep", "60")
    assert (status, stderr[:26]) == (124, "Stopped by the time limit ")
    assert invoke(*words, "sh", "-c", "kill -11 $$")[0] == 128 + 11
    assert invoke(*words, "no-such-command") == (127, "", "no-such-command: No such file or directory")


def test_a_folder_that_is_not_there_is_a_plain_error() -> None:
    status, _, stderr = invoke("sandbox", "run", "--dir", "/no/such", "--", "true")
    assert (status, stderr.splitlines()[0]) == (2, "Error: There is no folder /no/such.")


@pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's levels need Linux")
def test_a_run_names_its_level(tmp_path: Path) -> None:
    words = ("build", "create a calculator", "--name", "C", "--model", "DEMO", "--quiet")
    done = type_in(tmp_path, "chatdev", *words, "--unsafe-no-sandbox")
    assert done.returncode == 0, done.stderr
    report = next((tmp_path / "WareHouse").glob("C_*/REPORT.md")).read_text()
    assert "process group" in report
