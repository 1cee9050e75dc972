"""Several programmers solve a phase at once, over real HTTP: who wins, who is cancelled, and what a resume does."""

import asyncio
from pathlib import Path

import pytest
from helpers.support import ANSWERS, MAIN, TESTS, WORDS, recording, run

from chatdev import runs, wiring
from chatdev.journal import store
from chatdev.journal.events import CandidateResult, FileWritten, ModelAnswered, PhaseBegan, RaceDecided, TestsRan
from chatdev.journal.store import Record
from chatdev.models.choose import choose
from chatdev.models.errors import ModelError
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback
from chatdev.project.context import varied
from chatdev.run_options import RunOptions
from chatdev.sandbox.local import LocalSandbox
from chatdev.settings import load

BROKEN = WORDS.replace('"hello"', '"bye"')
BRANCH = "Coding.1/candidate.{}/Programmer.1/ask.1"
TWO_TESTS = TESTS.replace(
    "    def test_greets",
    "    def test_is_text(self):\n        self.assertIsInstance(words.greeting(), str)\n\n    def test_greets",
)
TESTING = "TestWriting.1/SoftwareTestEngineer.1/ask.1"
MEND = "Test.1/TestModification.1/Programmer.1/ask.1"


def coding(*answers: str) -> dict[str, str]:
    return {BRANCH.format(number): text for number, text in enumerate(answers, 1)}


async def test_the_first_that_passes_wins_and_the_others_let_go_of_the_server(tmp_path: Path) -> None:
    played = recording(ANSWERS | coding(f"{BROKEN}\n{MAIN}"))
    server = Playback(played, manners=[FaultSpec(place="Coding.1/candidate.3", fault="stall", after=3)])
    left: list[int] = []

    def look(record: Record) -> None:
        if isinstance(record.event, PhaseBegan) and record.event.phase == "CodeReviewComment":
            left.append(server.in_flight)

    async with server as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, tmp_path))
        folder = runs.begin(runs.RunRequest(task="greet", name="Greeting", config="full", candidates=3), tmp_path)
        verdict = await wiring.work(folder, choice, listeners=wiring.Listeners(look), sandbox=LocalSandbox())
        async with asyncio.timeout(20):  # the backend still lives: what is gone was closed by the race
            while server.in_flight:
                await asyncio.sleep(0.01)
        await choice.backend.aclose()
    assert verdict.verdict == "passed"
    records = store.read(runs.log_of(folder))
    decided = next(record.event for record in records if isinstance(record.event, RaceDecided))
    assert decided.winner == 2
    first, second, _ = decided.standings
    assert first.how in ("beaten", "cancelled")  # its tests may still be at work
    assert second == CandidateResult(2, "won", passed=1, tests=1)
    assert (decided.standings[2].how, decided.standings[2].calls) == ("cancelled", 1)
    assert '"hello"' in (folder / "words.py").read_text()
    report = (folder / "REPORT.md").read_text()
    assert "## Candidates" in report
    assert "1 of 1 tests pass, won" in report
    assert "Acceptance tests: 1 of 1 pass" in report
    assert left


async def test_all_are_asked_the_same_and_only_the_winners_files_are_the_products(tmp_path: Path) -> None:
    extra = f"{BROKEN}\n{MAIN}\nextra.py\n```python\nX = 1\n```\n"
    ran = await run(tmp_path, recording(ANSWERS | coding(extra)), candidates=2)
    assert ran.verdict.verdict == "passed"
    calls = [call for call in ran.events(ModelAnswered) if "candidate" in call.place]
    assert len({call.messages for call in calls}) == 1
    assert {call.temperature for call in calls} == {0.2, 0.5}
    assert not (ran.folder / "extra.py").exists()
    assert {written.place.split("/")[1] for written in ran.events(FileWritten)} >= {"file.1", "file.2"}
    assert not any("candidate" in written.place for written in ran.events(FileWritten))


