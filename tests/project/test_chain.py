"""The whole company over real HTTP: what it does with good answers and with bad ones, and what its verdict is worth."""

import re
import shutil
from pathlib import Path

import pytest
from helpers.support import ANSWERS, MAIN, PACKAGES, TESTS, UNHEARD_OF, WORDS, Ran, recording, run

from chatdev import runs
from chatdev.company.config import find
from chatdev.journal.events import (
    Diagnostic,
    FileRefused,
    FileWritten,
    MessageStored,
    ModelAnswered,
    PhaseBegan,
    PhaseEnded,
    TestsRan,
)
from chatdev.product.languages import manifest

CODING = "Coding.1/Programmer.1/ask"
TESTING = "TestWriting.1/SoftwareTestEngineer.1/ask"
REVIEW = "CodeReview.1/CodeReviewComment.1/CodeReviewer.1/ask.1"
MODIFY = "CodeReview.1/CodeReviewModification.1/Programmer.1/ask"
MEND = "Test.1/TestModification.1/Programmer.1/ask.1"
AMEND = "Amendment.1/TestAmendment.1/SoftwareTestEngineer.1/ask.1"
AMENDED_MEND = "Amendment.1/TestModification.1/Programmer.1/ask.1"
MANUAL = "Manual.1/ChiefProductOfficer.1/ask"

BROKEN = WORDS.replace('"hello"', '"bye"')


def notes(ran: Ran) -> list[str]:
    return [note.text for note in ran.events(Diagnostic)]


async def test_good_answers_end_passed_in_one_call_each(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS))
    assert ran.verdict.verdict == "passed"
    assert [call.place for call in ran.events(ModelAnswered)][:5] == list(ANSWERS)[:5]
    assert len(ran.events(ModelAnswered)) == len(ANSWERS)
    assert not notes(ran)
    files = {path.relative_to(ran.folder).as_posix() for path in ran.folder.rglob("*") if path.is_file()}
    assert {"main.py", "words.py", "tests/test_acceptance.py", "requirements.txt", "manual.md", "REPORT.md"} <= files
    assert {"meta.txt", "Greeting.prompt", ".chatdev/events.jsonl", ".chatdev/company/company.toml"} <= files
    assert [name for name in files if name.startswith("Greeting_DefaultOrganization_") and name.endswith(".log")]


async def test_tests_are_run_on_the_empty_project_first_and_fail_there(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS))
    baseline = ran.events(TestsRan)[0]
    assert "baseline" in baseline.place
    assert [result.outcome for result in baseline.results] == ["error"]


async def test_tests_that_prove_nothing_are_asked_for_again(tmp_path: Path) -> None:
    vacuous = TESTS.replace("import words\n", "").replace('words.greeting(), "hello"', "1, 1")
    ran = await run(tmp_path, recording(ANSWERS | {f"{TESTING}.1": vacuous, f"{TESTING}.2": TESTS}))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ["TestWriting: every test passes without a program"]


async def test_tests_that_stay_vacuous_never_pass(tmp_path: Path) -> None:
    vacuous = TESTS.replace("import words\n", "").replace('words.greeting(), "hello"', "1, 1")
    ran = await run(tmp_path, recording(ANSWERS | {f"{TESTING}.{n}": vacuous for n in (1, 2, 3)}))
    assert ran.verdict.verdict.startswith("not run (")
    assert len(ran.verdict.vacuous) == 1


async def test_without_any_test_nothing_passes(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS | {f"{TESTING}.{n}": "I would rather not." for n in (1, 2, 3)}))
    assert ran.verdict.verdict == "not run (no tests)"


async def test_an_answer_without_files_is_asked_again_saying_why(tmp_path: Path) -> None:
    ran = await run(
        tmp_path,
        recording(ANSWERS | {f"{CODING}.1": "I will write two files.", f"{CODING}.2": ANSWERS[f"{CODING}.1"]}),
    )
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ["Coding: no file could be read out of the answer"]


