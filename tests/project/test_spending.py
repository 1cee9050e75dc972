"""Limits of a run and of a phase: looked at before a call, recorded, and the same on a resume."""

import shutil
from pathlib import Path

import pytest
from helpers.events import model_answered
from helpers.support import ANSWERS, MAIN, WORDS, Ran, recording

from chatdev import runs, wiring
from chatdev.company import config
from chatdev.journal import events
from chatdev.journal.events import Diagnostic, LimitReached, ModelAnswered, PhaseEnded, TestsRan
from chatdev.journal.store import Store, read
from chatdev.models.choose import choose
from chatdev.models.spending import Budget
from chatdev.playback.recording import Recording
from chatdev.playback.server import Playback
from chatdev.project.spending import Spending
from chatdev.run_options import RunOptions
from chatdev.settings import load

REPAIRED = {
    "CodeReview.1/CodeReviewComment.1/CodeReviewer.1/ask.1": "words.py: say it louder.",
    "CodeReview.1/CodeReviewModification.1/Programmer.1/ask.1": WORDS,
}


async def limited(
    warehouse: Path,
    played: Recording,
    limits: dict[str, float] | None = None,
    *,
    folder: Path | None = None,
    company: str = "full",
) -> Ran:
    """A run with limits, from the start; or on from ``folder`` with other ones."""
    async with Playback(played) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, warehouse))
        try:
            if folder is None:
                order = runs.RunRequest(task="greet", name="Greeting", config=company, limits=limits or {})
                verdict = await wiring.work(folder := runs.begin(order, warehouse), choice)
            else:
                verdict = await wiring.work(folder, choice, RunOptions(limits=limits or {}))
        finally:
            await choice.backend.aclose()
    return Ran(folder, verdict, read(runs.log_of(folder)))


def company(folder: Path, **budgets: str) -> str:
    """The full company with budgets: ``run``'s in company.toml, else a phase's."""
    made = shutil.copytree(config.find("full"), folder / "company")
    for name, budget in budgets.items():
        path = made / ("company.toml" if name == "run" else f"phases/{name}.md")
        text = path.read_text()
        line = f"budget = {budget}\n"
        path.write_text(line + text if name == "run" else text.replace("+++\n", f"+++\n{line}", 1))
    return str(made)


def report(ran: Ran) -> str:
    return (ran.folder / "REPORT.md").read_text()


async def test_at_a_limit_of_calls_what_is_there_is_judged_and_delivered(tmp_path: Path) -> None:
    ran = await limited(tmp_path, recording(ANSWERS), {"calls": 4})
    assert {call.place for call in ran.events(ModelAnswered)} == set(list(ANSWERS)[:4])
    limit, beside = ran.events(LimitReached)  # of the two reviews that were to begin
    assert beside.place.startswith("CodeReview.1/RobustnessReview.1/")
    assert (limit.limit, limit.at_most, limit.spent, limit.phase) == ("calls", 4, 4, "")
    assert limit.place.startswith("CodeReview.1/CodeReviewComment.1/")
    assert ran.verdict.verdict == "passed"  # the tests were run on what the programmer had written
    assert not (ran.folder / "manual.md").exists()
    assert "the run's limit of 4 calls was reached (4 calls spent)" in report(ran)
    assert f"chatdev resume {ran.folder.name} --from CodeReviewComment --max-calls NUMBER" in report(ran)
    assert ran.events(PhaseEnded)[-1].conclusion == "broken off: the limit of calls was reached"


async def test_before_there_is_a_program_the_verdict_says_so(tmp_path: Path) -> None:
    ran = await limited(tmp_path, recording(ANSWERS), {"calls": 3})
    assert ran.verdict.verdict == "not run (no program was written)"
    assert len(ran.events(ModelAnswered)) == 3


