"""The fields by which servers are asked for one of several texts, and whether they kept to it."""

import re

import pytest

from chatdev.models import constraints

CHOICES = ("Go", 'C "99"', "a.b")


@pytest.mark.parametrize("kind", constraints.KINDS)
def test_every_kind_names_every_choice(kind: str) -> None:
    fields = constraints.fields(kind, CHOICES)
    assert len(fields) == 1
    text = str(fields).replace("\\", "")
    assert all(choice in text for choice in CHOICES)


def test_a_pattern_takes_the_choices_and_nothing_like_them() -> None:
    pattern = constraints.fields("regex", CHOICES)["regex"]
    assert all(re.fullmatch(pattern, choice) for choice in CHOICES)
    assert not re.fullmatch(pattern, "aXb")


def test_a_grammar_quotes_what_its_texts_hold() -> None:
    assert constraints.fields("grammar", CHOICES) == {"grammar": 'root ::= "Go" | "C \\"99\\"" | "a.b"'}


def test_without_a_kind_nothing_is_asked() -> None:
    assert constraints.fields(constraints.NONE, CHOICES) == {}


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Go", True),
        (" Go\n", True),
        ('{"choice": "Go"}', True),
        ('{"choice": "Rust"}', False),
        ('["Go"]', False),
        ("Go!", False),
        ('{"choice": "Go', False),
        ("", False),
        ("\ud800", False),
    ],
)
def test_an_answer_keeps_to_the_choices_or_does_not(text: str, kept: bool) -> None:
    assert constraints.kept(text, CHOICES) is kept


@pytest.mark.parametrize(("engine", "kind"), [("vllm", "structured_outputs"), ("llamacpp", "response_format")])
def test_where_no_one_tried_the_engines_own_kind_is_taken(engine: str, kind: str) -> None:
    assert constraints.usual(engine) == kind
