"""Rows for which the tester has no output, or a wrong one, are judged by what several drafts print."""

from pathlib import Path

import pytest
from helpers.support import DRAFT, DRAFTED, ROWS, SKETCH, Ran, recording, run

from chatdev import runs
from chatdev.journal.events import Diagnostic, MessageStored, ModelAnswered, PhaseEnded, RaceDecided, TestsRan
from chatdev.product import rows


def doing(what: str) -> str:
    """A program that prints this of each number that it is given."""
    return f"import sys\n\nfor word in sys.argv[1:]:\n    number = int(word)\n    print({what})"


DOUBLES, SQUARES, BREAKS = doing("2 * number"), doing("number**2"), doing("number // 0")
ASKS = "print(2 * int(input()))"


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


async def built(
    warehouse: Path, shown: str, *programs: str, candidates: int = 0, sketch: str = ASKS, task: str = "double a number"
) -> Ran:
    """A run whose tester shows these uses, and whose candidates write these programs."""
    drafts = {DRAFT.format(number): fenced(program) for number, program in enumerate(programs, 1)}
    alone = {"Drafting.1/Programmer.1/ask.1": fenced(programs[0])}
    played = recording(DRAFTED | alone | {SKETCH: fenced(sketch), ROWS: shown} | drafts)
    number = candidates or len(programs)
    return await run(
        warehouse,
        played,
        config="default",
        task=task,
        candidates=number,
        effort="low",
        settings=("Manual=off",),
    )


def shown(*pairs: tuple[int, int | str]) -> str:
    return "\n\n".join(f"$ python3 main.py {given}\n{printed}" for given, printed in pairs)


def left(ran: Ran) -> list[tuple[str, str, str]]:
    """The rows that the product came with: what each is given, what it wants, and whose it is."""
    text = (ran.folder / rows.FILE).read_text()
    read = rows.parse(text, "python3 main.py").rows
    return [(row.title, row.steps[-1].expected, row.tier) for row in read]


def decided(ran: Ran) -> RaceDecided:
    (race,) = ran.events(RaceDecided)
    return race


async def test_three_drafts_that_print_the_same_correct_the_tester(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((3, 6), (5, 11), (6, 13)), SQUARES, DOUBLES, DOUBLES, DOUBLES)
    assert ran.verdict.verdict == "passed"
    assert "(0 from the task, 1 from the tester, 2 as several drafts agree)" in ran.verdict.why
    assert left(ran) == [("5", "10", "agreed"), ("6", "12", "agreed"), ("3", "6", "doubtful")]
    assert DOUBLES in (ran.folder / "main.py").read_text()
    assert "5 is judged by what several candidates print" in "".join(note.text for note in ran.events(Diagnostic))


async def test_a_tester_who_is_mostly_right_is_not_corrected(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((3, 6), (5, 10), (6, 13)), *4 * [DOUBLES])
    assert (decided(ran).settled, decided(ran).dropped) == ((), ("tests/acceptance.txt::tester: 6",))
    assert ran.verdict.verdict == "passed"


async def test_two_that_print_the_same_do_not(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((2, 4), (5, 11)), DOUBLES, DOUBLES, BREAKS)
    assert decided(ran).settled == ()
    assert decided(ran).dropped == ("tests/acceptance.txt::tester: 5",)


async def test_three_do_not_overrule_the_tester_and_two_who_meet_the_row(tmp_path: Path) -> None:
    triples = doing("3 * number")
    ran = await built(tmp_path, shown((2, 4), (5, 15)), triples, triples, DOUBLES, DOUBLES, DOUBLES)
    assert decided(ran).settled == ()


async def test_three_of_two_candidates_cannot_be_had(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((2, 4), (5, 11)), DOUBLES, DOUBLES)
    assert (ran.verdict.verdict, decided(ran).settled) == ("failed (1 of 2)", ())


async def test_what_only_repeats_the_input_waits_for_what_three_drafts_print(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((3, 3), (5, 5)), DOUBLES, SQUARES, DOUBLES, DOUBLES)
    assert ran.verdict.verdict == "passed"
    assert left(ran) == [("3", "6", "agreed"), ("5", "10", "agreed")]
    last = ran.events(TestsRan)[-1]
    assert [result.outcome for result in last.results] == ["passed", "passed"]
    assert last.open == ()


async def test_programmers_see_how_it_is_started_and_no_output_that_no_one_knows(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((2, 2), (5, 5)), DOUBLES, DOUBLES, DOUBLES)
    answers = next(answer for answer in ran.events(ModelAnswered) if answer.place.startswith("Drafting"))
    texts = {message.id: message.content for message in ran.events(MessageStored)}
    question = texts[answers.messages[-1]]
    assert "$ python3 main.py 2\n\n$ python3 main.py 5\n```" in question
    assert "what it needs stands in `sys.argv`" in question


async def test_drafts_that_print_the_same_whatever_they_are_given_correct_no_one(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((2, 2), (5, 5)), *3 * ["print(10)"])
    assert decided(ran).settled == ()
    assert ran.verdict.verdict == "unconfirmed (the drafts disagree)"


async def test_drafts_that_all_print_something_else_leave_it_unconfirmed(tmp_path: Path) -> None:
    programs = [doing(f"{number} * number") for number in (3, 4, 5, 6)]
    ran = await built(tmp_path, shown((2, 2), (5, 5)), *programs)
    assert ran.verdict.verdict == "unconfirmed (the drafts disagree)"
    assert [tier for _, _, tier in left(ran)] == ["open", "open"]


