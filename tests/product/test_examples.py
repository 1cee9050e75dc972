"""The examples of a task are read where they are plain, and nothing else is."""

import pytest

from chatdev.product import examples
from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import Invocation

COMMAND = "python3 main.py"


def read(task: str, *, calls: bool = False) -> tuple[Row, ...]:
    return examples.of_task(task, COMMAND, calls=calls)


def trusted(call: Invocation, expected: str, status: int | None = None) -> Row:
    return Row((RowStep(call, expected, status),), "trusted")


def fed(stdin: str, expected: str) -> Row:
    return trusted(Invocation(stdin=stdin), expected)


def called(code: str, value: str) -> Row:
    name = code.partition("(")[0]
    return trusted(Invocation(("-c", f"from main import {name}; print(repr({code}))")), value)


TWO = (fed("3 4\n", "7"), fed("1 1\n", "2"))


@pytest.mark.parametrize(
    "pairs",
    [
        "Input: 3 4\nOutput: 7\n\nInput: 1 1\nOutput: 2",
        "Input:\n3 4\nOutput:\n7\n\nInput:\n1 1\nOutput:\n2",
        "**Input:** 3 4\n**Output:** 7\n\n**Input:** 1 1\n**Output:** 2",
        "- input: `3 4`\n- output: `7`\n- input: `1 1`\n- output: `2`",
        "Sample Input 1:\n```\n3 4\n```\nSample Output 1:\n```\n7\n```\n"
        "Sample Input 2:\n```\n1 1\n```\nSample Output 2:\n```\n2\n```",
        "Example input: 3 4\nExpected output: 7\n\nExample input: 1 1\nExpected output: 2",
        "Input:\n\n~~~\n3 4\n~~~\n\nExpected:\n\n~~~\n7\n~~~\n\nInput:\n\n~~~\n1 1\n~~~\n\nExpected:\n\n~~~\n2\n~~~",
    ],
)
def test_pairs_under_labels_are_rows_in_several_styles(pairs: str) -> None:
    assert read(f"Write a program that reads two numbers and prints their sum.\n\n{pairs}\n") == TWO


def test_requests_and_answers_are_rows_whatever_the_task_says_else() -> None:
    task = 'Serve requests.\nrequest: {"op": "add", "a": 1}\nanswer: {"sum": 1}\n'
    assert read(task) == (fed('{"op": "add", "a": 1}\n', '{"sum": 1}'),)


def test_blocks_of_many_lines_are_kept_as_they_are() -> None:
    task = "It reads lines from standard input.\nInput:\n```\na\n\n  b\n```\nOutput:\n```\n1 a\n\n2   b\n```\n"
    assert read(task) == (fed("a\n\n  b\n", "1 a\n\n2   b"),)


def test_pairs_of_a_program_with_arguments_are_started_with_them() -> None:
    task = 'The text is given as a command line argument.\nInput: "a b" -v\nOutput: A B\n'
    assert read(task) == (trusted(Invocation(("a b", "-v")), "A B"),)


def test_of_two_families_of_labels_that_used_most_often_counts() -> None:
    task = (
        "It reads commands from standard input.\nInput: what a user types\nOutput: what the program prints\n"
        "request: a\nanswer: 1\nrequest: b\nanswer: 2\n"
    )
    assert read(task) == (fed("a\n", "1"), fed("b\n", "2"))


def test_a_session_in_a_shell_is_rows_of_the_product_whatever_it_is_called_there() -> None:
    session = "$ todo add milk\nAdded.\n$ todo list\n1. milk\n\n$ todo\nUsage: todo\n[exit 2]\n"
    task = f"A list of things to do.\n\n```\n{session}```\n"
    assert read(task) == (
        Row((RowStep(Invocation(("add", "milk")), "Added."), RowStep(Invocation(("list",)), "1. milk")), "trusted"),
        trusted(Invocation(), "Usage: todo", 2),
    )


@pytest.mark.parametrize(
    "line",
    ["python3 main.py", "python calc.py", "./calc", "node calc.js"],
)
def test_a_session_may_start_the_program_in_any_usual_way(line: str) -> None:
    assert read(f"Make it.\n$ {line} 1 2\n3\n$ echo 4 | {line}\n4\n") == (
        Row((RowStep(Invocation(("1", "2")), "3"), RowStep(Invocation(stdin="4\n"), "4")), "trusted"),
    )


