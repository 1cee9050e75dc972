"""Whole runs in which a model says the right thing in the wrong form: none of it is asked for again."""

from pathlib import Path

import pytest
from helpers.support import ANSWERS, MAIN, TESTS, WORDS, Ran, recording, run

from chatdev import runs
from chatdev.journal.events import Diagnostic, FileRefused, MessageStored, ModelAnswered, TestsRan

TESTING = "TestWriting.1/SoftwareTestEngineer.1/ask.1"
CODING = "Coding.1/Programmer.1/ask.1"
MANUAL = "Manual.1/ChiefProductOfficer.1/ask.1"
REPAIR = "SoundTests.1/TestRepair.1/SoftwareTestEngineer.1/ask.1"
AT = "tests/test_acceptance.py"


def notes(ran: Ran) -> list[str]:
    return [f"{note.kind}: {note.text}" for note in ran.events(Diagnostic)]


def nameless(file: str) -> str:
    return file.partition("\n")[2]


async def test_tests_and_program_without_a_name_are_taken_and_reported(tmp_path: Path) -> None:
    coded = f"{WORDS}\nAnd it is started by:\n{nameless(MAIN)}"
    ran = await run(tmp_path, recording(ANSWERS | {TESTING: nameless(TESTS), CODING: coded}))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == [
        f"guessed: TestWriting: the answer does not say that a block is {AT}",
        "guessed: Coding: the answer does not say that a block is main.py",
    ]
    assert len(ran.events(ModelAnswered)) == len(ANSWERS)


@pytest.mark.parametrize("name", ["tests.py", "main.py", "tests/greeting.py"])
async def test_tests_in_a_wrong_place_are_put_where_they_are_looked_for(tmp_path: Path, name: str) -> None:
    ran = await run(tmp_path, recording(ANSWERS | {TESTING: TESTS.replace(AT, name)}))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == [f"aligned: TestWriting: {name} was taken for {AT}"]
    assert (ran.folder / AT).exists() and not ran.events(FileRefused)


async def test_a_copy_of_the_form_is_no_file_and_the_next_question_names_the_path(tmp_path: Path) -> None:
    copy = f"{AT}\n```python\nthe whole file\n```\n"
    ran = await run(tmp_path, recording(ANSWERS | {TESTING: copy, TESTING[:-1] + "2": TESTS}))
    assert ran.verdict.verdict == "passed"
    assert sorted(notes(ran)) == [
        "asked again: TestWriting: no file could be read out of the answer",
        f"refused: TestWriting: {AT}: it repeats the question's own example",
    ]
    assert any(f"Send {AT}: the path alone" in message.content for message in ran.events(MessageStored))


async def test_no_prompt_shows_another_path_than_those_that_are_wanted(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS))
    prompts = [message.content for message in ran.events(MessageStored)]
    assert any("main.py\n```python\nthe whole file\n```" in text for text in prompts)
    assert any(f"{AT}\n```python\nthe whole file\n```" in text for text in prompts)
    assert not any("greeting/" in text for text in prompts)


async def test_a_part_of_a_file_is_asked_for_as_that_file(tmp_path: Path) -> None:
    broken = WORDS.replace('"hello"', "wave()") + "\n\ndef wave():\n    return 'bye'\n```\n"
    broken = broken.replace("```\n\n\ndef wave", "\n\ndef wave")
    mend = "Test.1/TestModification.1/Programmer.1/ask"
    part = "The updated function:\n\n```python\ndef greeting():\n    return wave().replace('bye', 'hello')\n```\n"
    ran = await run(tmp_path, recording(ANSWERS | {CODING: f"{broken}\n{MAIN}", f"{mend}.1": part, f"{mend}.2": WORDS}))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ["asked again: TestModification: the answer has only a part of words.py"]


@pytest.mark.parametrize(
    "answer",
    [
        "README.md\n````markdown\n# Greeting\n\nRun main.py.\n````\n",
        "Here it is:\n\n````markdown\n# Greeting\n\nRun main.py, which says hello.\n````\n",
    ],
)
async def test_the_manual_may_have_another_name_or_none(tmp_path: Path, answer: str) -> None:
    ran = await run(tmp_path, recording(ANSWERS | {MANUAL: answer}))
    assert (ran.folder / "manual.md").read_text().startswith("# Greeting\n\nRun main.py")
    assert not [note for note in notes(ran) if "asked again" in note]


async def test_a_manual_without_a_file_does_not_hold_the_thoughts_before_it(tmp_path: Path) -> None:
    prose = (
        "# Greeting\n\nRun main.py to see the greeting. It needs nothing but Python, and prints one line and ends.\n"
    )
    answer = f"<seed:think>\nThe user wants a manual.\n</seed:think>\n{prose}<|endofturn|>"
    ran = await run(tmp_path, recording(ANSWERS | {MANUAL: answer}))
    assert (ran.folder / "manual.md").read_text() == prose