async def test_a_product_for_which_less_than_half_of_the_rows_speak_is_unconfirmed(tmp_path: Path) -> None:
    programs = [doing(f"2 * number + {number} * (number > 2)") for number in (3, 4, 5, 6)]
    ran = await built(tmp_path, shown((2, 4), (5, 1), (6, 1), (7, 1)), *programs)
    assert ran.verdict.verdict == "unconfirmed (the tester disagrees)"
    assert [tier for _, _, tier in left(ran)] == ["doubtful", "dropped", "dropped", "dropped"]


async def test_one_row_that_holds_is_not_enough_beside_four_without_an_output(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((2, 4), (5, 5), (6, 6), (7, 7), (8, 8)), SQUARES, DOUBLES, DOUBLES, DOUBLES)
    assert ran.verdict.verdict == "passed"
    assert DOUBLES in (ran.folder / "main.py").read_text()
    assert decided(ran).winner != 1


async def test_a_draft_that_needs_a_package_loses_to_one_that_does_without(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((3, 6), (5, 10)), f"import pygame\n{DOUBLES}", DOUBLES, DOUBLES)
    assert ran.verdict.verdict == "passed"
    assert decided(ran).winner != 1


async def test_a_draft_that_needs_a_package_which_the_task_names_is_as_good_as_can_be(tmp_path: Path) -> None:
    needing = f"import pygame\n{DOUBLES}"
    ran = await built(tmp_path, shown((3, 6), (5, 10)), needing, DOUBLES, DOUBLES, task="double a number with pygame")
    assert ran.verdict.verdict == "not run (needs pygame)"


async def test_a_row_without_an_output_judges_no_one_who_works_alone(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((2, 4), (5, 5)), DOUBLES, candidates=1)
    assert ran.verdict.verdict == "passed"
    assert left(ran) == [("2", "4", "doubtful"), ("5", "", "open")]


async def test_a_resume_after_the_race_ends_the_same(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((2, 2), (5, 11)), SQUARES, DOUBLES, DOUBLES, DOUBLES)
    log = runs.log_of(ran.folder)
    at = next(number for number, record in enumerate(ran.records) if isinstance(record.event, RaceDecided))
    lines = log.read_bytes().splitlines(keepends=True)
    for cut in range(at + 1, len(lines)):
        log.write_bytes(b"".join(lines[:cut]))
        again = await run(tmp_path, recording({"Other.1/Programmer.1/ask.1": ""}), folder=ran.folder)
        assert (again.verdict, decided(again), left(again)) == (ran.verdict, decided(ran), left(ran))


def sketched(ran: Ran) -> str:
    return next(ended.conclusion for ended in ran.events(PhaseEnded) if ended.phase == "Sketch")


async def test_a_program_that_takes_no_input_is_started_without_any(tmp_path: Path) -> None:
    ran = await built(tmp_path, shown((2, 4)), *3 * ['print("two")'], sketch='print("2")')
    assert sketched(ran) == "the program takes no input"
    assert not any(answer.place.startswith("ExampleWriting") for answer in ran.events(ModelAnswered))
    assert left(ran) == [("(no input)", "two", "agreed")]
    assert ran.verdict.verdict == "passed"


@pytest.mark.parametrize(
    "sketch",
    [
        ASKS,
        "import sys\nprint(sys.argv[1:])",
        "import sys\nprint(len(sys.stdin.read()))",
        "import random\nprint(random.random())",
        "pass",
        "raise ValueError",
    ],
)
async def test_a_program_that_takes_input_or_tells_nothing_is_left_to_the_tester(tmp_path: Path, sketch: str) -> None:
    ran = await built(tmp_path, shown((2, 4)), DOUBLES, sketch=sketch)
    assert sketched(ran) == "the tester says how it is used"
    assert ran.verdict.verdict == "passed"
    assert left(ran) == [("2", "4", "doubtful")]


async def test_a_second_sketch_that_takes_input_overrules_the_first(tmp_path: Path) -> None:
    sketches = {"Sketch.1/candidate.1/Programmer.1/ask.1": fenced("print(4)"), SKETCH: fenced(ASKS)}
    played = recording(DRAFTED | sketches | {ROWS: shown((2, 4)), "Drafting.1/Programmer.1/ask.1": fenced(DOUBLES)})
    ran = await run(tmp_path, played, config="default", task="double a number", effort="low")
    assert sketched(ran) == "the tester says how it is used"
    temperatures = {
        answer.place: answer.temperature for answer in ran.events(ModelAnswered) if answer.place.startswith("Sketch")
    }
    assert list(temperatures.values()) == [0.0, 0.8]


async def test_a_sketch_leaves_no_file_and_a_task_with_examples_needs_none(tmp_path: Path) -> None:
    played = recording(DRAFTED | {ROWS: shown((5, 10)), "Drafting.1/Programmer.1/ask.1": fenced(DOUBLES)})
    task = "double a number\n\n$ python3 main.py 2\n4\n"
    ran = await run(tmp_path, played, config="default", task=task, effort="low")
    assert ran.verdict.verdict == "passed"
    assert not any(answer.place.startswith("Sketch") for answer in ran.events(ModelAnswered))


async def test_an_answer_without_code_is_no_sketch(tmp_path: Path) -> None:
    played = recording(
        DRAFTED | {SKETCH: "Gladly.", ROWS: shown((2, 4)), "Drafting.1/Programmer.1/ask.1": fenced(DOUBLES)}
    )
    ran = await run(tmp_path, played, config="default", task="double a number", effort="low")
    assert (sketched(ran), ran.verdict.verdict) == ("the tester says how it is used", "passed")
