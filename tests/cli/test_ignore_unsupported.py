"""``--ignore-unsupported``: folders of ChatDev 1.0 that use unsupported parts run without them, and say so."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import type_in

from chatdev import runs
from chatdev.journal.store import read

SWITCH = "switch with_memory"
PHASE = "phase HumanAgentInteraction (CodeReviewHuman)"


@pytest.fixture
def human(tmp_path: Path) -> Path:
    """A folder as ChatDev 1.0's company Human: one unsupported switch, one unsupported phase."""
    step = {"phaseType": "SimplePhase", "max_turn_step": 1, "need_reflect": "False"}
    talk = {"phase": "HumanAgentInteraction", "phaseType": "ComposedPhase", "cycleNum": 5}
    settings = {
        "chain": [{"phase": "Coding"} | step, talk | {"Composition": [{"phase": "CodeReviewHuman"} | step]}],
        "recruitments": ["Programmer", "Chief Technology Officer", "Chief Creative Officer"],
        "with_memory": "True",
    }
    folder = tmp_path / "CompanyConfig" / "Human"
    folder.mkdir(parents=True)
    (folder / "ChatChainConfig.json").write_text(json.dumps(settings))
    return folder


def reports(folder: Path) -> list[str]:
    """The reports of all runs below this folder."""
    return [path.read_text() for path in sorted(folder.rglob("REPORT.md"))]


def lists_both(report: str) -> bool:
    return all(f"- **ignored**: `{part}` of the company is not supported" in report for part in (SWITCH, PHASE))


RUN = ("--config", "Human", "--model", "STUB")


def test_a_run_ignores_the_unsupported_parts_and_lists_them(tmp_path: Path, human: Path) -> None:
    done = type_in(tmp_path, "run.py", "--task", "greet", "--name", "G", *RUN, "--ignore-unsupported", "--quiet")
    assert f"ignored (not supported): {SWITCH}\nignored (not supported): {PHASE}\n" in done.stdout
    (report,) = reports(tmp_path / "WareHouse")
    assert lists_both(report)
    shown = type_in(tmp_path, "chatdev", "show", "G_").stdout
    assert f"ignored (not supported): {SWITCH}" in shown


def test_without_the_option_a_run_is_refused_and_the_error_names_the_option(tmp_path: Path, human: Path) -> None:
    done = type_in(tmp_path, "chatdev", "build", "greet", "--name", "G", *RUN)
    assert done.returncode == 2
    assert "with_memory: expected False, found True" in done.stderr
    assert "--ignore-unsupported" in done.stderr
    assert not (tmp_path / "WareHouse").exists()


def test_a_resume_works_on_the_copy_of_the_company_and_lists_the_same(tmp_path: Path, human: Path) -> None:
    request = runs.RunRequest("greet", "G", config=str(human), model="STUB", ignore_unsupported=True)
    folder = runs.begin(request, tmp_path / "WareHouse")
    shutil.rmtree(human)
    done = type_in(tmp_path, "chatdev", "resume", folder.name)
    assert f"ignored (not supported): {PHASE}" in done.stdout
    (report,) = reports(tmp_path / "WareHouse")
    assert lists_both(report)
    forked = type_in(tmp_path, "chatdev", "resume", folder.name, "--from", "Coding")
    assert f"ignored (not supported): {PHASE}" in forked.stdout
    assert [lists_both(each) for each in reports(tmp_path / "WareHouse")] == [True, True]


def test_a_batch_names_the_ignored_parts_once_and_every_report_lists_them(tmp_path: Path, human: Path) -> None:
    (tmp_path / "tasks.csv").write_text("task,name\ngreet,One\ngreet,Two\n")
    batch = ("chatdev", "batch", "tasks.csv", "--out", "out", *RUN)
    assert "--ignore-unsupported" in type_in(tmp_path, *batch).stderr
    done = type_in(tmp_path, *batch, "--ignore-unsupported")
    assert done.stderr.count(f"Ignored in the company Human (not supported): {SWITCH}.") == 1
    assert [lists_both(report) for report in reports(tmp_path / "out" / "projects")] == [True, True]


def test_an_arm_of_an_evaluation_can_ignore_them(tmp_path: Path, human: Path) -> None:
    tasks = tmp_path / "tasks"
    tasks.mkdir()
    hidden = [{"property": "greeting", "input": {}, "expected": "Hello"}]
    task = {"name": "greet", "description": "greet", "hidden": hidden}
    (tasks / "tasks.jsonl").write_text(json.dumps(task) + "\n")
    evaluation = ("chatdev", "eval", "tasks", "--out", "out", "--model", "STUB")
    assert "--ignore-unsupported" in type_in(tmp_path, *evaluation, "--arm", "Human").stderr
    done = type_in(tmp_path, *evaluation, "--arm", "Human --ignore-unsupported")
    assert done.returncode == 0, done.stderr
    assert [lists_both(report) for report in reports(tmp_path / "out" / "arms")] == [True]


def test_company_commands_take_the_option_and_a_converted_folder_keeps_the_list(tmp_path: Path, human: Path) -> None:
    assert "--ignore-unsupported" in type_in(tmp_path, "chatdev", "company", "check", "Human").stderr
    for words in (("check", "Human"), ("show", "Human"), ("new", "Mine", "--from", "Human"), ("convert", str(human))):
        done = type_in(tmp_path, "chatdev", "company", *words, "--ignore-unsupported")
        assert f"Ignored (not supported): {PHASE}" in done.stdout, done.stderr
    for native in ("Mine", "Human-native"):
        type_in(tmp_path, "chatdev", "build", "greet", "--name", native, "--config", native, "--model", "STUB")
        (log,) = tmp_path.glob(f"WareHouse/{native}_*/.chatdev/events.jsonl")
        assert runs.started(read(log), log).ignored == (SWITCH, PHASE)
