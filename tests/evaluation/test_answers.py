"""What counts as the expected answer."""

from typing import Any

import pytest

from chatdev.evaluation import answers


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("3", 3),
        (" 3.0\n", 3),
        ("3", 3.0),
        ("0.30000000000000004", 0.3),
        ("1e3", 1000),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('{"b": [1, "x"], "a": null}', {"a": None, "b": [1.0, "x"]}),
        ('{"error": "anything", "more": 1}', {"error": "some words"}),
        ('{"error": ""}', {"error": None}),
        ("true", True),
        ('"\\u00e9"', "é"),
    ],
)
def test_what_holds(output: str, expected: Any) -> None:
    assert answers.holds(output, expected)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("", 3),
        ("3 3", 3),
        ("Answer: 3", 3),
        ('"3"', 3),
        ("true", 1),
        ("1", True),
        ("0", False),
        ("null", False),
        ("0.3000001", 0.3),
        ("123456789012345678901234567891", 123456789012345678901234567890),
        ("1.5", 10**400),
        ("[1, 2]", [2, 1]),
        ("[1]", [1, 2]),
        ("[]", {}),
        ('{"a": 1, "b": 2}', {"a": 1}),
        ('{"answer": 3}', {"error": "x"}),
        ('"error"', {"error": "x"}),
        ("NaN", 1.0),
        ("[" * 100_000, []),
    ],
)
def test_what_does_not_hold(output: str, expected: Any) -> None:
    assert not answers.holds(output, expected)


def test_a_request_is_one_line_of_json() -> None:
    assert answers.request("greet", {"who": "Zoë\n"}) == '{"property": "greet", "input": {"who": "Zoë\\n"}}\n'
