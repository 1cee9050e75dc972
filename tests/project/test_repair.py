"""A draft that ends with an error is repaired once, with that one error; one that prints something else is not."""

from pathlib import Path

import pytest
from helpers.support import DRAFT, DRAFTED, REPAIR, ROWS, Ran, recording, run

from chatdev import runs
from chatdev.company import config
from chatdev.errors import ChatDevError
from chatdev.journal.events import MessageStored, ModelAnswered, RaceDecided, TestResult, TestsRan
from chatdev.product import acceptance, rows
from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import Invocation

TASK = """Double each number that is given.

$ python3 main.py 2
4
"""


def doing(what: str) -> str:
    return f"```python\nimport sys\n\nfor word in sys.argv[1:]:\n    number = int(word)\n    {what}\n```"


DOUBLES, TRIPLES = doing("print(2 * number)"), doing("print(3 * number)")
BREAKS, BREAKS_LATER = doing("print(2 * numbr)"), doing("print(2 * number // (number != 5))")


async def built(
    warehouse: Path, *drafts: str, repaired: tuple[str, ...] = (), task: str = TASK, settings: tuple[str, ...] = ()
) -> Ran:
    """A run whose candidates write these drafts, and these programs after theirs broke."""
    answers = {DRAFT.format(number): text for number, text in enumerate(drafts, 1)}
    answers |= {REPAIR.format(number): text for number, text in enumerate(repaired, 1) if text}
    played = recording(DRAFTED | {ROWS: "$ python3 main.py 5\n10\n\n$ python3 main.py 3\n6"} | answers)
    return await run(
        warehouse,
        played,
        config="default",
        task=task,
        candidates=len(drafts),
        effort="low",
        settings=("Drafting.agree=1", *settings),
    )


def drafting(ran: Ran) -> list[str]:
    """Where the programmers were asked."""
    return [each.place for each in ran.events(ModelAnswered) if each.place.startswith("Drafting")]


async def test_a_draft_that_breaks_is_repaired_with_its_error_alone(tmp_path: Path) -> None:
    ran = await built(tmp_path, BREAKS, TRIPLES, TRIPLES, repaired=(DOUBLES,))
    assert ran.verdict.verdict == "passed"
    assert drafting(ran) == [DRAFT.format(1), REPAIR.format(1)]
    texts = {each.id: each.content for each in ran.events(MessageStored)}
    drafted, answer = (each for each in ran.events(ModelAnswered) if each.place.startswith("Drafting"))
    _, question, shown, request = (texts[each] for each in answer.messages)
    assert texts[drafted.messages[1]] == question
    assert shown == BREAKS
    assert "$ python3 main.py 2\n4" in request and "NameError: name 'numbr' is not defined" in request
    assert "main.py 5" not in request


async def test_a_draft_that_prints_something_else_is_not_repaired(tmp_path: Path) -> None:
    ran = await built(tmp_path, TRIPLES, DOUBLES, TRIPLES)
    assert ran.verdict.verdict == "passed"
    assert not {REPAIR.format(number) for number in (1, 2, 3)}.intersection(drafting(ran))


@pytest.mark.parametrize(
    "answer", [TRIPLES, "I cannot do that.", BREAKS_LATER], ids=["worse", "no program", "the same"]
)
async def test_a_repair_is_kept_only_if_more_speaks_for_it(tmp_path: Path, answer: str) -> None:
    task = TASK.replace("main.py 2", "main.py 5").replace("4", "10") + "\n$ python3 main.py 2\n4\n"
    ran = await built(tmp_path, BREAKS_LATER, TRIPLES, TRIPLES, repaired=(answer,), task=task)
    assert drafting(ran)[:2] == [DRAFT.format(1), REPAIR.format(1)]
    assert "// (number != 5)" in (ran.folder / "main.py").read_text()


