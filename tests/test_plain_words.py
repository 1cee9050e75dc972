"""What a user or a newcomer reads is plain English: a list of words and turns that are not, kept out of all of it."""

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/*.md"),
        ROOT / "benchmarks" / "README.md",
        ROOT / "chatdev.toml.example",
    ]
)
MODULES = sorted([*ROOT.glob("chatdev/**/*.py"), *ROOT.glob("camel/*.py"), ROOT / "run.py"])
REFUSED = re.compile(
    r"\b(?:nobody|somebody|whoever|told|anew|bears?|bore|borne|mend(?:s|ed|ing)?|walls?(?! time)|eyes?|house"
    r"|rooms?|floors?"
    r"|(?:is|are|was|were|be|been|being) asked|what there (?:is|was)|for (?:want|lack) of|so (?:many|few|much)"
    r"|(?:takes?|taken|taking|took) up|carr(?:y|ies|ied|ying)|(?:gives?|given) up for dead)\b|, which\b",
    re.IGNORECASE,
)

IN_PROMPTS_AND_LOGS = (
    "with a sharp eye",
    "and told of",
    "What was asked for:",
    ", which nobody wrote",
    ", which is not there",
    ", which no test file is",
    ", which the test does not expect",
    "somebody's home",
    ", which ends a quotation",
    ", which not every system can store",
    ", which exists",
    ", which is not installed",
    "KV cache is needed, which is larger",  # vLLM's own message
)
"""Texts that a model reads, a log compares, or another program prints: they stay as they were measured."""


def refused(text: str) -> list[str]:
    """Each refused turn, with the words around it."""
    text = " ".join(text.split())
    return [text[max(0, hit.start() - 30) : hit.end() + 30] for hit in REFUSED.finditer(text)]


def strings(path: Path) -> Iterator[tuple[int, str]]:
    """String literals of more than one word, docstrings among them, and comments, by their lines; without the texts
    that stay as they are."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            text = " ".join(node.value.split())
            for kept in IN_PROMPTS_AND_LOGS:
                text = text.replace(kept, "")
            yield node.lineno, text
    with path.open("rb") as file:
        for token in tokenize.tokenize(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_documents_are_in_plain_words(path: Path) -> None:
    assert refused(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_texts_of_the_program_are_in_plain_words(path: Path) -> None:
    assert [(line, hits) for line, text in strings(path) if (hits := refused(text))] == []


def test_the_list_finds_what_it_is_for() -> None:
    assert len(refused("Nobody was told of what there is, which a house\nbears for want of rooms.")) == 8
    assert refused("It holds the WareHouse, bearing in mind a mendable thing; which one? The answer is known.") == []