async def test_no_code_at_all_ends_the_run(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS | {f"{CODING}.{n}": "Certainly!" for n in (1, 2, 3)}))
    assert ran.verdict.verdict == "not run (no program was written)"
    assert len(ran.events(ModelAnswered)) == 6
    assert (ran.folder / "REPORT.md").read_text().count("no program was written") >= 1


async def test_a_cut_file_is_asked_for_alone_and_the_whole_one_kept(tmp_path: Path) -> None:
    cut = f'{WORDS}\nmain.py\n```python\n"""Greets."""\nfrom wor'
    ran = await run(
        tmp_path,
        recording(ANSWERS | {f"{CODING}.1": cut, f"{CODING}.2": MAIN}, finish={f"{CODING}.1": "length"}),
    )
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ["Coding: the answer broke off inside main.py"]


async def test_a_cut_file_never_replaces_a_whole_one(tmp_path: Path) -> None:
    cut = 'words.py\n```python\n"""Words."""\n\n\ndef gree'
    ran = await run(
        tmp_path,
        recording(
            ANSWERS
            | {REVIEW: "Say hello louder.", "CodeReview.2" + REVIEW[12:]: "<INFO> Finished"}
            | {f"{MODIFY}.{n}": cut for n in (1, 2, 3)},
            finish={f"{MODIFY}.{n}": "length" for n in (1, 2, 3)},
        ),
    )
    assert ran.verdict.verdict == "passed"
    assert "def greeting" in (ran.folder / "words.py").read_text()
    assert any("its last complete version was kept" in note for note in notes(ran))


async def test_a_bad_path_is_refused_recorded_and_reported(tmp_path: Path) -> None:
    escape = f"{WORDS}\n{MAIN}\n../../outside.py\n```python\nprint(1)\n```\n"
    ran = await run(tmp_path / "w", recording(ANSWERS | {f"{CODING}.1": escape}))
    assert [refused.path for refused in ran.events(FileRefused)] == ["../../outside.py"]
    assert not (tmp_path / "outside.py").exists()
    review = next(call for call in ran.events(ModelAnswered) if call.place == REVIEW)
    prompts = {message.id: message.content for message in ran.events(MessageStored)}
    assert "../../outside.py" in prompts[review.messages[-1]]


async def test_the_programmer_cannot_change_the_tests(tmp_path: Path) -> None:
    cheat = f"{BROKEN}\n{MAIN}\n{TESTS.replace('hello', 'bye')}"
    mended = ANSWERS | {f"{CODING}.1": cheat, MEND: WORDS}
    ran = await run(tmp_path, recording(mended))
    assert ran.verdict.verdict == "passed"
    assert [refused.path for refused in ran.events(FileRefused)] == ["tests/test_acceptance.py"]
    assert "hello" in (ran.folder / "tests/test_acceptance.py").read_text()


async def test_a_failing_test_is_corrected_by_the_programmer(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS | {f"{CODING}.1": f"{BROKEN}\n{MAIN}", MEND: WORDS}))
    assert ran.verdict.verdict == "passed"
    mended, *documents = [written.path for written in ran.events(FileWritten)][-3:]
    assert mended == "words.py"
    assert set(documents) == {"requirements.txt", "manual.md"}  # written side by side


async def test_what_is_never_corrected_ends_failed_with_the_count(tmp_path: Path) -> None:
    stubborn = {f"Test.{n}/TestModification.1/Programmer.1/ask.1": BROKEN for n in (1, 2, 3, 4)}
    late = {f"StartUp.{n}/StartModification.1/Programmer.1/ask.1": BROKEN for n in (1, 2)}
    late |= {AMEND: "<INFO> Finished", AMENDED_MEND: BROKEN}
    ran = await run(tmp_path, recording(ANSWERS | {f"{CODING}.1": f"{BROKEN}\n{MAIN}"} | stubborn | late))
    assert ran.verdict.verdict == "failed (0 of 1)"


