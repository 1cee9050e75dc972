"""ChatDev 1.0's Default chain as a company of ours: its table, and how it works through a task."""

from pathlib import Path

import pytest
from helpers.support import ANSWERS, MAIN, TESTS, UNHEARD_OF, WORDS, Ran, recording, run

from chatdev.company import config
from chatdev.company.config import CHIEF, ChainStep, Company
from chatdev.journal.events import Diagnostic, FileWritten, MessageStored, ModelAnswered, PhaseBegan, PhaseEnded
from chatdev.playback import demo

CPO, CTO, PROGRAMMER = "Chief Product Officer", "Chief Technology Officer", "Programmer"
REVIEWER, TESTER = "Code Reviewer", "Software Test Engineer"

CODING = "Coding.1/Programmer.1/ask.1"
COMMENT = "CodeReview.{}/CodeReviewComment.1/CodeReviewer.1/ask.1"
MODIFY = "CodeReview.{}/CodeReviewModification.1/Programmer.1/ask.1"
SUMMARY = "Test.{}/TestErrorSummary.1/Programmer.1/ask.1"
MEND = "Test.{}/TestModification.1/Programmer.1/ask.1"
DOC = "EnvironmentDoc.1/{}.1/ask.{}"
CRASHES = MAIN.replace("print(", "raise SystemError(")

NOT_THERE = ("TestWriting", "RobustnessReview", "Sketch", "ExampleWriting", "Drafting")
CLASSIC = {place: text for place, text in ANSWERS.items() if not any(phase in place for phase in NOT_THERE)}


@pytest.fixture(scope="module")
def classic() -> Company:
    return config.load(config.find("classic"))


@pytest.mark.parametrize(
    ("name", "assistant", "user", "turns", "reflect"),
    [
        ("DemandAnalysis", CPO, CHIEF, 10, True),
        ("LanguageChoose", CTO, CHIEF, 10, True),
        ("Coding", PROGRAMMER, CTO, 1, False),
        ("CodeComplete", PROGRAMMER, CTO, 1, False),
        ("CodeReviewComment", REVIEWER, PROGRAMMER, 1, False),
        ("CodeReviewModification", PROGRAMMER, REVIEWER, 1, False),
        ("TestErrorSummary", PROGRAMMER, TESTER, 1, False),
        ("TestModification", PROGRAMMER, TESTER, 1, False),
        ("EnvironmentDoc", PROGRAMMER, CTO, 1, True),
        ("Manual", CPO, CHIEF, 1, False),
    ],
)
def test_role_pairs_turns_and_reflections(
    classic: Company, name: str, assistant: str, user: str, turns: int, reflect: bool
) -> None:
    phase = classic.phases[name]
    assert (phase.assistant, phase.user, phase.turns, phase.reflect) == (assistant, user, turns, reflect)


def test_order_cycles_and_early_exits(classic: Company) -> None:
    def told(step: ChainStep) -> str:
        return f"{step.loop} x{step.cycles} until {step.until}" if step.loop else step.name

    assert [told(step) for step in classic.chain] == [
        "DemandAnalysis",
        "LanguageChoose",
        "Coding",
        "CodeCompleteAll x10 until complete",
        "CodeReview x3 until finished",
        "Test x3 until starts",
        "EnvironmentDoc",
        "Manual",
    ]
    assert [[inner.name for inner in step.steps] for step in classic.chain if step.loop] == [
        ["CodeComplete"],
        ["CodeReviewComment", "CodeReviewModification"],
        ["start", "TestErrorSummary", "TestModification"],
    ]
    assert classic.phases["CodeComplete"].tries == 5
    assert classic.phases["LanguageChoose"].default == "Python"
    assert len(classic.roles) == 9
    assert not classic.tests


async def play(folder: Path, answers: dict[str, str]) -> Ran:
    return await run(folder, recording(CLASSIC | answers), config="Classic")


def question(ran: Ran, place: str) -> str:
    contents = {message.id: message.content for message in ran.events(MessageStored)}
    (call,) = [call for call in ran.events(ModelAnswered) if call.place == place]
    return contents[call.messages[-1]]


async def test_good_answers_end_in_a_start_and_the_report_says_so_first(tmp_path: Path) -> None:
    ran = await play(tmp_path, {})
    assert ran.verdict.verdict == "starts (not tested)"
    assert (ran.folder / "REPORT.md").read_text().startswith("# Starts (not tested)")
    assert {call.place for call in ran.events(ModelAnswered)} == set(CLASSIC)
    full = await run(tmp_path, recording(ANSWERS))
    for name in ("main.py", "words.py", "requirements.txt", "manual.md"):
        assert (ran.folder / name).read_bytes() == (full.folder / name).read_bytes()