async def test_where_none_passes_the_most_passing_tests_win_and_then_the_first(tmp_path: Path) -> None:
    none = WORDS.replace('"hello"', "None")
    answers = coding(f"{none}\n{MAIN}", f"{BROKEN}\n{MAIN}", f"{BROKEN}\n{MAIN}") | {TESTING: TWO_TESTS, MEND: WORDS}
    ran = await run(tmp_path, recording(ANSWERS | answers), candidates=3)
    coded, mended = ran.events(RaceDecided)
    assert coded.winner == 2
    assert [each.passed for each in coded.standings] == [0, 1, 1]
    assert mended.place == "Test.1/TestModification.1"  # all get the same recorded answer, and whoever is first wins
    assert ran.verdict.verdict == "passed"


async def test_a_candidate_that_writes_nothing_is_out_and_the_others_go_on(tmp_path: Path) -> None:
    silent = {f"Coding.1/candidate.1/Programmer.1/ask.{n}": "I would rather not." for n in (1, 2, 3)}
    late = {"Coding.1/candidate.2/Programmer.1/ask.1": f"{BROKEN}\n{MAIN}", MEND: WORDS}
    ran = await run(tmp_path, recording(ANSWERS | silent | late), candidates=2)
    first, second = ran.events(RaceDecided)[0].standings
    assert first == CandidateResult(1, "failed", why=first.why)
    assert "No program was written" in first.why
    assert second.how == "won"
    assert "**asked again**" not in (ran.folder / "REPORT.md").read_text()  # a loser's notes are not the product's


async def test_if_no_one_writes_a_program_the_run_ends_as_with_one(tmp_path: Path) -> None:
    silent = {f"Coding.1/Programmer.1/ask.{n}": "I would rather not." for n in (1, 2, 3)}
    ran = await run(tmp_path, recording(ANSWERS | silent), candidates=2)
    assert ran.verdict.verdict == "not run (no program was written)"


async def test_the_answer_of_each_candidate_counts_against_the_limits(tmp_path: Path) -> None:
    played = recording(ANSWERS | coding(*3 * [f"{BROKEN}\n{MAIN}"]))
    async with Playback(played) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, tmp_path))
        order = runs.RunRequest(task="greet", name="Greeting", config="full", candidates=3, limits={"calls": 5})
        folder = runs.begin(order, tmp_path)
        await wiring.work(folder, choice, sandbox=LocalSandbox())
        await choice.backend.aclose()
    records = store.read(runs.log_of(folder))
    assert sum(isinstance(record.event, ModelAnswered) for record in records) == 5
    decided = next(record.event for record in records if isinstance(record.event, RaceDecided))
    assert sorted(each.how for each in decided.standings) == ["beaten", "failed", "won"]
    assert "the limit of calls was reached" in "".join(each.why for each in decided.standings)


async def test_a_server_that_fails_all_but_one_stops_the_run_and_a_resume_asks_only_what_lacks(tmp_path: Path) -> None:
    played = recording(ANSWERS | coding(f"{BROKEN}\n{MAIN}", f"{WORDS}\n{MAIN}"))
    refused = FaultSpec(place="Coding.1/candidate.2", status=400)
    with pytest.raises(ModelError):
        await run(tmp_path, played, refused, candidates=2)
    (folder,) = runs.every(tmp_path)
    before = store.read(runs.log_of(folder))
    assert not any(isinstance(record.event, RaceDecided) for record in before)
    ran = await run(tmp_path, played, folder=folder)
    assert ran.events(RaceDecided)[0].winner == 2
    places = [call.place for call in ran.events(ModelAnswered)]
    assert places.count(BRANCH.format(1)) == places.count(BRANCH.format(2)) == 1


