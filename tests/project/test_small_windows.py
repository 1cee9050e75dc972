"""The whole company on servers with small windows, and on those that make it hard in other ways."""

from pathlib import Path
from typing import TypeVar

import msgspec
import pytest

from chatdev import runs, wiring
from chatdev.journal.events import AttemptStarted, MessageStored, ModelAnswered
from chatdev.journal.store import Record, read
from chatdev.models.choose import choose
from chatdev.models.errors import ModelError
from chatdev.playback import demo
from chatdev.playback.faults import FaultSpec
from chatdev.playback.recording import Entry
from chatdev.playback.server import Playback
from chatdev.settings import load

T = TypeVar("T")
TASK = "create a calculator"


class Ran(msgspec.Struct, frozen=True):
    """A run of the calculator, and how it ended."""

    folder: Path
    verdict: str
    error: str
    records: tuple[Record, ...]

    def events(self, kind: type[T]) -> list[T]:
        return [record.event for record in self.records if isinstance(record.event, kind)]

    @property
    def cuts(self) -> list[str]:
        return [cut for call in self.events(ModelAnswered) for cut in call.cuts]

    @property
    def report(self) -> str:
        return (self.folder / "REPORT.md").read_text()


MODIFIED = "CodeReview.1/CodeReviewModification.1/Programmer.1/ask.{}"


async def calculator(warehouse: Path, *manners: FaultSpec, folder: Path | None = None) -> Ran:
    """The shipped recording, from the start or on from ``folder``."""
    recording = demo.recording_of(TASK)
    # In the smallest window the changed files do not fit into one answer.
    changed = recording.find(MODIFIED.format(1), "")
    assert changed is not None
    rest = Entry(place=MODIFIED.format(2), text=changed.text[changed.text.index("main.py\n```") :])
    recording = msgspec.structs.replace(recording, entries=(*recording.entries, rest))
    verdict = error = ""
    async with Playback(recording, manners=manners) as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, warehouse))
        folder = folder or runs.begin(runs.RunRequest(task=TASK, name=recording.name, config="full"), warehouse)
        try:
            verdict = (await wiring.work(folder, choice)).verdict
        except ModelError as told:
            error = str(told)
        finally:
            await choice.backend.aclose()
    return Ran(folder, verdict, error, read(runs.log_of(folder)))


async def test_the_default_company_works_in_a_window_of_4096(tmp_path: Path) -> None:
    ran = await calculator(tmp_path, FaultSpec(window=4096))
    assert ran.verdict == "passed"
    assert all(call.prompt_tokens + call.max_tokens <= 4096 for call in ran.events(ModelAnswered))
    assert all(call.max_tokens >= 4096 // 3 for call in ran.events(ModelAnswered))


async def test_in_a_smaller_window_it_works_on_and_the_report_lists_each_cut(tmp_path: Path) -> None:
    ran = await calculator(tmp_path, FaultSpec(window=2816))
    assert ran.verdict == "passed"
    assert {cut.partition(" (")[0] for cut in ran.cuts} >= {
        "tests/test_acceptance.py as signatures",
        "calculator/evaluator.py as signatures",
    }
    assert ran.report.count("as signatures") == sum("as signatures" in cut for cut in ran.cuts)
    assert "- **cut to fit**: CodeReview.1/CodeReviewComment.1/CodeReviewer.1/ask.1: " in ran.report


async def test_under_the_minimum_it_stops_with_the_arithmetic(tmp_path: Path) -> None:
    stopped = await calculator(tmp_path, FaultSpec(window=1400))
    assert "the window has 1400" in stopped.error
    assert "cut to fit: tests/test_acceptance.py as signatures" in stopped.error
    assert stopped.report.startswith("# Not finished: The conversation does not fit")


async def test_a_run_that_was_cut_goes_on_in_another_window(tmp_path: Path) -> None:
    """The log names whole messages, whatever was cut of them: each recorded answer finds its place again."""
    stopped = await calculator(
        tmp_path, FaultSpec(window=2816), FaultSpec(place="CodeReview.1/CodeReviewModification.1", status=418)
    )
    assert "418" in stopped.error
    assert stopped.cuts
    assert "the file itself is whole" not in "".join(each.content for each in stopped.events(MessageStored))
    finished = await calculator(tmp_path, folder=stopped.folder)
    assert finished.verdict == "passed"
    places = [call.place for call in finished.events(ModelAnswered)]
    assert len(places) == len(set(places))
    assert [attempt.window for attempt in finished.events(AttemptStarted)] == [2816, 16384]


async def test_a_window_that_no_one_tells_is_assumed_and_said_once(tmp_path: Path) -> None:
    ran = await calculator(tmp_path, FaultSpec(no_window=True))
    assert ran.verdict == "passed"
    assert ran.report.count("4,096 tokens are assumed") == 1
    assert all(call.prompt_tokens + call.max_tokens <= 4096 for call in ran.events(ModelAnswered))


async def test_an_answer_that_is_all_thought_comes_at_the_second_asking(tmp_path: Path) -> None:
    ran = await calculator(tmp_path, FaultSpec(place="Coding.1/Programmer.1/ask.1", null_content=True))
    assert ran.verdict == "passed"
    assert ran.report.count("retried with thinking off") == 1


async def test_a_prompt_that_is_cut_in_silence_ends_the_run_with_the_cure(tmp_path: Path) -> None:
    ran = await calculator(tmp_path, FaultSpec(cut_prompt=900))
    assert "silently truncated the prompt: it read 900 of about" in ran.error
    assert "OLLAMA_CONTEXT_LENGTH" in ran.error
    assert ran.report.startswith("# Not finished: The server at")
    last = ran.events(ModelAnswered)[-1]
    finished = await calculator(tmp_path, folder=ran.folder)
    assert finished.verdict == "passed"
    assert last in finished.events(ModelAnswered)


@pytest.mark.parametrize(
    ("manner", "expected"),
    [
        (FaultSpec(refuse_system=True), "system joined to the first user message"),
        (FaultSpec(alternate_roles=True, refuse_system=True), "system joined to the first user message"),
    ],
)
async def test_a_strict_template_in_a_small_window_ends_right(tmp_path: Path, manner: FaultSpec, expected: str) -> None:
    ran = await calculator(tmp_path, FaultSpec(window=4096), manner)
    assert ran.verdict == "passed"
    assert expected in ran.report
