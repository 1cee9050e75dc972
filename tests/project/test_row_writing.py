"""Whose rows a product is judged by: those of the task, and what the tester adds to them."""

from pathlib import Path

import pytest
from helpers.support import DRAFTED, ROWS, Ran, recording, run

from chatdev.journal.events import Diagnostic, MessageStored, ModelAnswered
from chatdev.product import rows
from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import Invocation
from chatdev.project.row_writing import in_order

SUMS = "Write a program that reads two numbers from standard input and prints their sum.\n"
ONE = f"{SUMS}\nInput: 3 4\nOutput: 7\n"
TWO = f"{ONE}\nInput: 1 1\nOutput: 2\n"
ADDER = '```python\n"""Adds."""\nprint(sum(map(int, input().split())))\n```'
ADDED = DRAFTED | {"Drafting.1/Programmer.1/ask.1": ADDER}
AGAIN = ROWS.replace("ask.1", "ask.2")


async def built(warehouse: Path, task: str, answers: dict[str, str]) -> Ran:
    return await run(warehouse, recording(ADDED | answers), config="default", task=task)


def kept(ran: Ran) -> list[Row]:
    return list(rows.parse((ran.folder / rows.FILE).read_text(), "python3 main.py").rows)


def told(ran: Ran) -> list[str]:
    return [note.text for note in ran.events(Diagnostic) if note.kind in ("tests", "asked again")]


def asked(ran: Ran) -> list[ModelAnswered]:
    return [answer for answer in ran.events(ModelAnswered) if answer.place.startswith("ExampleWriting")]


async def test_with_two_examples_in_the_task_the_testers_count_once_they_are_met(tmp_path: Path) -> None:
    ran = await built(tmp_path, TWO, {ROWS: "```\nInput: 5 5\nOutput: 10\n```"})
    assert len(asked(ran)) == 1
    assert told(ran) == ["ExampleWriting: 2 from the task itself"]
    tiers = [(row.title, row.tier) for row in kept(ran)]
    assert tiers == [("< 3 4", "trusted"), ("< 1 1", "trusted"), ("< 5 5", "doubtful")]
    assert ran.verdict.verdict == "passed"
    assert "2 from the task, 1 from the tester" in ran.verdict.why


async def test_one_example_of_the_task_comes_first_and_the_testers_copy_of_it_is_left_out(tmp_path: Path) -> None:
    answer = "$ echo '3 4' | python3 main.py\n8\n\n$ echo '-1 1' | python3 main.py\n0\n"
    ran = await built(tmp_path, ONE, {ROWS: answer})
    assert len(asked(ran)) == 1
    assert [(row.title, row.tier) for row in kept(ran)] == [("< 3 4", "trusted"), ("< -1 1", "doubtful")]
    assert ran.verdict.verdict == "passed"


async def test_an_example_of_the_task_is_enough_where_the_tester_says_nothing_of_use(tmp_path: Path) -> None:
    ran = await built(tmp_path, ONE, {ROWS: "The program adds two numbers."})
    assert len(asked(ran)) == 1
    assert [row.title for row in kept(ran)] == ["< 3 4"]
    assert ran.verdict.verdict == "passed"


async def test_a_tester_of_whom_nothing_can_be_read_is_asked_the_same_again_with_another_seed(tmp_path: Path) -> None:
    good = "$ echo 1 2 | python3 main.py\n3\n"
    for number, (answer, why) in enumerate(
        (
            ("It should print 3 for 1 and 2.", "no line begins with $"),
            ("$ cat numbers | python3 main.py\n3", "only echo and printf may be piped into the program"),
            ("$ python3 main.py\n", "the commands have no output below them"),
        )
    ):
        ran = await built(tmp_path / str(number), SUMS, {ROWS: answer, AGAIN: good})
        assert told(ran) == [f"ExampleWriting: no example could be read ({why})"]
        first, second = asked(ran)
        assert first.messages == second.messages
        assert [row.title for row in kept(ran)] == ["< 1 2"]
        assert ran.verdict.verdict == "passed"