async def test_a_document_is_judged_by_the_file_that_the_program_makes(tmp_path: Path) -> None:
    kind = {"DemandAnalysis.1/ChiefProductOfficer.1/ask.1": "<INFO> document"}
    start = "StartUp.{}/StartModification.1/Programmer.1/ask.1"
    writing = MAIN.replace("print(greeting())", 'open("greeting.txt", "w").write(greeting())')
    ran = await run(tmp_path, recording(ANSWERS | kind | {start.format(1): writing}))
    assert ran.verdict.verdict == "passed"
    assert "and created greeting.txt" in (ran.folder / "REPORT.md").read_text()
    prompts = [message.content for message in ran.events(MessageStored)]
    assert any("It left no document as a file in the current directory." in text for text in prompts)
    ran = await run(tmp_path, recording(ANSWERS | kind | {start.format(n): MAIN for n in (1, 2)}))
    assert ran.verdict.verdict == "failed (1 of 1, makes no document)"


NEVER = {f"Test.{n}/TestModification.1/Programmer.1/ask.1": BROKEN for n in (1, 2, 3)}
TWO_TESTS = TESTS.replace(
    "    def test_greets",
    "    def test_is_text(self):\n        self.assertIsInstance(words.greeting(), str)\n\n    def test_greets",
)


async def test_a_wrong_test_may_be_amended_once_and_the_report_says_why(tmp_path: Path) -> None:
    answers = {
        f"{TESTING}.1": TWO_TESTS,
        f"{CODING}.1": f"{BROKEN}\n{MAIN}",
        AMEND: "The task names no word, so test_greets asks too much.\n\n" + TESTS.replace('"hello"', '"bye"'),
    }
    ran = await run(tmp_path, recording(ANSWERS | NEVER | answers))
    assert ran.verdict.verdict == "passed"
    report = (ran.folder / "REPORT.md").read_text()
    assert "was amended: The task names no word, so test\\_greets asks too much." in report
    assert "Greeting::test\\_is\\_text is gone with the amendment" in report


async def test_an_amendment_that_proves_nothing_is_not_taken(tmp_path: Path) -> None:
    vacuous = TESTS.replace("import words\n", "").replace('words.greeting(), "hello"', "1, 1")
    amendments = {f"{AMEND[:-1]}{n}": vacuous for n in (1, 2, 3)}
    late = {f"StartUp.{n}/StartModification.1/Programmer.1/ask.1": BROKEN for n in (1, 2)} | {AMENDED_MEND: BROKEN}
    answers = {f"{CODING}.1": f"{BROKEN}\n{MAIN}"} | amendments | late
    ran = await run(tmp_path, recording(ANSWERS | NEVER | answers))
    assert ran.verdict.verdict == "failed (0 of 1)"
    assert "hello" in (ran.folder / "tests" / "test_acceptance.py").read_text()


@pytest.mark.parametrize(
    ("changing", "same"),
    [
        ("", "the same answer"),
        ("# try {}\n", "the same failing tests"),
        ("\n" * 2 + "x{0} = {0}\n", "the same failing tests"),
    ],
)
async def test_cycles_that_lead_nowhere_end(tmp_path: Path, changing: str, same: str) -> None:
    mends = {
        f"Test.{n}/TestModification.1/Programmer.1/ask.1": BROKEN.replace("def ", f"{changing.format(n)}def ")
        for n in (1, 2, 3, 4)
    }
    late = {f"StartUp.{n}/StartModification.1/Programmer.1/ask.1": BROKEN for n in (1, 2)}
    late |= {AMEND: "<INFO> Finished", AMENDED_MEND: BROKEN}
    ran = await run(tmp_path, recording(ANSWERS | {f"{CODING}.1": f"{BROKEN}\n{MAIN}"} | mends | late))
    assert f"Test: {same}, 3 times; the loop was stopped" in notes(ran)
    assert "Test.3" in "".join(call.place for call in ran.events(ModelAnswered))
    assert "Test.4" not in "".join(call.place for call in ran.events(ModelAnswered))