async def test_a_resume_keeps_the_winner_and_asks_no_other_candidate(tmp_path: Path) -> None:
    slow = FaultSpec(place="Coding.1/candidate.1", fault="stall", after=1)
    ran = await run(tmp_path, recording(ANSWERS), slow, candidates=2)
    lines = runs.log_of(ran.folder).read_bytes().splitlines(keepends=True)
    decided = next(number for number, record in enumerate(ran.records) if isinstance(record.event, RaceDecided))
    runs.log_of(ran.folder).write_bytes(b"".join(lines[: decided + 1]))
    again = await run(tmp_path, recording(ANSWERS), folder=ran.folder)  # nobody is slow now
    assert again.verdict.verdict == "passed"
    assert [race.winner for race in again.events(RaceDecided)][:1] == [2]
    assert BRANCH.format(1) not in [call.place for call in again.events(ModelAnswered)]


def _is_coded(record: Record) -> bool:
    return isinstance(record.event, FileWritten) and record.event.place.startswith("Coding.1/")


async def test_the_number_at_a_phases_beginning_holds_on_a_resume(tmp_path: Path) -> None:
    ran = await run(tmp_path, recording(ANSWERS | coding(f"{BROKEN}\n{MAIN}")))
    lines = runs.log_of(ran.folder).read_bytes().splitlines(keepends=True)
    coded = next(number for number, record in enumerate(ran.records) if _is_coded(record))
    runs.log_of(ran.folder).write_bytes(b"".join(lines[: coded + 1]))
    async with Playback(recording(ANSWERS)) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, tmp_path))
        await wiring.work(ran.folder, choice, RunOptions(candidates=3), sandbox=LocalSandbox())
        await choice.backend.aclose()
    events = [record.event for record in store.read(runs.log_of(ran.folder))]
    assert [event.candidates for event in events if isinstance(event, PhaseBegan) and event.phase == "Coding"] == [1]
    assert not any(isinstance(event, RaceDecided) for event in events)


async def test_without_tests_the_first_that_starts_wins(tmp_path: Path) -> None:
    crashing = f"{WORDS}\n{MAIN.replace('print(greeting())', '1 / 0')}"
    places = {
        "DemandAnalysis.1/ChiefProductOfficer.1/ask.1": "<INFO> command line",
        "LanguageChoose.1/ChiefTechnologyOfficer.1/ask.1": "<INFO> Python",
        "CodeReview.1/CodeReviewComment.1/CodeReviewer.1/ask.1": "<INFO> Finished",
        "Manual.1/ChiefProductOfficer.1/ask.1": ANSWERS["Manual.1/ChiefProductOfficer.1/ask.1"],
    }
    ran = await run(tmp_path, recording(places | coding(crashing, f"{WORDS}\n{MAIN}")), config="classic", candidates=2)
    assert ran.verdict.verdict == "starts (not tested)"
    assert ran.events(RaceDecided)[0].winner == 2
    assert not ran.events(TestsRan)


async def test_a_companys_own_number_holds_where_none_is_typed(tmp_path: Path) -> None:
    from chatdev.company.config import find, from_sources, read, write

    sources = read(find("full"))
    toml = sources["company.toml"].replace("# The chain.", "candidates = 2\n\n# The chain.")
    write({**sources, "company.toml": toml}, tmp_path / "racing")
    company = from_sources({**sources, "company.toml": toml})
    assert company.racing(company.phases["Coding"]) == 2
    assert company.racing(company.phases["Coding"], 3) == 3
    assert company.racing(company.phases["Manual"], 3) == 1
    ran = await run(tmp_path, recording(ANSWERS), config=str(tmp_path / "racing"))
    assert ran.verdict.verdict == "passed"
    assert ran.events(RaceDecided)


def test_further_candidates_are_warmer_and_have_seeds_of_their_own() -> None:
    assert varied({"temperature": 0.1}, 1) == {"temperature": 0.1}
    assert varied({}, 2) == {"temperature": 0.5, "seed": 1000}
    assert varied({"seed": 7, "temperature": 0.9}, 3) == {"seed": 2007, "temperature": 1.0}
    assert varied({"temperature": 1.4}, 2)["temperature"] == 1.4
