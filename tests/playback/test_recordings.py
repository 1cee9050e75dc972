"""The recordings that come with ChatDev: the companies take each to its end over real HTTP."""

import shlex
import subprocess
import sys
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from chatdev import runs, wiring
from chatdev.journal.events import (
    Diagnostic,
    FileWritten,
    ModelAnswered,
    PhaseEnded,
    ProductStarted,
    RaceDecided,
    TestsRan,
)
from chatdev.journal.store import Record, read
from chatdev.models.choose import choose
from chatdev.playback import demo
from chatdev.playback.recording import Recording
from chatdev.settings import load

T = TypeVar("T")

DELIVERED = {"main.py", "requirements.txt", "manual.md", "REPORT.md", "meta.txt"}
TESTS = {"default": "tests/acceptance.txt", "full": "tests/test_acceptance.py"}
OF_DEFAULT = ("Sketch.1", "ExampleWriting.1", "Drafting.1")
"""Phases that only the default company has; it shares the manual with the full one."""
HOLLOW = "Verdict.1/baseline.1"
"""The tests on the product without its content."""


class Played(msgspec.Struct, frozen=True):
    """A recording, and the run that it was played to."""

    recording: Recording
    folder: Path
    verdict: str
    records: tuple[Record, ...]

    def events(self, kind: type[T]) -> list[T]:
        return [record.event for record in self.records if isinstance(record.event, kind)]

    def notes(self) -> list[str]:
        return [f"{note.kind}: {note.text}" for note in self.events(Diagnostic)]

    def test_runs(self) -> list[str]:
        """Of each run of the tests on the product: ``passed of all``, and the methods that did not pass."""
        notes = []
        for ran in self.events(TestsRan):
            if ran.place == HOLLOW:
                continue
            failing = [result.id.rpartition("::")[2] for result in ran.results if result.outcome != "passed"]
            notes.append(" ".join([f"{len(ran.results) - len(failing)} of {len(ran.results)}", *failing]))
        return notes

    def wrote(self, phase: str) -> list[str]:
        """The paths that a phase changed, in order."""
        return [file.path for file in self.events(FileWritten) if f"/{phase}." in f"/{file.place}"]


async def play(task: str, warehouse: Path, config: str = "full", vacuous: tuple[str, ...] = ()) -> Played:
    """Do a demo task as ``--model DEMO`` does, and see that everything comes of it that a user is promised.

    ``vacuous`` are the tests that pass on the product without its content, too.
    """
    recording = demo.recording_of(task)
    async with demo.serving(task) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, warehouse))
        try:
            folder = runs.begin(runs.RunRequest(task=task, name=recording.name, config=config), warehouse)
            verdict = await wiring.work(folder, choice)
        finally:
            await choice.backend.aclose()
    played = Played(recording, folder, verdict.verdict, read(runs.log_of(folder)))
    assert played.verdict == "passed"
    assert tuple(each.rpartition("::")[2] for each in verdict.vacuous) == vacuous
    places = {answered.place for answered in played.events(ModelAnswered)}
    if config == "full":
        assert places == {entry.place for entry in recording.entries if not entry.place.startswith(OF_DEFAULT)}
    assert [started.exit_status for started in played.events(ProductStarted)] == [0]
    assert all((folder / name).is_file() for name in DELIVERED | {TESTS[config]})
    assert_manual_is_true(folder)
    return played


