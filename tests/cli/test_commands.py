"""The commands as a user types them: exit statuses, plain errors, and never a traceback."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from command_line import FULL, ROOT, environment, serving, serving_process, type_in, type_in_process
from helpers.support import ANSWERS, recording

from chatdev.cli import common
from chatdev.cli.test import command as judge
from chatdev.playback.recording import write


def test_a_run_ends_with_the_verdict_and_the_software_info(tmp_path: Path, server: str) -> None:
    words = ("--task", "greet", "--name", "Grüße 1", "--model", "VLLM", *FULL)
    done = type_in_process(tmp_path, "run.py", *words, VLLM_ENDPOINT=server)
    assert done.returncode == 0, done.stderr
    assert "Verdict: passed" in done.stdout
    assert len(re.findall(r"^\*\*\w+\*\*=", done.stdout, re.M)) == 14
    (folder,) = (tmp_path / "WareHouse").iterdir()
    assert re.fullmatch(r"Grüße 1_DefaultOrganization_\d{14}", folder.name)
    assert (folder / "Grüße 1.prompt").read_text() == "greet"


def test_the_demo_needs_no_server_and_no_settings(tmp_path: Path) -> None:
    (tmp_path / "chatdev.toml").write_text('vllm_endpoint = "http://127.0.0.1:9"\nproxy = "http://127.0.0.1:9"\n')
    done = type_in(tmp_path, "run.py", "--task", "print hello world", "--name", "T", "--model", "demo")
    assert done.returncode == 0, done.stderr
    assert "Verdict: passed" in done.stdout


def test_names_are_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = type_in_process(
        tmp_path, "run.py", "--task", "print hello world", "--name", "Grüße 计算", "--model", "DEMO", **ascii_only
    )
    assert done.returncode == 0, done.stderr
    assert "Grüße 计算_DefaultOrganization" in done.stdout
    assert type_in_process(tmp_path, "chatdev", "resume", "Grü", **ascii_only).returncode == 0


@pytest.mark.parametrize("spelled", ["", "/", "/v1", "/v1/"])
def test_the_endpoint_may_be_spelled_in_any_way(tmp_path: Path, server: str, spelled: str) -> None:
    endpoint = server.removesuffix("/v1") + spelled
    done = type_in(tmp_path, "chatdev", "build", "greet", "--name", "G", *FULL, "--quiet", VLLM_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stderr
    assert "wrote" not in done.stdout


def test_the_task_may_come_from_standard_input_or_a_file(tmp_path: Path, server: str) -> None:
    (tmp_path / "task.txt").write_text("greet\n")
    for task in ("-", "@task.txt"):
        done = type_in(tmp_path, "chatdev", "build", task, "--name", "G", *FULL, stdin="greet\n", VLLM_ENDPOINT=server)
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "WareHouse").iterdir())) == 2


def test_show_runs_test_and_resume_of_a_finished_run(tmp_path: Path, server: str) -> None:
    type_in(tmp_path, "chatdev", "build", "greet", "--name", "G", *FULL, VLLM_ENDPOINT=server)
    assert "passed" in type_in(tmp_path, "chatdev", "runs").stdout
    shown = type_in(tmp_path, "chatdev", "show", "G")
    assert shown.returncode == 0
    assert "passed" in shown.stdout
    assert json.loads(type_in(tmp_path, "chatdev", "show", "G", "--json").stdout)["verdict"] == "passed"
    again = type_in(tmp_path, "chatdev", "resume", "G")
    assert again.returncode == 0
    assert "Verdict: passed" in again.stdout
    judged = type_in(tmp_path, "chatdev", "test", "G", "--json")
    assert judged.returncode == 0
    assert json.loads(judged.stdout)["verdict"] == "passed"
    (folder,) = (tmp_path / "WareHouse").iterdir()
    (folder / "words.py").write_text("def greeting():\n    return 'bye'\n")
    judged = type_in(tmp_path, "chatdev", "test", str(folder))
    assert judged.returncode == 1
    assert "failed (0 of 1)" in judged.stdout


def test_a_new_run_begins_where_an_old_one_had_come_to(tmp_path: Path, server: str) -> None:
    type_in(tmp_path, "chatdev", "build", "greet", "--name", "G", *FULL, VLLM_ENDPOINT=server)
    (old,) = (tmp_path / "WareHouse").iterdir()
    question = old / ".chatdev" / "company" / "phases" / "Coding.md"
    question.write_text(question.read_text() + "\nBe brief.\n")
    done = type_in(tmp_path, "chatdev", "resume", "G", "--from", "coding", VLLM_ENDPOINT=server)
    assert done.returncode == 0, done.stderr
    (new,) = set((tmp_path / "WareHouse").iterdir()) - {old}
    logs = {folder: (folder / ".chatdev" / "events.jsonl").read_text() for folder in (old, new)}
    kept, _, done_anew = logs[new].rpartition('"attempt.started"')
    assert ("TestWriting.1" in kept, "Coding.1" in kept) == (True, False)
    assert ("TestWriting.1" in done_anew, "Coding.1" in done_anew) == (False, True)
    assert "Be brief." not in logs[old]
    assert "Be brief." in logs[new]
    assert (new / "main.py").read_bytes() == (old / "main.py").read_bytes()
    done = type_in(tmp_path, "chatdev", "resume", str(old), "--from", "Dancing")
    assert done.returncode == 2
    assert "Choose one of: DemandAnalysis, LanguageChoose, TestWriting, Coding" in done.stderr


def test_debug_shows_requests_and_answers_and_never_a_key(tmp_path: Path, server: str) -> None:
    done = type_in(
        tmp_path, "chatdev", "build", "greet", "--name", "G", *FULL,
        VLLM_ENDPOINT=server, VLLM_DEBUG="1", VLLM_API_KEY="sk-very-secret-0123456789",
    )  # fmt: skip
    assert done.returncode == 0
    (log,) = tmp_path.glob("WareHouse/*/.chatdev/debug.log")
    for text in (done.stderr, log.read_text()):
        assert "chat/completions" in text
        assert "Which kind of product" in text
        assert "very-secret" not in text


def test_a_server_that_dies_leaves_a_run_that_can_be_resumed(tmp_path: Path) -> None:
    half = dict(list(ANSWERS.items())[:4])
    (tmp_path / "half.recording").write_text(write(recording(half)))
    with serving(tmp_path, "half.recording") as endpoint:
        done = type_in(tmp_path, "chatdev", "build", "greet", "--name", "G", *FULL, VLLM_ENDPOINT=endpoint)
    assert done.returncode == 2
    assert "events.jsonl" in done.stderr
    assert "resume" in done.stderr
    assert "resume with" in type_in(tmp_path, "chatdev", "runs").stdout
    (tmp_path / "rest.recording").write_text(write(recording(dict(list(ANSWERS.items())[4:]))))
    with serving(tmp_path, "rest.recording") as endpoint:
        done = type_in(tmp_path, "chatdev", "resume", "G", VLLM_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stderr


def begin(folder: Path, endpoint: str, *before: str) -> "subprocess.Popen[str]":
    """A run in the background, when its first phase has begun."""
    process = subprocess.Popen(
        [*before, sys.executable, str(ROOT / "run.py"), "--task", "greet", "--name", "G", *FULL],
        cwd=folder,
        env=environment(VLLM_ENDPOINT=endpoint),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while "DemandAnalysis" not in process.stdout.readline():
        pass
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_ctrl_c_saves_the_run_and_prints_the_command_to_go_on_with(tmp_path: Path, number: int) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    with serving(tmp_path, "greet.recording", 'fault = "stall", after = 3') as endpoint:
        process = begin(tmp_path, endpoint)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=600)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    command = stderr.strip().rpartition("Continue with: ")[2]
    bare = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    with serving_process(tmp_path, "greet.recording") as endpoint:
        done = subprocess.run(
            command, shell=True, cwd=tmp_path, env=bare | {"VLLM_ENDPOINT": endpoint}, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stderr
    assert "Verdict: passed" in done.stdout


def test_under_nohup_a_closed_terminal_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    with serving(tmp_path, "greet.recording", 'fault = "stall", after = 3') as endpoint:
        process = begin(tmp_path, endpoint, "nohup")
        ignored = re.search(r"SigIgn:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
        process.terminate()
        process.communicate(timeout=600)
    assert ignored is not None
    assert int(ignored[1], 16) & 1 << signal.SIGHUP - 1


def test_a_run_whose_reader_leaves_goes_on_to_its_end(tmp_path: Path, server: str) -> None:
    process = begin(tmp_path, server)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(timeout=600) == 0
    process.stderr.close()


REFUSED = [
    (["--model", "GPT_4O"], {"OPENAI_API_KEY": "your_openai_api_key_here"}, "holds a placeholder"),
    (["--model", "GPT_9"], {}, "VLLM, VLLM_LOCAL, DEMO"),
    (["--name", "a/b"], {}, "--name 'a/b'"),
    (["--name", ".."], {}, "--name '..'"),
    (["--org", "a\tb"], {}, "control character"),
    (["--name", ""], {}, "empty"),
    (["--name", "x" * 200], {}, "80 bytes"),
    (["--task", "  "], {}, "The task is empty"),
    (["--task", "@absent"], {}, "cannot be read"),
    (["--path", "somewhere"], {}, "existing code"),
    (["--config", "Nowhere"], {}, "no company called"),
    (["--task", "fly", "--model", "DEMO"], {}, '--task "create a calculator"'),
    (["--model", "VLLM"], {"VLLM_ENDPOINT": "http://127.0.0.1:9/v1"}, "No model server answered at"),
    (["--model", "GPT_4O"], {}, "OPENAI_API_KEY"),
    (["--model", "openai:gpt-x"], {"OPENAI_API_KEY": "your_openai_api_key_here"}, "OPENAI_API_KEY"),
    (["--model", "VLLM"], {"VLLM_ENDPOINT": "not a url"}, "VLLM_ENDPOINT"),
]


@pytest.mark.parametrize(("words", "environ", "expected"), REFUSED, ids=[" ".join(row[0])[:40] for row in REFUSED])
def test_what_cannot_be_done_is_reported_plainly_with_exit_status_2(
    tmp_path: Path, words: list[str], environ: dict[str, str], expected: str
) -> None:
    done = type_in(tmp_path, "run.py", *words, **environ)
    assert done.returncode == 2, done.stderr
    assert expected in done.stderr
    assert not (tmp_path / "WareHouse").exists()


@pytest.mark.parametrize("words", [["show", "x"], ["resume", "x"], ["test", "x"], ["playback", "x"]])
def test_an_unknown_run_is_reported_plainly(tmp_path: Path, words: list[str]) -> None:
    done = type_in(tmp_path, "chatdev", *words)
    assert done.returncode == 2
    assert 'There is no run "x"' in done.stderr
    assert "no runs" in type_in(tmp_path, "chatdev", "runs").stderr


def test_help_names_the_options_of_1_0_and_the_variables(tmp_path: Path) -> None:
    shown = type_in(tmp_path, "run.py", "--help").stdout
    for name in ("--config", "--org", "--task", "--name", "--model", "--path", "VLLM_ENDPOINT", "VLLM_MODEL_NAME"):
        assert name in shown
    assert "build" in type_in(tmp_path, "chatdev", "--help").stdout
    assert "130" in type_in(tmp_path, "chatdev", "build", "--help").stdout


@pytest.mark.parametrize("start", [f"run_path({str(ROOT / 'run.py')!r})", "run_module('chatdev', alter_sys=True)"])
def test_a_python_that_is_too_old_is_named_plainly_before_anything_is_imported(start: str) -> None:
    old = f"import runpy, sys; sys.version_info = (3, 10, 13); sys.modules['click'] = None; runpy.{start}"
    done = subprocess.run([sys.executable, "-c", old], capture_output=True, text=True, env=environment())
    assert done.returncode == 2
    assert done.stderr == "ChatDev needs Python 3.11 or newer; this is 3.10.\nRun it with a newer Python.\n"


@pytest.mark.parametrize("package", ["click", "msgspec", "aiohttp"])
@pytest.mark.parametrize(
    "words", [("run.py", "--task", "greet", "--name", "G"), ("chatdev", "build", "greet", "--name", "G")]
)
def test_a_missing_package_is_named_with_the_command_that_installs_all(
    tmp_path: Path, package: str, words: tuple[str, ...]
) -> None:
    missing = f"raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')\n"
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / f"{package}.py").write_text(missing)
    path = os.pathsep.join([str(tmp_path / "without"), str(ROOT)])
    done = type_in_process(tmp_path, *words, "--model", "DEMO", PYTHONPATH=path)
    assert done.returncode == 2
    assert f"the package {package} is not installed here" in done.stderr
    assert "-m pip install -r requirements.txt" in done.stderr


def test_a_company_without_tests_exits_0_when_its_product_starts(tmp_path: Path) -> None:
    answers = {place.removeprefix("together.1/"): text for place, text in ANSWERS.items()}
    (tmp_path / "classic.recording").write_text(write(recording(answers)))
    with serving(tmp_path, "classic.recording") as endpoint:
        done = type_in(tmp_path, "run.py", "--config", "classic", "--task", "greet", VLLM_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stderr
    assert "Verdict: starts (not tested)" in done.stdout


def test_a_window_that_is_too_small_ends_with_status_2_and_the_arithmetic(tmp_path: Path) -> None:
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    with serving(tmp_path, "greet.recording", "window = 500") as endpoint:
        done = type_in(tmp_path, "chatdev", "build", "greet", "--name", "G", *FULL, VLLM_ENDPOINT=endpoint)
    assert done.returncode == 2
    assert re.search(r"takes (about )?\d+ tokens, the shortest useful answer 256, .* the window has 500\.", done.stderr)


def test_limits_are_typed_and_a_run_that_met_one_goes_on_with_more(tmp_path: Path, server: str) -> None:
    words = ("run.py", "--task", "greet", "--name", "Greeting", "--model", "VLLM", *FULL, "--max-calls", "4")
    done = type_in(tmp_path, *words, "--max-tokens-total", "1000000", "--max-minutes", "60", VLLM_ENDPOINT=server)
    assert done.returncode == 0, done.stderr
    assert "limit: the run's limit of 4 calls was reached (4 calls spent)" in done.stdout
    (folder,) = (tmp_path / "WareHouse").iterdir()
    (command,) = re.findall(r"`chatdev (resume .*) NUMBER`", (folder / "REPORT.md").read_text())
    more = type_in(tmp_path, "chatdev", *command.split(), "50", VLLM_ENDPOINT=server)
    assert more.returncode == 0, more.stderr
    (fork,) = set((tmp_path / "WareHouse").iterdir()) - {folder}
    assert (fork / "manual.md").exists()
    assert "ended early" not in (fork / "REPORT.md").read_text()
    refused = type_in(tmp_path, *words[:-1], "0")
    assert refused.returncode == 2 and "--max-calls" in refused.stderr


def test_what_a_product_or_a_server_says_does_not_drive_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "main.py").write_text("print('x')\n")
    case = "        self.fail('\\x1b[2J\\x9b2J\\u202eabc')\n"
    test = f"import unittest\n\n\nclass A(unittest.TestCase):\n    def test_a(self):\n{case}"
    (tmp_path / "tests" / "test_a.py").write_text(test)
    done = CliRunner().invoke(judge, [str(tmp_path)])
    assert "abc" in done.output
    assert not set(done.output) & set("\x1b\x9b\u202e")
    with CliRunner().isolation() as (_, err, _):
        common.say("Error: \x1b]0;title\x07the server\u202e said")
        assert err.getvalue() == b"Error: the server said\n"


def test_endpoints_may_be_typed_and_a_resume_remembers_them(tmp_path: Path, server: str) -> None:
    words = ("--endpoint", "127.0.0.1:9", "--endpoint", server, "--local-only", "--max-cost", "0.5")
    done = type_in(tmp_path, "run.py", "--task", "greet", "--name", "G", *FULL, *words, OPENAI_API_KEY="sk-proj-4711")
    assert done.returncode == 0, done.stderr
    assert "No model server answered at http://127.0.0.1:9/v1" in done.stdout
    assert "OpenAI" not in done.stdout
    (folder,) = (tmp_path / "WareHouse").iterdir()
    begun = json.loads((folder / ".chatdev" / "events.jsonl").read_text().splitlines()[0])
    assert '"local_only":true' in json.dumps(begun, separators=(",", ":"))
    again = type_in(tmp_path, "chatdev", "resume", "G", "--from", "Coding")
    assert again.returncode == 0, again.stderr
    assert server in again.stdout


def test_what_is_to_stay_local_is_not_sent_to_openai(tmp_path: Path) -> None:
    typed = ("chatdev", "build", "greet", "--name", "G", *FULL, "--model", "openai:gpt-6-luna")
    done = type_in(tmp_path, *typed, CHATDEV_LOCAL_ONLY="1", OPENAI_API_KEY="sk-proj-4711")
    assert done.returncode == 2
    assert "--local-only (or CHATDEV_LOCAL_ONLY) forbids that" in done.stderr
    assert not (tmp_path / "WareHouse").exists()
