"""Drafts are written until one of them holds, the first alone and the others two at a time, and the tests choose."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from helpers.support import DRAFT, DRAFTED, ROWS, Ran, recording, run

from chatdev import runs, wiring
from chatdev.journal import store
from chatdev.journal.events import Diagnostic, MessageStored, ModelAnswered, PhaseBegan, RaceDecided, TestsRan
from chatdev.models.choose import choose
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback
from chatdev.product import rows
from chatdev.settings import load


def draft(*right: str) -> str:
    """A program that gives the right answer to these words, and to no others; of those it says that it failed."""
    return (
        f'```python\n"""Says yes."""\nimport sys\n\nfor word in sys.argv[1:]:\n'
        f'    print("yes" if word in {right!r} else "no", word)\nsys.exit(not set(sys.argv[1:]) <= set({right!r}))\n```'
    )


def drafts(*programs: Sequence[str]) -> dict[str, str]:
    return {DRAFT.format(number): draft(*right) for number, right in enumerate(programs, 1)}


def wanting(*words: str) -> str:
    return "\n\n".join(f"$ python3 main.py {word}\nyes {word}" for word in words)


async def built(warehouse: Path, words: str, *programs: Sequence[str], task: str = "greet", candidates: int = 0) -> Ran:
    """A run whose tester wants all of ``words`` answered, and whose candidates answer some; nothing is mended."""
    alone = {"Drafting.1/Programmer.1/ask.1": draft(*words)}
    played = recording(DRAFTED | alone | {ROWS: wanting(*words)} | drafts(*programs))
    number = candidates or len(programs)
    return await run(warehouse, played, config="default", task=task, candidates=number, effort="low")


def race(ran: Ran) -> RaceDecided:
    (decided,) = ran.events(RaceDecided)
    return decided


def asked(ran: Ran) -> list[int]:
    """Which candidates answered, in the order in which they did."""
    places = [answer.place.split("/") for answer in ran.events(ModelAnswered)]
    return [int(place[1].rpartition(".")[2]) for place in places if place[0] == "Drafting.1"]


async def test_if_the_first_draft_holds_no_one_else_is_asked(tmp_path: Path) -> None:
    ran = await built(tmp_path, "ab", "ab", "ab", "ab")
    assert ran.verdict.verdict == "passed"
    assert asked(ran) == [1]
    assert [(each.number, each.how) for each in race(ran).standings] == [(1, "won")]


async def test_the_first_draft_is_tried_before_anyone_else_is_asked(
    tmp_path: Path,
) -> None:
    ran = await built(tmp_path, "ab", "", "ab", "a")
    tried = next(record.n for record in ran.records if isinstance(record.event, TestsRan))
    drawn = {
        record.event.place.split("/")[1]: record.n
        for record in ran.records
        if isinstance(record.event, ModelAnswered) and record.event.place.startswith("Drafting")
    }
    assert drawn["candidate.1"] < tried < drawn["candidate.2"]
    assert race(ran).winner == 2
    assert [each.number for each in race(ran).standings] == [1, 2, 3]


async def test_a_row_that_one_draft_in_six_meets_by_chance_keeps_no_one_from_winning(tmp_path: Path) -> None:
    ran = await built(tmp_path, "abcd", "d", *7 * ["abc"])
    assert ran.verdict.verdict == "passed"
    assert [name.rpartition(" ")[2] for name in race(ran).dropped] == ["d"]
    assert race(ran).winner == 2
    assert len(asked(ran)) >= 6


async def test_no_more_than_two_further_candidates_are_asked_at_the_same_time(tmp_path: Path) -> None:
    played = recording(DRAFTED | {ROWS: wanting(*"abcdefgh")} | drafts(*"abcdefgh"))
    server = Playback(played, manners=[FaultSpec(place="Drafting.1", first_token=0.3)])
    seen: list[int] = []

    async def watch() -> None:
        while True:
            seen.append(server.in_flight)
            await asyncio.sleep(0.02)

    async with server as endpoint:
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, tmp_path))
        folder = runs.begin(runs.RunRequest(task="greet", name="Greeting", effort="low"), tmp_path)
        watching = asyncio.create_task(watch())
        await wiring.work(folder, choice)
        watching.cancel()
        await choice.backend.aclose()
    assert max(seen) == 2
    records = store.read(runs.log_of(folder))
    (decided,) = (record.event for record in records if isinstance(record.event, RaceDecided))
    assert [each.number for each in decided.standings] == list(range(1, 9))
    assert decided.winner == 1  # all are alike by what they meet
    assert decided.dropped == ()


async def test_the_first_is_asked_for_the_likeliest_answer_and_the_others_for_different_ones(tmp_path: Path) -> None:
    ran = await built(tmp_path, "abc", "a", "b", "c", "ab")
    drawn = [answer for answer in ran.events(ModelAnswered) if answer.place.startswith("Drafting")]
    assert len({answer.messages for answer in drawn}) == 1
    assert {answer.place: answer.temperature for answer in drawn} == {
        DRAFT.format(number): 0.0 if number == 1 else 0.8 for number in (1, 2, 3, 4)
    }


async def test_a_candidate_alone_is_no_race(tmp_path: Path) -> None:
    ran = await built(tmp_path, "a", "a", candidates=1)
    assert ran.events(RaceDecided) == []
    assert [began.candidates for began in ran.events(PhaseBegan) if began.phase == "Drafting"] == [1]


TRUSTED = "Make a program that answers words.\n\n$ python3 main.py z\nyes z\n"


async def test_the_tests_of_the_task_count_before_any_number_of_the_testers(tmp_path: Path) -> None:
    ran = await built(tmp_path, "abc", "abc", "z", "a", task=TRUSTED, candidates=3)
    assert race(ran).winner == 2
    assert '"z"' in (ran.folder / "main.py").read_text().replace("'", '"')


async def test_what_several_meet_together_counts_before_what_one_meets_alone(tmp_path: Path) -> None:
    ran = await built(tmp_path, "abc", "ab", "c", "c", "c", candidates=4)
    assert race(ran).winner == 2
    ran = await built(tmp_path, "abc", "ab", "c", "a", candidates=3)
    assert race(ran).winner == 1


async def test_rows_that_no_candidate_meets_are_dropped_and_the_others_judge(tmp_path: Path) -> None:
    ran = await built(tmp_path, "abx", "ab", "ab", "a", "a")
    assert race(ran).dropped == ("tests/acceptance.txt::tester: x",)
    assert sorted(asked(ran))[:3] == [1, 2, 3]
    assert "tests/acceptance.txt::tester: x is met by hardly any candidate: not judged" in "".join(
        note.text for note in ran.events(Diagnostic)
    )
    kept = rows.parse((ran.folder / rows.FILE).read_text(), "python3 main.py").rows
    assert [(row.title, row.tier) for row in kept] == [("a", "doubtful"), ("b", "doubtful"), ("x", "dropped")]
    assert ran.verdict.verdict == "passed"
    assert ran.verdict.why.startswith("All 2 tests pass")
    assert "x is met by hardly any candidate: not judged" in (ran.folder / "REPORT.md").read_text()


async def test_a_row_of_the_task_is_never_dropped(tmp_path: Path) -> None:
    ran = await built(tmp_path, "a", "a", "a", "a", "a", task=TRUSTED, candidates=4)
    assert race(ran).dropped == ()
    assert ran.verdict.verdict == "failed (1 of 2)"


async def test_two_that_fail_the_same_row_are_not_enough_to_drop_it(tmp_path: Path) -> None:
    ran = await built(tmp_path, "ax", "a", "a", candidates=2)
    assert race(ran).dropped == ()
    assert ran.verdict.verdict == "failed (1 of 2)"


@pytest.mark.parametrize(
    "programs", [("ab", "ab", "ab"), ("a", "abx", "a")], ids=["with a dropped row", "with a winner"]
)
async def test_a_resume_after_the_race_asks_nothing_again_and_ends_the_same(
    tmp_path: Path, programs: tuple[str, ...]
) -> None:
    played = recording(DRAFTED | {ROWS: wanting(*"abx")} | drafts(*programs))
    ran = await run(tmp_path, played, config="default", candidates=3, effort="low")
    log = runs.log_of(ran.folder)
    decided = next(number for number, record in enumerate(ran.records) if isinstance(record.event, RaceDecided))
    lines = log.read_bytes().splitlines(keepends=True)
    for cut in range(decided + 1, len(lines)):
        log.write_bytes(b"".join(lines[:cut]))
        again = await run(tmp_path, recording({**DRAFTED, ROWS: "", **drafts("", "", "")}), folder=ran.folder)
        assert again.verdict == ran.verdict
        assert race(again) == race(ran)
        assert sorted(answer.place for answer in again.events(ModelAnswered)) == sorted(
            answer.place for answer in ran.events(ModelAnswered)
        )
        for path in ("main.py", rows.FILE):
            assert (again.folder / path).read_bytes() == (ran.folder / path).read_bytes()


async def test_the_last_draft_of_a_task_with_examples_answers_the_task_alone(tmp_path: Path) -> None:
    task = "greet\n$ python3 main.py a\nyes a\n"
    ran = await built(tmp_path, "a", "b", "b", "a", task=task)
    assert race(ran).winner == 3
    stored = {message.id: message for message in ran.events(MessageStored)}
    prompts = {
        answer.place.split("/")[1]: [(stored[name].role, stored[name].content) for name in answer.messages]
        for answer in ran.events(ModelAnswered)
        if answer.place.startswith("Drafting.1")
    }
    assert prompts["candidate.3"] == [("user", task.strip())]
    assert all(len(prompts[name][-1][1]) > len(task) for name in prompts if name != "candidate.3")


async def test_without_examples_in_the_task_no_draft_answers_the_task_alone(tmp_path: Path) -> None:
    ran = await built(tmp_path, "ab", "a", "ab")
    assert "greet" not in [message.content for message in ran.events(MessageStored)]
