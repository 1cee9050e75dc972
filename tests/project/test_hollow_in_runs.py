"""A run judges its product by tests that fail on the hollow product, also if an older version began it."""

from pathlib import Path

from helpers.support import ANSWERS, TESTS, recording, run

from chatdev import runs
from chatdev.journal.events import RunFinished, TestsRan, VerdictReached
from chatdev.journal.store import Store, read

TESTER = "TestWriting.1/SoftwareTestEngineer.1/ask.1"
HOLLOW = "Verdict.1/baseline.1"
TAUTOLOGY = TESTS.replace('words.greeting(), "hello"', "1, 1")


async def test_a_test_that_asserts_nothing_of_the_program_is_no_pass(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS | {TESTER: TAUTOLOGY}))
    assert ran.verdict.verdict == "not run (every test passes without the product)"
    assert ran.verdict.vacuous == ("tests/test_acceptance.py::Greeting::test_greets",)
    assert [tests.place for tests in ran.events(TestsRan)][-1] == HOLLOW
    assert "passes without the product" in (ran.folder / "REPORT.md").read_text()


async def test_a_log_without_those_results_resumes_to_its_own_verdict(tmp_path: Path) -> None:
    """The verdict was recorded by a version that did not run the tests on the hollow product."""
    played = recording(ANSWERS | {TESTER: TAUTOLOGY})
    ran = await run(tmp_path, played)
    log = runs.log_of(ran.folder)
    kept = [
        event
        for event in (record.event for record in read(log))
        if not isinstance(event, RunFinished) and getattr(event, "place", "") != HOLLOW
    ]
    log.unlink()
    store = Store(log)
    for event in kept:
        if isinstance(event, VerdictReached):
            event = VerdictReached(event.place, "passed", "All", (), event.version)
        store.append(event)
    store.close()
    resumed = await run(tmp_path, played, folder=ran.folder)
    assert resumed.verdict.verdict == "passed"
    assert HOLLOW not in [tests.place for tests in resumed.events(TestsRan)]