async def test_a_review_whose_remarks_change_nothing_ends_at_the_third(tmp_path: Path) -> None:
    company = tmp_path / "company"
    shutil.copytree(find("full"), company)
    chain = company / "company.toml"
    chain.write_text(chain.read_text().replace('"CodeReview"\ncycles = 1', '"CodeReview"\ncycles = 6'))
    reviews = {
        f"CodeReview.{n}/CodeReviewComment.1/CodeReviewer.1/ask.1": f"words.py: remark {n}." for n in range(1, 7)
    } | {f"CodeReview.{n}/CodeReviewModification.1/Programmer.1/ask.1": WORDS for n in range(1, 7)}
    reviews |= {f"CodeReview.{n}/RobustnessReview.1/CodeReviewer.1/ask.1": "<INFO> Finished" for n in range(1, 7)}
    ran = await run(tmp_path, recording(ANSWERS | reviews), config=str(company))
    assert "CodeReview: the same answer, 3 times; the loop was stopped" in notes(ran)
    assert "CodeReview.4" not in "".join(call.place for call in ran.events(ModelAnswered))
    assert ran.verdict.verdict == "passed"


async def test_a_talk_that_goes_in_circles_is_ended_and_reported(tmp_path: Path) -> None:
    company = tmp_path / "company"
    shutil.copytree(find("full"), company)
    phase = company / "phases" / "DemandAnalysis.md"
    phase.write_text(
        re.sub(r"(?m)^turns = \d+\n|^reflect = \w+\n", "", phase.read_text()).replace("+++\n", "+++\nturns = 9\n", 1)
    )
    place = "DemandAnalysis.1/{}.{}/ask.1"
    talk = {place.format("ChiefProductOfficer", n): "Who knows?" for n in range(1, 10)}
    talk |= {place.format("ChiefExecutiveOfficer", n): f"Not I, for the {n}th time." for n in range(1, 10)}
    ran = await run(tmp_path, recording(ANSWERS | talk), config=str(company))
    note = "DemandAnalysis: Chief Product Officer said the same 3 times; the conversation was ended"
    assert note in notes(ran)
    assert sum(call.place.startswith("DemandAnalysis") for call in ran.events(ModelAnswered)) == 5
    assert ran.verdict.verdict == "passed"


async def test_a_product_that_crashes_at_its_start_is_corrected(tmp_path: Path) -> None:
    crashing = MAIN.replace("print(", "raise SystemError(")
    ran = await run(
        tmp_path,
        recording(
            ANSWERS | {f"{CODING}.1": f"{WORDS}\n{crashing}", "StartUp.1/StartModification.1/Programmer.1/ask.1": MAIN}
        ),
    )
    assert ran.verdict.verdict == "passed"


async def test_an_unfinished_file_is_completed_or_given_up(tmp_path: Path) -> None:
    stub = WORDS.replace('return "hello"', "pass")
    complete = "CodeCompleteAll.{}/CodeComplete.1/Programmer.1/ask.1"
    ran = await run(tmp_path, recording(ANSWERS | {f"{CODING}.1": f"{stub}\n{MAIN}", complete.format(1): WORDS}))
    assert ran.verdict.verdict == "passed"
    assert len([phase for phase in ran.events(PhaseBegan) if phase.phase == "CodeComplete"]) == 1
    ran = await run(
        tmp_path,
        recording(
            ANSWERS | {f"{CODING}.1": f"{stub}\n{MAIN}", MEND: WORDS} | {complete.format(n): stub for n in (1, 2)}
        ),
    )
    assert ran.verdict.verdict == "passed"
    assert any("still unfinished" in note for note in notes(ran))


async def test_a_nameless_block_is_the_file_that_was_asked_for(tmp_path: Path) -> None:
    stub = WORDS.replace('return "hello"', "pass")
    nameless = "Here it is:\n" + WORDS.removeprefix("words.py\n")
    complete = "CodeCompleteAll.1/CodeComplete.1/Programmer.1/ask.1"
    ran = await run(tmp_path, recording(ANSWERS | {f"{CODING}.1": f"{stub}\n{MAIN}", complete: nameless}))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ["CodeComplete: the answer does not say that a block is words.py"]