def assert_manual_is_true(product: Path) -> None:
    """Type what the manual shows behind ``$``, and compare what comes with what it shows below."""
    shown = [block for block in (product / "manual.md").read_text().split("```\n") if block.startswith("$ ")]
    assert shown
    for example in "".join(shown).split("$ ")[1:]:
        command, _, output = example.partition("\n")
        script = f'python3() {{ {shlex.quote(sys.executable)} "$@"; }}\n{command}'
        home = {"HOME": str(product.parent), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(["sh", "-c", script], cwd=product, env=home, capture_output=True, text=True, timeout=30)
        assert (command, done.stdout + done.stderr) == (command, output)


def test_they_answer_the_four_tasks() -> None:
    assert {(recording.task, recording.name) for recording in demo.recordings()} == {
        ("create a calculator", "Calculator"),
        ("create a hello world program", "HelloWorld"),
        ("create a todo app", "TodoApp"),
        ("print hello world", "Test"),
    }


async def test_the_calculator_has_the_shape_of_one_by_chatdev_1(tmp_path: Path) -> None:
    played = await play("create a calculator", tmp_path)
    program = [played.folder / "main.py", *sorted((played.folder / "calculator").glob("*.py"))]
    assert len(program) == 4
    assert 140 <= sum(len(path.read_text().splitlines()) for path in program) <= 175
    assert played.notes() == ["asked again: Coding: the answer broke off inside calculator/evaluator.py"]
    assert played.wrote("CodeComplete") == ["calculator/__init__.py"]
    assert played.wrote("CodeReview") == ["calculator/evaluator.py", "main.py"]
    assert played.wrote("Test") == ["calculator/evaluator.py"]
    assert played.test_runs()[1:] == [
        "9 of 10 test_what_is_no_expression_is_an_error",
        "9 of 10 test_powers",
        "10 of 10",
    ]


async def test_the_todo_app_leaves_code_out_once_and_is_settled_by_a_reflection(tmp_path: Path) -> None:
    played = await play("create a todo app", tmp_path)
    assert played.notes() == ["asked again: CodeReviewModification: tasks.py came with parts left out"]
    assert [ended.phase for ended in played.events(PhaseEnded) if ended.reflected] == ["DemandAnalysis"]
    assert played.wrote("CodeReview") == ["storage.py", "tasks.py"]
    assert played.test_runs()[1:] == ["8 of 9 test_a_damaged_file_is_an_error_and_is_left_alone", "9 of 9"]


async def test_hello_world_is_described_before_it_is_written(tmp_path: Path) -> None:
    played = await play("create a hello world program", tmp_path, vacuous=("test_an_import_prints_nothing",))
    assert played.notes() == ["asked again: Coding: no file could be read out of the answer"]
    assert played.test_runs()[1:] == ["3 of 3"]


async def test_print_hello_world_meets_tests_that_prove_nothing_first(tmp_path: Path) -> None:
    played = await play("print hello world", tmp_path, vacuous=("test_ends_without_an_error",))
    assert played.notes() == ["asked again: TestWriting: every test passes without a program"]
    assert [run.split()[0] for run in played.test_runs()] == ["2", "0", "2"]
    roles = [answered.role for answered in played.events(ModelAnswered) if answered.place.startswith("LanguageChoose")]
    assert roles == ["Chief Technology Officer", "Chief Executive Officer"]


async def test_the_default_companys_first_calculator_is_wrong_and_its_second_holds(tmp_path: Path) -> None:
    played = await play("create a calculator", tmp_path, "default")
    places = [answered.place for answered in played.events(ModelAnswered)]
    assert places[:3] == [
        "Sketch.1/candidate.1/Programmer.1/ask.1",
        "ExampleWriting.1/SoftwareTestEngineer.1/ask.1",
        "Drafting.1/candidate.1/Programmer.1/ask.1",
    ]
    first = next(ran for ran in played.events(TestsRan) if "/candidate.1/" in ran.place)
    failing = [result for result in first.results if result.outcome != "passed"]
    assert [(result.id.partition("::")[2], result.why) for result in failing] == [
        ("tester: '2 ^ 3 ^ 2'", 'expected "512", printed "64"'),
        ("tester: '-2 ^ 2'", 'expected "-4", printed "4"'),
    ]
    third = next((ran for ran in played.events(TestsRan) if "/candidate.3/" in ran.place), None)
    assert third is None or any(result.outcome != "passed" for result in third.results)  # it may be cancelled
    (race,) = played.events(RaceDecided)
    assert (race.winner, race.dropped) == (2, ())
    assert [standing.number for standing in race.standings] == [1, 2, 3]
    assert played.test_runs()[-1] == "5 of 5"


async def test_the_default_companys_todo_app_keeps_its_list_between_two_starts(tmp_path: Path) -> None:
    played = await play("create a todo app", tmp_path, "default")
    assert played.test_runs() == ["5 of 5"]
    last = (played.folder / TESTS["default"]).read_text().split("\n\n")[3]
    assert last == (
        "$ python3 main.py add 'Buy milk'\n$ python3 main.py add Call Ada\n$ python3 main.py done 1\n"
        "$ python3 main.py list\n  1 [x] Buy milk\n  2 [ ] Call Ada"
    )


@pytest.mark.parametrize("task", ["create a hello world program", "print hello world"])
async def test_the_default_company_judges_a_greeting_by_what_drafts_print(tmp_path: Path, task: str) -> None:
    played = await play(task, tmp_path, "default")
    (note,) = played.notes()
    assert "(no input) is judged by what several candidates print" in note
    assert played.test_runs()[-1] == "1 of 1"
    places = [answered.place for answered in played.events(ModelAnswered)]
    assert places[:3] == [
        "Sketch.1/candidate.1/Programmer.1/ask.1",
        "Sketch.1/candidate.2/Programmer.1/ask.1",
        "Drafting.1/candidate.1/Programmer.1/ask.1",
    ]
    assert set(places[3:]) >= {"Drafting.1/candidate.2/Programmer.1/ask.1", "Manual.1/ChiefProductOfficer.1/ask.1"}


def test_the_same_recording_answers_who_works_alone() -> None:
    recording = demo.recording_of("create a calculator")
    alone = recording.find("Drafting.1/Programmer.1/ask.1", "")
    assert alone is not None and alone == recording.find("Drafting.1/candidate.2/Programmer.1/ask.1", "")
