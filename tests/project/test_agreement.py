"""Where a few examples of the task are the only tests, two drafts must agree on other inputs before one is believed."""

from pathlib import Path

from support import DRAFT, DRAFTED, Ran, recording, run

from chatdev.journal.events import ModelAnswered, ProductProbed, RaceDecided

TASK = "double a number\n\n$ python3 main.py 1\n2\n\n$ python3 main.py 2\n4\n"
RIGHT = "2 * n"
WRONG = "n * n - n + 2"
OTHER = "n + n if n < 3 else 7"
BROKEN = "n"


def draft(value: str) -> str:
    program = f"import sys\n\nn = int(sys.argv[1]) if sys.argv[1:] else 1\nprint({value})"
    return f'```python\n"""Doubles a number."""\n{program}\n```'


async def built(warehouse: Path, *values: str, folder: Path | None = None) -> Ran:
    drafts = {DRAFT.format(number): draft(value) for number, value in enumerate(values, 1)}
    alone = {"Drafting.1/Programmer.1/ask.1": draft(BROKEN)}
    played = recording(DRAFTED | alone | drafts)
    return await run(
        warehouse, played, config="default", task=TASK, candidates=len(values), effort="low", folder=folder
    )


def race(ran: Ran) -> RaceDecided:
    (decided,) = ran.events(RaceDecided)
    return decided


def drawn(ran: Ran) -> int:
    return sum(answer.place.startswith("Drafting.1") for answer in ran.events(ModelAnswered))


async def test_the_first_draft_that_another_agrees_with_wins_and_nobody_else_is_asked(tmp_path: Path) -> None:
    ran = await built(tmp_path, RIGHT, BROKEN, "n + n", RIGHT, RIGHT, RIGHT)
    assert ran.verdict.verdict == "passed"
    assert (race(ran).winner, race(ran).agreed) == (1, 2)
    assert drawn(ran) < 6


async def test_a_draft_that_passes_by_itself_is_delivered_as_unconfirmed(tmp_path: Path) -> None:
    ran = await built(tmp_path, WRONG, OTHER, BROKEN, RIGHT)
    assert ran.verdict.verdict == "unconfirmed (the drafts disagree)"
    assert "2 from the task" in ran.verdict.why
    assert (race(ran).winner, race(ran).agreed) == (1, 1)
    assert (ran.folder / "REPORT.md").read_text().startswith("# Unconfirmed")
    assert (ran.folder / "main.py").exists()


async def test_what_two_drafts_agree_on_is_preferred_to_what_came_first(tmp_path: Path) -> None:
    ran = await built(tmp_path, WRONG, OTHER, RIGHT, "n + n")
    assert ran.verdict.verdict == "passed"
    assert race(ran).winner in (3, 4)


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
