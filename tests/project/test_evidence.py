"""A change that lowers the evidence is undone; the best version is delivered."""

from pathlib import Path

from helpers.support import ANSWERS, MAIN, TESTS, WORDS, recording, run

from chatdev.journal.events import Diagnostic, FileRemoved, ModelAnswered

TWO_TESTS = TESTS.replace(
    "    def test_greets",
    "    def test_is_text(self):\n        self.assertIsInstance(words.greeting(), str)\n\n    def test_greets",
)
HALF = WORDS.replace('"hello"', '"bye"')
NONE = WORDS.replace('"hello"', "None")
EXTRA = "extra.py\n```python\nX = 1\n```\n"
MEND = "Test.{}/TestModification.1/Programmer.1/ask.1"
BEGIN = {"TestWriting.1/SoftwareTestEngineer.1/ask.1": TWO_TESTS, "Coding.1/Programmer.1/ask.1": f"{HALF}\n{MAIN}"}


async def test_a_change_after_which_fewer_tests_pass_is_undone(tmp_path: Path) -> None:
    mends = {MEND.format(number): f"{NONE}\n{EXTRA}" for number in (1, 2, 3, 4)}
    keeps = {"Amendment.1/TestAmendment.1/SoftwareTestEngineer.1/ask.1": "<INFO> Finished"}
    again = {"Amendment.1/TestModification.1/Programmer.1/ask.1": NONE}
    starts = {f"StartUp.{number}/StartModification.1/Programmer.1/ask.1": NONE for number in (1, 2)}
    ran = await run(tmp_path, recording(ANSWERS | BEGIN | mends | keeps | again | starts), config="full")
    assert ran.verdict.verdict == "failed (1 of 2)"
    assert '"bye"' in (ran.folder / "words.py").read_text()
    assert not (ran.folder / "extra.py").exists()
    assert {removed.path for removed in ran.events(FileRemoved)} == {"extra.py"}
    undone = [note.text for note in ran.events(Diagnostic) if note.kind == "undone"]
    assert undone and "0 tests pass" in undone[0] and "before it: 1 tests pass" in undone[0]
    report = (ran.folder / "REPORT.md").read_text()
    assert "**undone**" in report
    assert report.startswith("# Failed: 1 of 2")
    assert "| `extra.py` |" not in report


async def test_a_change_that_helps_is_kept(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS | BEGIN | {MEND.format(1): WORDS}), config="full")
    assert ran.verdict.verdict == "passed"
    assert not [note for note in ran.events(Diagnostic) if note.kind == "undone"]


async def test_a_resume_undoes_the_same_and_asks_nothing_again(tmp_path: Path) -> None:
    mends = {MEND.format(1): NONE, MEND.format(2): WORDS}
    played = recording(ANSWERS | BEGIN | mends)
    ran = await run(tmp_path, played, config="full")
    assert ran.verdict.verdict == "passed"
    log = ran.folder / ".chatdev" / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b'"undone"' in line)
    log.write_bytes(b"".join(lines[: at + 1]))
    again = await run(tmp_path, played, config="full", folder=ran.folder)
    assert again.verdict == ran.verdict
    places = [answer.place for answer in again.events(ModelAnswered)]
    assert len(places) == len(set(places)) == len(ran.events(ModelAnswered))
    assert '"hello"' in (ran.folder / "words.py").read_text()