async def test_without_any_row_the_product_is_not_judged(tmp_path: Path) -> None:
    ran = await built(tmp_path, SUMS, {ROWS.replace("ask.1", f"ask.{number}"): "No." for number in (1, 2, 3)})
    assert "ExampleWriting: no acceptance test was written; the product cannot be judged" in told(ran)
    assert len(asked(ran)) == 3
    assert not (ran.folder / rows.FILE).exists()
    assert ran.verdict.verdict == "not run (no tests)"


async def test_of_a_tester_rows_that_tell_something_are_taken_each_once_and_not_too_many(tmp_path: Path) -> None:
    lines = [f"$ echo {n} {n} | python3 main.py\n{2 * n}\n" for n in [*range(20), 3]]
    ran = await built(tmp_path, SUMS, {ROWS: "\n".join(["$ python3 main.py\n[exit 0]\n", *lines])})
    assert [row.title for row in kept(ran)] == [f"< {n} {n}" for n in range(5)]
    assert ran.verdict.verdict == "passed"


PAGE_TESTS = """tests/acceptance.test.js
```js
const test = require("node:test");
const assert = require("node:assert");
const fs = require("node:fs");

test("the page greets", () => assert.match(fs.readFileSync("index.html", "utf8"), /hello/));
```
"""


async def test_a_page_which_no_command_line_starts_has_tests_that_are_programs(tmp_path: Path) -> None:
    page = "```html\n<!doctype html>\n<title>Greeting</title>\n<p>hello</p>\n```"
    given = {ROWS: PAGE_TESTS, "Drafting.1/Programmer.1/ask.1": page}
    ran = await built(tmp_path, "create a website that greets", given)
    assert (ran.folder / "tests" / "acceptance.test.js").exists()
    assert not (ran.folder / rows.FILE).exists()
    said_to = {message.id: message.content for message in ran.events(MessageStored)}
    assert "Write the acceptance tests for the task" in said_to[asked(ran)[0].messages[-1]]
    assert ran.verdict.verdict in ("passed", "not run (no node here)")


def steps(*lines: str) -> list[RowStep]:
    parts = [line.partition(" = ") for line in lines]
    return [RowStep(Invocation(tuple(given.split())), printed) for given, _, printed in parts]


def titles(made: list[Row]) -> list[str]:
    return [row.title for row in made]


def test_commands_that_know_nothing_of_each_other_are_rows_of_their_own() -> None:
    assert titles(in_order(steps("1 2 = 3", "4 5 = 9", "x = Error"))) == ["1 2", "4 5", "x"]


def test_where_one_tells_of_what_another_was_given_each_row_begins_with_all_before_it() -> None:
    made = in_order(steps("add milk = Added.", "list = 1. milk", "remove 9 = Error"))
    assert titles(made) == ["add milk", "add milk; list", "add milk; list; remove 9"]
    assert [[step.expected for step in row.steps] for row in made] == [["Added."], ["", "1. milk"], ["", "", "Error"]]


def test_a_command_that_stands_there_twice_counts_as_and_where_it_was_written_first() -> None:
    made = in_order(steps("list = Nothing", "add milk = Added.", "list = 1. milk"))
    assert [(row.title, row.steps[-1].expected) for row in made] == [("list", "Nothing"), ("add milk", "Added.")]


def test_a_command_of_which_nothing_is_reported_only_prepares_the_next() -> None:
    assert titles(in_order(steps("add milk", "list = milk"))) == ["add milk; list"]


def test_a_traceback_is_no_output() -> None:
    assert in_order(steps("b = Traceback (most recent call last): …")) == []


@pytest.mark.parametrize("written", ["a = OUTPUT", "a = a", "a b = a  b", "10 cm = 10.0 cm", '"Hello!" = Hello!'])
def test_what_repeats_our_question_or_the_input_is_no_output(written: str) -> None:
    (row,) = in_order(steps(written))
    assert row.tier == "open"
    assert row.steps[-1].silent
