"""Where a few examples of the task are the only tests, two drafts must agree on other inputs before one is believed."""

from pathlib import Path

import pytest
from helpers.support import DRAFT, DRAFTED, ROWS, Ran, recording, run

from chatdev.journal.events import MessageStored, ModelAnswered, ProductProbed, RaceDecided
from chatdev.product import acceptance, rows

TASK = "double a number\n\n$ python3 main.py 1\n2\n\n$ python3 main.py 2\n4\n"
RIGHT = "2 * n"
WRONG = "n * n - n + 2"
OTHER = "n + n if n < 3 else 7"
BROKEN = "n"
SLOW = "sum(2 for _ in range(n if n < 1000 else 10**12))"


def draft(value: str) -> str:
    program = f"import sys\n\nn = int(sys.argv[1]) if sys.argv[1:] else 1\nprint({value})"
    return f'```python\n"""Doubles a number."""\n{program}\n```'


def examples(*of: tuple[int, int]) -> str:
    return "\n".join(["```", *(f"$ python3 main.py {given}\n{gives}\n" for given, gives in of), "```"])


NONE = "I have no example."
SOME = examples((5, 10), (6, 13))
"""Two examples of the tester, of which a right program meets one."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start of the product may take a second."""
    monkeypatch.setattr(acceptance, "SECONDS", 1.0)


async def built(warehouse: Path, *values: str, folder: Path | None = None, tester: str = SOME) -> Ran:
    drafts = {DRAFT.format(number): draft(value) for number, value in enumerate(values, 1)}
    alone = {"Drafting.1/Programmer.1/ask.1": draft(BROKEN), ROWS: tester}
    played = recording(DRAFTED | alone | drafts)
    return await run(
        warehouse,
        played,
        config="default",
        task=TASK,
        candidates=len(values),
        effort="low",
        folder=folder,
        settings=("Drafting.agree=2",),
    )


def race(ran: Ran) -> RaceDecided:
    (decided,) = ran.events(RaceDecided)
    return decided


def drawn(ran: Ran) -> int:
    return sum(answer.place.startswith("Drafting.1") for answer in ran.events(ModelAnswered))


async def test_the_first_draft_that_another_agrees_with_wins_and_no_one_else_is_asked(tmp_path: Path) -> None:
    ran = await built(tmp_path, RIGHT, BROKEN, "n + n", RIGHT, RIGHT, RIGHT)
    assert ran.verdict.verdict == "passed"
    assert (race(ran).winner, race(ran).agreed) == (1, 2)
    assert drawn(ran) < 6


async def test_a_draft_that_passes_by_itself_is_delivered_as_unconfirmed(tmp_path: Path) -> None:
    ran = await built(tmp_path, WRONG, OTHER, BROKEN, RIGHT, tester=NONE)
    assert ran.verdict.verdict == "unconfirmed (the drafts disagree)"
    assert "2 from the task" in ran.verdict.why
    assert (race(ran).winner, race(ran).agreed) == (1, 1)
    assert (ran.folder / "REPORT.md").read_text().startswith("# Unconfirmed")
    assert (ran.folder / "main.py").exists()


async def test_what_two_drafts_agree_on_is_preferred_to_what_came_first(tmp_path: Path) -> None:
    ran = await built(tmp_path, WRONG, OTHER, RIGHT, "n + n")
    assert ran.verdict.verdict == "passed"
    assert race(ran).winner in (3, 4)


@pytest.mark.usefixtures("impatient")
async def test_a_draft_that_is_slow_for_larger_inputs_gives_way_to_one_that_is_not(tmp_path: Path) -> None:
    ran = await built(tmp_path, SLOW, SLOW, RIGHT, "n + n")
    assert ran.verdict.verdict == "passed"
    assert race(ran).winner in (3, 4)


@pytest.mark.usefixtures("impatient")
async def test_where_all_that_pass_are_slow_the_verdict_says_so(tmp_path: Path) -> None:
    ran = await built(tmp_path, SLOW, BROKEN, SLOW, BROKEN)
    assert ran.verdict.verdict == "unconfirmed (slow)"
    assert race(ran).agreed == 2


async def test_a_single_other_output_is_a_disagreement(tmp_path: Path) -> None:
    ran = await built(tmp_path, RIGHT, "2 * n if n < 1000 else 0", BROKEN, BROKEN)
    assert ran.verdict.verdict == "unconfirmed (the drafts disagree)"


async def test_what_the_tester_and_a_draft_agree_on_becomes_a_test_and_the_rest_is_shown(tmp_path: Path) -> None:
    ran = await built(tmp_path, RIGHT, "n + n", BROKEN, BROKEN)
    assert "All 3 tests pass (2 from the task, 1 from the tester), all of them only with the product" in ran.verdict.why
    kept = (ran.folder / rows.FILE).read_text()
    assert "# From the tester\n$ python3 main.py 5\n10\n" in kept
    assert "not judged\n$ python3 main.py 6\n13\n" in kept


async def test_drafts_that_meet_no_example_of_the_testers_are_not_believed(tmp_path: Path) -> None:
    ran = await built(tmp_path, RIGHT, "n + n", RIGHT, BROKEN, tester=examples((5, 11), (6, 13)))
    assert ran.verdict.verdict == "unconfirmed (the tester disagrees)"
    assert "most examples that the tester wrote expect another output" in ran.verdict.why


async def test_a_draft_that_meets_all_of_several_examples_needs_no_other(tmp_path: Path) -> None:
    ran = await built(tmp_path, WRONG, RIGHT, BROKEN, BROKEN, tester=examples((3, 6), (5, 10), (7, 14), (9, 18)))
    assert (ran.verdict.verdict, race(ran).winner, race(ran).agreed) == ("passed", 2, 1)


async def test_where_the_tester_shows_nothing_the_drafts_alone_decide(tmp_path: Path) -> None:
    ran = await built(tmp_path, RIGHT, "n + n", BROKEN, BROKEN, tester=NONE)
    assert ran.verdict.verdict == "passed"
    assert "2 from the task, 0 from the tester" in ran.verdict.why


async def test_programmers_do_not_see_the_testers_further_examples(tmp_path: Path) -> None:
    ran = await built(tmp_path, RIGHT, "n + n")
    texts = {message.id: message.content for message in ran.events(MessageStored)}
    answers = [answer for answer in ran.events(ModelAnswered) if "Drafting" in answer.place]
    prompts = [texts[message] for answer in answers for message in answer.messages]
    assert any("double a number" in prompt for prompt in prompts)
    assert not any("13" in prompt for prompt in prompts)


async def test_a_resume_after_the_race_starts_no_draft_again(tmp_path: Path) -> None:
    ran = await built(tmp_path, WRONG, RIGHT, BROKEN, "n + n")
    log = ran.folder / ".chatdev" / "events.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if b'"race.decided"' in line)
    log.write_bytes(b"".join(lines[: at + 1]))
    again = await built(tmp_path, WRONG, RIGHT, BROKEN, "n + n", folder=ran.folder)
    assert again.verdict == ran.verdict
    assert len(again.events(ProductProbed)) == len(ran.events(ProductProbed))
    assert drawn(again) == drawn(ran)