def test_doctests_and_calls_are_rows_of_a_function() -> None:
    task = (
        "Write a function `double(x)`.\n\n>>> double(2)\n4\n>>> double('ab')\n'abab'\n\n"
        "`double(3)` returns `6`.\n- double((1, 2)) -> (1, 2, 1, 2)\ndouble(-1) == -2\n"
    )
    assert read(task, calls=True) == (
        called("double(2)", "4"),
        called("double('ab')", "'abab'"),
        called("double(3)", "6"),
        called("double((1, 2))", "(1, 2, 1, 2)"),
        called("double(-1)", "-2"),
    )
    assert read(task) == ()


@pytest.mark.parametrize(
    "task",
    ['print "hello world"', "Write a program that prints 'hello world'.", "It should output the text “hello world”."],
)
def test_a_text_in_quotes_to_be_printed_is_a_row(task: str) -> None:
    assert read(task) == (trusted(Invocation(), "hello world"),)


@pytest.mark.parametrize(
    "task",
    [
        "create a calculator",
        "create a hello world program",
        "create a todo app",
        "print hello world",
        "Develop a basic Snake game in which the snake grows when it eats.",
        "A tool that reads a file and prints its longest line.",
        'It asks for a name, reads it, and prints "Hello, NAME!"',
        'It prints "yes" or prints "no", depending on the weather.',
        "Input: a text file\nOutput: its words by frequency",  # nothing says how the input comes
        "It takes two arguments.\nOutput: their sum",
        "It reads numbers.\nInput: 3 4\n\nIt is quick.",
        "A program with a function f(x) that returns a number.",
        "Call main() to start; f(x) is fine.",
        "The price is $ 5 today.\n$ 10 tomorrow.",
        ">>> f(1)\n>>> f(2)\n",
        "Answer: we want an app.",
        "",
    ],
)
def test_no_examples_are_read_out_of_prose(task: str) -> None:
    assert read(task, calls=True) == ()


def test_an_example_that_any_program_meets_is_none() -> None:
    assert read("It reads text from standard input.\nInput: x\nOutput:\n") == ()


def test_each_example_is_taken_once_and_not_more_than_a_bound() -> None:
    pairs = "".join(f"Input: {number % 100}\nOutput: {number % 100}\n\n" for number in range(200))
    assert len(read(f"It reads a number.\n{pairs}")) == examples.MOST
    assert len(read("It reads a number.\n" + 3 * "Input: 1\nOutput: 1\n\n")) == 1


ASKED = 'Serve requests.\nrequest: {"op": "add", "a": 1}\nanswer: {"sum": 1}\n'
ADDED = fed('{"op": "add", "a": 2}\n', '{"sum": 2}')


@pytest.mark.parametrize(
    "answer",
    [
        'request: {"op": "add", "a": 2}\nanswer: {"sum": 2}',
        '**Request:** {"op": "add", "a": 2}\n**Answer:** {"sum": 2}',
        '{"request": {"op": "add", "a": 2}, "answer": {"sum": 2}}',
        'One:\n{\n  "Request": {"op": "add", "a": 2},\n  "Answer": {"sum": 2}\n},\n{"Request": {"op": "ad',
        '[{"op": "add", "a": 2, "answer": {"sum": 2}}]',
        'request: {"op": "add", "a": 1}\nanswer: {"sum": 5}\nrequest: {"op": "add", "a": 2}\nanswer: {"sum": 2}',
    ],
)
def test_what_a_tester_adds_is_read_in_the_form_of_the_tasks_examples(answer: str) -> None:
    (row,) = examples.like(answer, ASKED, read(ASKED))
    assert row.steps == ADDED.steps
    assert row.tier == "doubtful"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot think of any.",
        'request: {"sum": 2}\nanswer: {"sum": 2}',
        '{"request": {"op": "add", "a": 2}}',
        '{"request": {"op": "add", "a": 2}, "answer": {"sum": 2}, "output": 3}',
        "request: 5\nanswer: 5",
        "{" * 5000,
    ],
)
def test_what_has_another_form_than_the_tasks_examples_is_not_taken(answer: str) -> None:
    assert examples.like(answer, ASKED, read(ASKED)) == ()