async def test_a_limit_that_was_recorded_holds_on_a_resume_and_not_in_a_fork(tmp_path: Path) -> None:
    ran = await limited(tmp_path, recording(ANSWERS), {"calls": 4})
    log = runs.log_of(ran.folder)
    lines = log.read_bytes().splitlines(keepends=True)
    upto = max(n for n, record in enumerate(ran.records) if isinstance(record.event, LimitReached)) + 1
    log.write_bytes(b"".join(lines[:upto]))  # killed right after it was decided
    again = await limited(tmp_path, recording(ANSWERS), {"calls": 100}, folder=ran.folder)
    assert len(again.events(ModelAnswered)) == 4
    assert len(again.events(LimitReached)) == 2  # one for each of two reviewers
    assert again.verdict == ran.verdict
    fork = runs.fork(ran.folder, "CodeReviewComment", tmp_path)
    on = await limited(tmp_path, recording(ANSWERS), {"calls": 100}, folder=fork)
    assert len(on.events(ModelAnswered)) == len(ANSWERS)
    assert not on.events(LimitReached)
    assert on.verdict.verdict == "passed"


async def test_a_limit_that_was_typed_once_holds_for_later_attempts(tmp_path: Path) -> None:
    ran = await limited(tmp_path, recording(ANSWERS), {"calls": 2, "tokens": 1_000_000})
    fork = runs.fork(ran.folder, "TestWriting", tmp_path)
    first = await limited(tmp_path, recording(ANSWERS), {"calls": 4}, folder=fork)
    assert len(first.events(ModelAnswered)) == 4
    second = await limited(tmp_path, recording(ANSWERS), folder=runs.fork(first.folder, "CodeReviewComment", tmp_path))
    assert len(second.events(ModelAnswered)) == 4
    assert second.events(events.AttemptStarted)[-1].limits == {"calls": 4, "tokens": 1_000_000}


async def test_calls_side_by_side_are_counted_while_they_are_under_way(tmp_path: Path) -> None:
    ran = await limited(tmp_path, recording(ANSWERS), {"calls": 6})
    assert len(ran.events(ModelAnswered)) == 6  # one of two that were to be asked at the same time
    assert len(ran.events(LimitReached)) == 1


async def test_tokens_are_counted_and_the_company_may_state_the_limit(tmp_path: Path) -> None:
    ran = await limited(tmp_path, recording(ANSWERS), company=company(tmp_path, run="{ tokens = 10 }"))
    calls = ran.events(ModelAnswered)
    assert len(calls) == 2  # side by side: none had ended when the other began
    (limit, *_) = ran.events(LimitReached)
    assert (limit.limit, limit.spent) == ("tokens", sum(call.prompt_tokens + call.completion_tokens for call in calls))
    typed = await limited(tmp_path, recording(ANSWERS), {"tokens": 1_000_000}, company=str(tmp_path / "company"))
    assert not typed.events(LimitReached)


async def test_a_phase_at_its_limit_keeps_what_it_has_and_the_run_goes_on(tmp_path: Path) -> None:
    answers = ANSWERS | {
        "DemandAnalysis.1/ChiefProductOfficer.1/ask.1": "That is hard to say.",
        "Coding.1/Programmer.1/ask.1": f"{MAIN}\n{WORDS}".replace(
            '    return "hello"\n```\n', "    # ... rest of the code\n```\n"
        ),
        "CodeReview.1/CodeReviewComment.1/CodeReviewer.1/ask.1": "words.py is missing.",
        "CodeReview.1/CodeReviewModification.1/Programmer.1/ask.1": WORDS,
    }
    answers["CodeReview.2/CodeReviewComment.1/CodeReviewer.1/ask.1"] = "<INFO> Finished"
    made = company(tmp_path, Coding="{ calls = 1 }", DemandAnalysis="{ calls = 1 }")
    ran = await limited(tmp_path, recording(answers), company=made)
    assert ran.verdict.verdict == "passed"
    assert [limit.phase for limit in ran.events(LimitReached)] == ["DemandAnalysis", "Coding"]
    assert "- **limit**: Coding's limit of 1 call was reached (1 call spent)" in report(ran)
    assert "ended early" not in report(ran)
    assert [tests.results[0].outcome for tests in ran.events(TestsRan)][-2:] == ["passed", "error"]  # whole, hollow
    assert any(note.kind == "asked again" for note in ran.events(Diagnostic))


