"""What programs, answers and names contain drives no terminal and forges no line."""

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from chatdev.cli.main import cli

ROOT = Path(__file__).parents[2]
BELL, CLEAR, TITLE = "\x07", "\x1b[2J", "\x1b]0;mine\x07"
PROGRAM = f"import sys; sys.stdout.write({f'a{CLEAR}b{TITLE}c'!r}); sys.stderr.write({f'd{CLEAR}e{BELL}'!r})"
COMMAND = [sys.executable, "-m", "chatdev", "sandbox", "run", "--level", "process-group", "python3", "-c", PROGRAM]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def on_a_terminal(folder: Path, command: list[str]) -> str:
    """What a terminal gets from a command on standard output and standard error."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command, cwd=folder, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
        if not piece:
            break
        seen += piece
    process.wait(timeout=600)
    os.close(ours)
    return seen.decode()


def test_a_program_in_the_sandbox_does_not_drive_the_terminal(tmp_path: Path) -> None:
    seen = on_a_terminal(tmp_path, COMMAND)
    assert "abc" in seen and "de" in seen
    assert "\x1b" not in seen and BELL not in seen


def test_a_pipe_gets_exactly_what_a_program_prints(tmp_path: Path) -> None:
    done = subprocess.run(COMMAND, cwd=tmp_path, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True)
    assert done.stdout.decode() == f"a{CLEAR}b{TITLE}c"
    assert done.stderr.decode() == f"d{CLEAR}e{BELL}"


NAMED = """import unittest

import main

class T(unittest.TestCase):
    pass

def check(self):
    assert main.X == 1, "\\x1b[2Jno\\rpassed"

setattr(T, "test_a\\n  passed    forged", check)
"""


def test_the_name_of_a_test_is_one_line_without_control_characters(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("X = 2\n")
    (tmp_path / "test_main.py").write_text(NAMED)
    shown = CliRunner().invoke(cli, ["test", str(tmp_path), "--unsafe-no-sandbox"]).stdout
    assert "forged" in shown
    assert not [line for line in shown.splitlines() if line.startswith("  passed ")]
    assert "\x1b" not in shown and "\r" not in shown


def test_an_answer_drives_no_terminal_when_it_is_parsed(tmp_path: Path) -> None:
    answer = tmp_path / "answer.txt"
    answer.write_text(f"main{CLEAR}.py\n```python\nx = 1\n```\n<INFO> done{TITLE}\n")
    shown = CliRunner().invoke(cli, ["parse", str(answer)]).stdout
    assert "conclusion" in shown
    assert "\x1b" not in shown and BELL not in shown


def test_a_companys_description_drives_no_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(cli, ["company", "new", "Mine"]).exit_code == 0
    head = tmp_path / "CompanyConfig" / "Mine" / "company.toml"
    head.write_text(head.read_text().replace('name = "Mine"', 'name = "Mine\\u001b[2J"', 1))
    for words in (["company", "check", "Mine"], ["company", "list"], ["company", "show", "Mine"]):
        done = CliRunner().invoke(cli, words)
        assert done.exit_code == 0, done.output
        assert "\x1b" not in done.stdout