async def test_what_never_starts_is_worked_on_three_times_and_ends_so(tmp_path: Path) -> None:
    stubborn = {SUMMARY.format(n): "It raises an error." for n in (1, 2, 3)} | {
        MEND.format(n): CRASHES for n in (1, 2, 3)
    }
    ran = await play(tmp_path, {CODING: f"{WORDS}\n{CRASHES}"} | stubborn)
    assert ran.verdict.verdict == "does not start"
    assert (ran.folder / "REPORT.md").read_text().startswith("# Does not start")
    assert [began.phase for began in ran.events(PhaseBegan)].count("TestModification") == 3


async def test_a_crash_is_summed_up_and_corrected_and_the_loop_ends(tmp_path: Path) -> None:
    mended = {SUMMARY.format(1): "main.py must print, not raise.", MEND.format(1): MAIN}
    ran = await play(tmp_path, {CODING: f"{WORDS}\n{CRASHES}"} | mended)
    assert ran.verdict.verdict == "starts (not tested)"
    prompt = question(ran, MEND.format(1))
    assert "SystemError" in prompt
    assert "main.py must print, not raise." in prompt


async def test_a_product_that_needs_a_package_is_not_called_broken(tmp_path: Path) -> None:
    ran = await play(tmp_path, {CODING: f"{WORDS}\nmain.py\n```python\nimport pygame\n```\n"})
    assert ran.verdict.verdict == "not run (needs pygame)"


@pytest.mark.parametrize("where", [COMMENT, MODIFY])
async def test_finished_ends_the_review_from_either_side(tmp_path: Path, where: str) -> None:
    review = {COMMENT.format(1): "Greet louder.", MODIFY.format(1): WORDS, COMMENT.format(2): "Really."}
    ran = await play(tmp_path, review | {where.format(2): "<INFO> Finished"})
    phases = [began.phase for began in ran.events(PhaseBegan)]
    assert phases.count("CodeReviewComment") == 2
    assert "Greet louder." in question(ran, MODIFY.format(1))


async def test_a_review_takes_three_cycles_at_most(tmp_path: Path) -> None:
    review = {COMMENT.format(n): "More." for n in (1, 2, 3)} | {MODIFY.format(n): WORDS for n in (1, 2, 3)}
    ran = await play(tmp_path, review)
    assert [began.phase for began in ran.events(PhaseBegan)].count("CodeReviewModification") == 3


async def test_an_unfinished_file_is_given_up_after_five_tries(tmp_path: Path) -> None:
    stub = WORDS.replace('return "hello"', "pass")
    tries = {f"CodeCompleteAll.{n}/CodeComplete.1/Programmer.1/ask.1": stub for n in range(1, 6)}
    ran = await play(tmp_path, {CODING: f"{stub}\n{MAIN}"} | tries)
    assert [began.phase for began in ran.events(PhaseBegan)].count("CodeComplete") == 5
    assert any("after 5 tries" in note.text for note in ran.events(Diagnostic))


async def test_requirements_that_no_one_wrote_come_from_a_reflection(tmp_path: Path) -> None:
    silent = {DOC.format("Programmer", n): "" for n in (1, 2)} | {CODING: f"{WORDS}\n{UNHEARD_OF}"}
    ran = await play(tmp_path, silent | {DOC.format("Counselor", 1): "requirements.txt\n```\npygame\n```\n"})
    assert (ran.folder / "requirements.txt").read_text() == "pygame\n"
    assert [ended.reflected for ended in ran.events(PhaseEnded) if ended.phase == "EnvironmentDoc"] == [True]
    assert "pygame" in question(ran, "Manual.1/ChiefProductOfficer.1/ask.1")


async def test_the_programmer_may_write_tests_where_no_one_else_does(tmp_path: Path) -> None:
    ran = await play(tmp_path, {CODING: f"{WORDS}\n{MAIN}\n{TESTS}"})
    assert (ran.folder / "tests/test_acceptance.py").exists()
    assert ran.verdict.verdict == "starts (not tested)"


async def test_classic_and_full_end_with_the_same_calculator(tmp_path: Path) -> None:
    """What full learns from a failing test, classic is told by its second review."""
    played = demo.recording_of("create a calculator")
    texts = {entry.place: (entry.text, entry.finish) for entry in played.entries}
    moved = {place: contents for place, contents in texts.items() if not any(phase in place for phase in NOT_THERE)}
    moved[MODIFY.format(2)] = moved.pop(MEND.format(1))
    moved[COMMENT.format(2)] = ("2 ^ 3 ^ 2 must give 512.", "stop")
    moved[COMMENT.format(3)] = ("<INFO> Finished", "stop")
    old = recording(
        {place: text for place, (text, _) in moved.items()},
        finish={place: finish for place, (_, finish) in moved.items()},
    )
    classic = await run(tmp_path, old, config="classic")
    full = await run(tmp_path, played)
    assert (classic.verdict.verdict, full.verdict.verdict) == ("starts (not tested)", "passed")
    assert {call.place for call in classic.events(ModelAnswered)} == set(moved)
    assert delivered(classic) == {path: data for path, data in delivered(full).items() if "tests" not in path}


def delivered(ran: Ran) -> dict[str, bytes]:
    return {name: (ran.folder / name).read_bytes() for name in {written.path for written in ran.events(FileWritten)}}