def test_a_budget_that_cannot_be_read_names_file_and_key(tmp_path: Path) -> None:
    with pytest.raises(config.CompanyError, match=r"company\.toml: .*budget\.calls"):
        config.load(Path(company(tmp_path, run="{ calls = 0 }")))
    shutil.rmtree(tmp_path / "company")
    with pytest.raises(config.CompanyError, match=r"phases/Coding\.md: .*unknown field `dollars`"):
        config.load(Path(company(tmp_path, Coding="{ dollars = 1 }")))


def answered(place: str, seconds: float = 0.0, cost: float | None = 0.0) -> ModelAnswered:
    return model_answered(place, seconds=seconds, cost=cost)


class Clocks:
    """A wall clock and one that stands still in sleep."""

    def __init__(self) -> None:
        self.now = self.lived = 0.0

    def work(self, seconds: float) -> None:
        self.now, self.lived = self.now + seconds, self.lived + seconds

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def store(self, path: Path) -> Store:
        return Store(path, wall=lambda: self.now, alive=lambda: self.lived)

    def spending(self, store: Store, **limits: float) -> Spending:
        return Spending(store, Budget().but(limits), alive=lambda: self.lived)


def reached(spending: Spending, phase: str = "Coding") -> tuple[str, float] | None:
    limit = spending.reached(phase, "P.1", "d")
    return (limit.limit, limit.spent) if limit else None


def test_minutes_are_those_of_work_in_all_attempts_without_sleep_and_gaps(tmp_path: Path) -> None:
    clocks = Clocks()
    log = clocks.store(tmp_path / "log")
    log.append(events.AttemptStarted(1, "", "m", None, "none"))
    clocks.work(60)
    clocks.sleep(36_000)
    log.append(answered("A.1/ask.1"))
    log.close()
    clocks.work(7_200)  # nobody was at it
    log = clocks.store(tmp_path / "log")
    log.append(events.AttemptStarted(2, "", "m", None, "none"))
    spending = clocks.spending(log, minutes=2.0)
    assert reached(spending) is None
    clocks.work(59)
    clocks.sleep(36_000)
    assert reached(spending) is None
    clocks.work(1)
    assert reached(spending) == ("minutes", 2.0)
    log.close()


def test_a_cost_that_is_not_known_counts_as_none(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    spending = Spending(log, Budget(cost=0.5))
    log.append(answered("A.1/ask.1", cost=None))
    log.append(answered("A.1/ask.2", cost=0.25))
    assert reached(spending) is None
    log.append(answered("A.1/ask.3", cost=0.25))
    assert reached(spending) == ("cost", 0.5)
    log.close()


def test_all_takes_of_a_phase_are_counted_together_and_no_others(tmp_path: Path) -> None:
    log = Store(tmp_path / "log")
    for cycle in (1, 2):
        log.append(events.PhaseBegan(f"Loop.{cycle}/Coding.1", "Coding"))
        log.append(answered(f"Loop.{cycle}/Coding.1/R.1/ask.1", seconds=30))
    log.append(events.PhaseBegan("Review.1", "Review"))
    log.append(answered("Review.1/R.1/ask.1", seconds=600))
    spending = Spending(log, Budget(), {"Coding": Budget(minutes=1.0), "Review": Budget(calls=2)})
    limit = spending.reached("Coding", "P.1", "d")
    assert limit is not None and (limit.limit, limit.spent, limit.phase) == ("minutes", 1.0, "Coding")
    assert spending.reached("Review", "P.1", "d") is None
    with spending.call("Review"):
        assert reached(spending, "Review") == ("calls", 2)
    assert reached(spending, "Review") is None
    log.close()