async def test_the_company_says_how_the_model_is_asked(tmp_path: Path) -> None:
    folder = runs.begin(runs.RunRequest(task="greet", name="Greeting", config="full"), tmp_path)
    head = folder / ".chatdev" / "company" / "company.toml"
    head.write_text(head.read_text().replace('name = "full"', 'name = "full"\nmodel = { max_tokens = 77 }'))
    ran = await run(tmp_path, recording(ANSWERS), folder=folder)
    assert {call.max_tokens for call in ran.events(ModelAnswered)} == {77}


async def test_a_choice_that_no_one_marks_is_found_by_reflection(tmp_path: Path) -> None:
    demand = "DemandAnalysis.1/{}/ask.1"
    talk = {
        demand.format("ChiefProductOfficer.1"): "It could be many things.",
        demand.format("ChiefExecutiveOfficer.1"): "Such as?",
        demand.format("ChiefProductOfficer.2"): "A thing to type at.",
        demand.format("Counselor.1"): "<INFO> command line",
    }
    ran = await run(tmp_path, recording(ANSWERS | talk))
    ended = next(each for each in ran.events(PhaseEnded) if each.phase == "DemandAnalysis")
    assert (ended.conclusion, ended.reflected) == ("command line", True)


async def test_a_choice_that_no_one_makes_is_guessed_and_reported(tmp_path: Path) -> None:
    demand = "DemandAnalysis.1/{}/ask.1"
    roles = ("ChiefProductOfficer.1", "ChiefExecutiveOfficer.1", "ChiefProductOfficer.2", "Counselor.1")
    ran = await run(tmp_path, recording(ANSWERS | {demand.format(role): "Hm." for role in roles}))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ['DemandAnalysis: no answer settled the modality; "application" was used']


async def test_a_bare_manual_is_taken_and_a_missing_one_reported(tmp_path: Path) -> None:
    prose = "# Greeting\n\n" + "Run main.py and read what it says. " * 5
    ran = await run(tmp_path, recording(ANSWERS | {f"{MANUAL}.1": prose}))
    assert (ran.folder / "manual.md").read_text() == prose.strip() + "\n"
    ran = await run(tmp_path, recording(ANSWERS | {f"{MANUAL}.1": "No.", f"{MANUAL}.2": "No."}))
    assert ran.verdict.verdict == "passed"
    assert "Manual: manual.md was not written: no answer contained one" in notes(ran)


@pytest.mark.skipif(shutil.which("bash") is None, reason="Shell: no bash here")
async def test_a_product_in_another_language_is_tested_and_delivered_with_its_manifest(tmp_path: Path) -> None:
    tests = 'echo 1..1\nif [ "$(bash main.sh)" = hello ]; then echo ok 1 - greets; else echo not ok 1 - greets; fi'
    answers = {
        "LanguageChoose.1/ChiefTechnologyOfficer.1/ask.1": "<INFO> Shell",
        "TestWriting.1/SoftwareTestEngineer.1/ask.1": f"tests/acceptance.sh\n```sh\n{tests}\n```\n",
        "Coding.1/Programmer.1/ask.1": "main.sh\n```sh\necho hello\n```\nproduct.toml\n```toml\ntest = ['true']\n```\n",
    }
    ran = await run(tmp_path, recording(ANSWERS | answers))
    assert ran.verdict.verdict == "passed", ran.verdict
    assert [refused.path for refused in ran.events(FileRefused)] == ["product.toml"]
    assert (ran.folder / "product.toml").read_text() == manifest("Shell")
    prompts = [message.content for message in ran.events(MessageStored)]
    assert any("One file, `tests/acceptance.sh`" in text and "unittest" not in text for text in prompts)
    assert any("a person who runs `bash main.sh`" in text for text in prompts)