async def test_a_product_that_fails_has_a_manual_of_what_passes_and_no_model_is_asked(tmp_path: Path) -> None:
    task = f"{TASK}\n$ python3 main.py 5\n10\n"
    ran = await built(tmp_path, BREAKS_LATER, TRIPLES, TRIPLES, repaired=(BREAKS_LATER,), task=task)
    assert ran.verdict.verdict == "failed (1 of 2)"
    assert not [each for each in ran.events(ModelAnswered) if each.place.startswith("Manual")]
    manual = (ran.folder / "manual.md").read_text()
    assert "$ python3 main.py 2\n4\n" in manual.partition("It was tried like this:")[2]
    assert "main.py 5" not in manual.partition("It was tried like this:")[2]
    assert (
        "manual.md was made from the task and the passing tests: the product is not passing"
        in (ran.folder / "REPORT.md").read_text()
    )


async def test_only_the_first_draft_is_repaired(tmp_path: Path) -> None:
    ran = await built(tmp_path, TRIPLES, BREAKS, DOUBLES)
    assert ran.verdict.verdict == "passed"
    assert not {REPAIR.format(number) for number in (1, 2, 3)}.intersection(drafting(ran))


async def test_a_draft_that_breaks_on_the_tester_s_examples_alone_is_not_repaired(tmp_path: Path) -> None:
    ran = await built(tmp_path, BREAKS, DOUBLES, TRIPLES, task="Double each number that is given.")
    assert ran.verdict.verdict == "passed"
    assert REPAIR.format(1) not in drafting(ran)


async def test_without_repairs_no_one_is_asked_again(tmp_path: Path) -> None:
    ran = await built(tmp_path, BREAKS, DOUBLES, TRIPLES, settings=("Drafting.repairs=0",))
    assert ran.verdict.verdict == "passed"
    assert not {REPAIR.format(number) for number in (1, 2, 3)}.intersection(drafting(ran))


async def test_a_resume_after_a_repair_asks_nothing_again(tmp_path: Path) -> None:
    ran = await built(tmp_path, BREAKS, TRIPLES, TRIPLES, repaired=(DOUBLES,))
    log = runs.log_of(ran.folder)
    at = next(number for number, record in enumerate(ran.records) if isinstance(record.event, RaceDecided))
    lines = log.read_bytes().splitlines(keepends=True)
    for cut in range(at + 1, len(lines)):
        log.write_bytes(b"".join(lines[:cut]))
        again = await run(tmp_path, recording(dict(list(DRAFTED.items())[-1:])), folder=ran.folder)
        assert again.verdict == ran.verdict


def row(*args: str, tier: rows.Tier = "doubtful") -> Row:
    return Row((RowStep(Invocation(args), "yes"),), tier)


def breakage(*broke: bool, outcome: str = "failed") -> str:
    """What is said of a product that broke on the first row, the tester's, and on the second, the task's."""
    found = (row("a"), row("b", tier="trusted"))
    files = {rows.FILE: rows.render(found, "python3 main.py").encode()}
    names = acceptance.names(acceptance.rows_of(files, "python3 main.py"))
    tiers = [each.tier for each in acceptance.rows_of(files, "python3 main.py")]
    results = tuple(
        TestResult(name, outcome, "IndexError", tier=tier, broke=broke[tier == "trusted"])  # type: ignore[arg-type]
        for name, tier in zip(names, tiers, strict=True)
    )
    return acceptance.breakage(files, "python3 main.py", TestsRan("", "", results))


def test_what_broke_on_a_row_of_the_task_is_shown_and_not_on_one_of_the_tester_s() -> None:
    assert breakage(True, True) == "$ python3 main.py b\nyes\n\nIndexError"
    assert breakage(True, False) == ""
    assert breakage(False, False) == ""


def test_of_a_product_that_cannot_be_built_the_builder_s_words_are_shown() -> None:
    assert breakage(True, True, outcome="error") == "IndexError"


def test_a_company_that_repairs_has_a_request_for_it(tmp_path: Path) -> None:
    sources = dict(config.read(config.find("default")))
    before, _, after = sources["company.toml"].partition('broken = """')
    sources["company.toml"] = before + after.partition('"""')[2]
    with pytest.raises(ChatDevError, match=r"phases/Drafting.md: repairs: company.toml has no requests.broken"):
        config.from_sources(sources, "mine")
