"""What a product printed is compared with what a row expects: strictly for the task's rows, by its words else."""

import pytest

from chatdev.product.compare import fault, holds, matches, same, unmoved
from chatdev.product.rows import Row, RowStep, Tier
from chatdev.product.sessions import NOT_STARTED, Ended, Invocation


def out(text: str = "", errors: str = "", status: int = 0) -> Ended:
    return Ended(status, text, errors)


def row(expected: str = "", status: int | None = None, tier: Tier = "doubtful") -> Row:
    return Row((RowStep(Invocation(), expected, status),), tier)


@pytest.mark.parametrize(
    ("expected", "found", "equal"),
    [
        (1, 1.0, True),
        (0.3, 0.1 + 0.2, True),
        (1, 1.001, False),
        (1e300, 1e300 * (1 + 1e-12), True),
        (0, 1e-12, False),
        (10**400, 10**400, True),
        (True, 1, False),
        (0, False, False),
        (True, True, True),
        (None, None, True),
        (None, False, False),
        ("1", 1, False),
        ("a", "a ", False),
        ([1, [2.0]], [1.0, [2]], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 1], False),
        ({"a": 1, "b": [True]}, {"b": [True], "a": 1.0}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"error": "no such name"}, {"error": "unknown name", "code": 4}, True),
        ({"error": "no such name"}, {"result": 1}, False),
        ({"error": "x"}, "error", False),
        ({"error": "x", "line": 3}, {"error": "y", "line": 3}, False),
        ({}, [], False),
    ],
)
def test_json_values_are_compared_as_values(expected: object, found: object, equal: bool) -> None:
    assert same(expected, found) is equal


@pytest.mark.parametrize(
    ("expected", "printed", "equal"),
    [
        ("5", "5\n", True),
        ("5", "5.0\n", True),  # both are numbers in JSON
        ('{"a": 1, "b": 2}', '{"b":2,"a":1}\n', True),
        ("a\nb", "a  \nb\r\n", True),
        ("a\n\nb", "a\n\nb\n", True),
        ("a\nb", "a\n\nb\n", False),
        ("  a", "a", False),
        ("a", "A", False),
        ("a", "the a\n", False),
        ("a", "a\nb\n", False),
        ("NaN", "NaN\n", True),  # not the same value, but the same text
    ],
)
def test_a_row_of_the_task_must_be_met_to_the_letter(expected: str, printed: str, equal: bool) -> None:
    assert matches(expected, out(printed), exact=True) is equal


def test_what_a_row_of_the_task_expects_may_come_on_standard_error() -> None:
    assert matches("Error: no", out("", "Error: no\n"), exact=True)
    assert matches("a\nError: no", out("a\n", "Error: no\n"), exact=True)
    assert not matches("Error: no", out("a\n", "Error: no\n  at line 3\n"), exact=True)


@pytest.mark.parametrize(
    ("expected", "printed", "held"),
    [
        ("14", "Result: 14", True),
        ("14", "Result: 140", False),
        ("14", "1 4", False),
        ("3.50", "It costs 3.5.", True),
        ("3", "3.0", True),
        ("-5", "= -5", True),
        ("-5", "5", False),
        ("Hello, World!", "hello world", True),
        ("1. buy milk", "Your list:\n  1. [ ] Buy milk", False),  # other words stand between
        ("1. Buy milk", "Your list:\n  1. Buy milk\nbye", True),
        ("a\nb", "a x b", True),
        ("a\nb", "b\na", False),
        ("a\na", "a", False),
        ("  \nb", "b", True),
        ("+", "+", True),
        ("+", "-", False),
        ("...", "", False),
        ("日本", "日本", True),
    ],
)
def test_the_words_of_a_testers_lines_must_stand_in_the_output_in_order(
    expected: str, printed: str, held: bool
) -> None:
    assert holds(expected, printed) is held
    assert matches(expected, out(printed), exact=False) is held


def test_a_testers_words_may_come_on_standard_error_too() -> None:
    assert matches("unknown command", out("", "Error: unknown command.\n"), exact=False)


def test_the_status_counts_where_a_row_names_one() -> None:
    assert fault(row(status=2), (out("", "boom\nlast word\n", status=1),)) == (
        'exit status 1 instead of 2; printed "", and on standard error: last word'
    )
    assert fault(row("x", status=0), (out("x", status=0),)) == ""
    assert fault(row("x"), (out("x", status=3),)) == ""
    assert fault(row(status=0), (Ended(-11),)).startswith("exit status -11 instead of 0")


def test_what_a_limit_ended_holds_nothing() -> None:
    assert fault(row("x"), (Ended(None, "x\n", stopped="time"),)) == 'it did not end in time; printed "x"'
    assert fault(row("x"), (Ended(None, stopped="memory"),)) == 'stopped by the memory limit; printed ""'
    assert "not started" in fault(row(status=0), (NOT_STARTED,))


def test_the_first_step_that_goes_wrong_is_named() -> None:
    steps = tuple(RowStep(Invocation(), word) for word in ("a", "b", "c"))
    assert fault(Row(steps), (out("a"), out("x"), out("y"))) == 'step 2: expected "b", printed "x"'
    assert fault(Row(steps), (out("a"), out("b"), out("c"))) == ""


def test_a_long_output_is_reported_in_part() -> None:
    message = fault(row("a", tier="trusted"), (out("b" * 10_000),))
    assert len(message) < 500 and message.endswith('…"')


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5_000, "\ud800", "\0", "{", "nan"])
def test_no_output_makes_the_comparison_fail(text: str) -> None:
    for exact in (True, False):
        assert matches(text, out(text), exact=exact)
        assert not matches("other words", out(text), exact=exact)


@pytest.mark.parametrize(
    ("outputs", "holds"),
    [
        (("3\n5\n", "3\n5\n"), False),
        (("3\n", "5\n"), True),
        (("3\n5\n", "5\n3\n"), True),
        (("3\n", "3\n"), True),  # one of them holds to the letter: the other fails by itself
    ],
)
def test_a_program_that_prints_the_same_whatever_it_is_given_meets_no_row_of_a_model(
    outputs: tuple[str, str], holds: bool
) -> None:
    found = [Row((RowStep(Invocation((given,)), given),)) for given in ("3", "5")]
    ended = [(Ended(0, output),) for output in outputs]
    assert (unmoved(found, ended) == "") is holds
    trusted = [Row(row.steps, "trusted") for row in found]
    assert unmoved(trusted, ended) == ""