async def test_a_product_whose_toolchain_is_missing_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    answers = {
        "LanguageChoose.1/ChiefTechnologyOfficer.1/ask.1": "<INFO> Shell",
        "TestWriting.1/SoftwareTestEngineer.1/ask.1": "tests/acceptance.sh\n```sh\necho 1..0\n```\n",
        "Coding.1/Programmer.1/ask.1": "main.sh\n```sh\necho hello\n```\n",
    }
    ran = await run(tmp_path, recording(ANSWERS | answers))
    assert ran.verdict.verdict == "not run (no bash here)"
    assert notes(ran) == ["TestWriting: they were not tried: there is no bash here"]


async def test_an_empty_review_is_asked_again_and_then_left(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS | {REVIEW: "", REVIEW[:-1] + "2": ""}))
    assert ran.verdict.verdict == "passed"
    assert notes(ran) == ["CodeReviewComment: the answer was empty or went in circles"]


@pytest.mark.parametrize("stop", range(1, 6))
async def test_a_run_that_lost_its_server_goes_on_where_it_was(tmp_path: Path, stop: int) -> None:
    """The server knows only the first answers; the second attempt asks for the others alone."""
    part = dict(list(ANSWERS.items())[:stop])
    with pytest.raises(Exception, match=r"nearest|404"):
        await run(tmp_path, recording(part))
    folder = next(tmp_path.iterdir())
    rest = dict(list(ANSWERS.items())[stop:])
    ran = await run(tmp_path, recording(rest), folder=folder)
    assert ran.verdict.verdict == "passed"
    assert sorted(call.place for call in ran.events(ModelAnswered)) == sorted(ANSWERS)


async def test_packages_that_the_imports_tell_are_asked_of_no_one(tmp_path: Path) -> None:
    program = UNHEARD_OF.replace("unheardof", "numpy, PIL.Image, json")
    ran = await run(tmp_path, recording(ANSWERS | {"Coding.1/Programmer.1/ask.1": f"{WORDS}\n{program}"}))
    assert ran.verdict.verdict == "passed"
    assert (ran.folder / "requirements.txt").read_text() == "numpy\nPillow\n"
    assert PACKAGES not in {call.place for call in ran.events(ModelAnswered)}
    assert [ended.conclusion for ended in ran.events(PhaseEnded) if ended.phase == "EnvironmentDoc"] == [
        "requirements.txt"
    ]


async def test_an_answer_in_the_log_is_kept_although_the_imports_would_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that an older version began: what it was told stands."""
    coded = {"Coding.1/Programmer.1/ask.1": f"{WORDS}\n{UNHEARD_OF}"}
    answered = {PACKAGES: "requirements.txt\n```\nrequests\n```\n"}
    ran = await run(tmp_path, recording(ANSWERS | coded | answered))
    log = runs.log_of(ran.folder)
    kept = log.read_bytes().splitlines(keepends=True)
    last = max(n for n, line in enumerate(kept) if b'"model.answered"' in line)
    assert PACKAGES.encode() in kept[last]
    log.write_bytes(b"".join(kept[: last + 1]))
    (ran.folder / "requirements.txt").unlink()
    monkeypatch.setattr("chatdev.project.documents.needed", lambda files: ("numpy",))
    again = await run(tmp_path, recording(ANSWERS), folder=ran.folder)
    assert (again.folder / "requirements.txt").read_text() == "requests\n"


async def test_requirements_lose_what_is_no_package_and_the_report_says_so(tmp_path: Path) -> None:
    answer = "requirements.txt\n```\njson\nnobodyknows\nrequests>=2\n```\n"
    answers = {"Coding.1/Programmer.1/ask.1": f"{WORDS}\n{UNHEARD_OF}", PACKAGES: answer}
    ran = await run(tmp_path, recording(ANSWERS | answers))
    assert (ran.folder / "requirements.txt").read_text() == "requests>=2\n"
    assert notes(ran) == [
        "EnvironmentDoc: requirements.txt, json: part of the standard library",
        "EnvironmentDoc: requirements.txt, nobodyknows: unknown package, and the program does not import it",
    ]