PLUMBING = f"""{AT}
```python
import subprocess
import sys
import unittest


class Greeting(unittest.TestCase):
    def test_greets(self):
        ran = subprocess.run([sys.executable, "main.py"], text=True, timeout=20)
        self.assertEqual(ran.stdout.strip(), "hello")
```
"""


async def test_a_file_in_another_letter_case_is_the_one_that_there_is(tmp_path: Path) -> None:
    broken = WORDS.replace('"hello"', '"bye"')
    mend = {"Test.1/TestModification.1/Programmer.1/ask.1": WORDS.replace("words.py", "Words.py")}
    ran = await run(tmp_path, recording(ANSWERS | {CODING: f"{broken}\n{MAIN}"} | mend))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ["aligned: TestModification: Words.py was taken for words.py"]


async def test_the_tester_mends_the_tests_own_plumbing_before_the_programmer_is_asked(tmp_path: Path) -> None:
    mended = "The output was not kept.\n\n" + PLUMBING.replace("text=True", "text=True, capture_output=True")
    ran = await run(tmp_path, recording(ANSWERS | {TESTING: PLUMBING, REPAIR: mended}))
    assert ran.verdict.verdict == "passed"
    assert [call.place for call in ran.events(ModelAnswered) if "Modification" in call.place] == []
    assert notes(ran) == [f"tests: TestRepair: {AT} was amended: The output was not kept."]
    prompts = next(text.content for text in ran.events(MessageStored) if "fail by themselves" in text.content)
    assert "AttributeError: 'NoneType' object has no attribute 'strip'" in prompts
    assert "capture_output=True" in prompts


async def test_tests_that_fail_for_the_program_are_not_sent_to_the_tester(tmp_path: Path) -> None:
    broken = WORDS.replace('"hello"', '"bye"')
    mend = {"Test.1/TestModification.1/Programmer.1/ask.1": WORDS}
    ran = await run(tmp_path, recording(ANSWERS | {CODING: f"{broken}\n{MAIN}"} | mend))
    assert ran.verdict.verdict == "passed"
    assert not [call.place for call in ran.events(ModelAnswered) if "SoundTests" in call.place]
    assert [tests.place for tests in ran.events(TestsRan)][1] == "SoundTests.1/tests.1"


async def test_names_are_aligned_before_anything_is_written_and_the_report_says_so(tmp_path: Path) -> None:
    started = MAIN.replace("main.py\n", "greet.py\n").replace("greeting", "Greeting")
    ran = await run(tmp_path, recording(ANSWERS | {CODING: f"{WORDS.replace('greeting()', 'Greeting()')}\n{started}"}))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == [
        "aligned: Coding: greet.py is the file to start and was renamed to main.py",
        "aligned: Coding: words.py: the tests use greeting for Greeting; an alias was added",
    ]
    assert "**aligned**" in (ran.folder / "REPORT.md").read_text()
    assert not (ran.folder / "greet.py").exists()
    log = runs.log_of(ran.folder)
    kept = log.read_bytes().splitlines(keepends=True)
    answered = (n for n, line in enumerate(kept) if b"model.answered" in line and f'"{CODING}"'.encode() in line)
    cut = next(answered)
    log.write_bytes(b"".join(kept[: cut + 1]))
    again = await run(tmp_path, recording(ANSWERS), folder=ran.folder)
    # The cut log does not know the files that were written after it, so these count as edits, and are kept.
    assert (again.verdict, notes(again)[:2]) == (ran.verdict, notes(ran))


async def test_a_change_that_does_not_apply_is_requested_as_the_whole_file(tmp_path: Path) -> None:
    broken = WORDS.replace('"hello"', "wave()") + "\n"
    mend = "Test.1/TestModification.1/Programmer.1/ask"
    change = "words.py\n```diff\n-    return unheard()\n+    return 'hello'\n```\n"
    answers = {CODING: f"{broken}\n{MAIN}", f"{mend}.1": change, f"{mend}.2": WORDS}
    ran = await run(tmp_path, recording(ANSWERS | answers))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ["asked again: TestModification: words.py came with parts left out"]


async def test_a_change_that_applies_is_reported(tmp_path: Path) -> None:
    broken = WORDS.replace('"hello"', "wave()") + "\n"
    mend = "Test.1/TestModification.1/Programmer.1/ask"
    change = 'words.py\n```diff\n-    return wave()\n+    return "hello"\n```\n'
    ran = await run(tmp_path, recording(ANSWERS | {CODING: f"{broken}\n{MAIN}", f"{mend}.1": change}))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ["aligned: TestModification: words.py: a change was applied to the present file"]
