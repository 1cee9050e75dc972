"""What a task says of itself settles a choice without a model."""

from pathlib import Path

import pytest
from helpers.support import ANSWERS, DRAFTED, recording, run

from chatdev.company import config
from chatdev.company.config import CompanyError, from_sources, read
from chatdev.journal.events import ModelAnswered, PhaseEnded

DEFAULT = config.load(config.find("default"))


@pytest.mark.parametrize(
    ("task", "languages"),
    [
        ("create a calculator", []),
        ("Write it in PYTHON.", ["Python"]),
        ("a tool, main.py, that counts", ["Python"]),
        ("a  node.js\nservice", ["JavaScript"]),
        ("javascript, please", ["JavaScript"]),  # no Java
        ("a Java program", ["Java"]),
        ("a C++ library", ["C++"]),
        ("write it in C", ["C"]),
        ("in C++", ["C++"]),
        ("in C# or F#", []),
        ("let it go and rest", []),
        ("a program in Go", ["Go"]),
        ("websites of pythons", ["Python", "HTML"]),
        ("from Python to Rust", ["Python", "Rust"]),
        ("pythonic, rusty, gonode", []),
    ],
)
def test_a_language_is_named_by_whole_words_in_any_letter_case(task: str, languages: list[str]) -> None:
    assert DEFAULT.phases["LanguageChoose"].named_in(task) == languages


async def settled(warehouse: Path, task: str) -> tuple[dict[str, str], list[str]]:
    """What the two choices of the default company came to, and the places of what was asked for them."""
    ran = await run(warehouse, recording(DRAFTED), config="default", task=task)
    choices = {ended.phase: ended.conclusion for ended in ran.events(PhaseEnded)}
    places = [answer.place for answer in ran.events(ModelAnswered)]
    return choices, [place for place in places if place.startswith(("DemandAnalysis", "LanguageChoose"))]


@pytest.mark.parametrize(
    ("task", "modality"),
    [
        ("greet", "application"),
        ("greet on the command line", "command line"),
        ("a game for the terminal", "application"),
    ],
)
async def test_where_the_words_do_not_settle_it_the_default_is_taken_and_no_one_asked(
    tmp_path: Path, task: str, modality: str
) -> None:
    choices, places = await settled(tmp_path, task)
    assert (choices["DemandAnalysis"], choices["LanguageChoose"]) == (modality, "Python")
    assert places == []


def company(folder: Path, head: str) -> str:
    """The full company, whose choice of a language has more in its head."""
    sources = dict(read(config.find("full")))
    phase = "phases/LanguageChoose.md"
    sources[phase] = sources[phase].replace('kind = "choice"', f'kind = "choice"\n{head}', 1)
    config.write(sources, folder / "company")
    return str(folder / "company")


@pytest.mark.parametrize(("task", "is_asked"), [("greet in Python", False), ("greet", True), ("Python or Java", True)])
async def test_a_company_may_ask_only_where_the_task_does_not_say(tmp_path: Path, task: str, is_asked: bool) -> None:
    words = 'words = { Python = ["python"], Java = ["java"] }'
    ran = await run(tmp_path, recording(ANSWERS), config=company(tmp_path, words), task=task)
    places = [answer.place for answer in ran.events(ModelAnswered)]
    assert any(place.startswith("LanguageChoose") for place in places) is is_asked
    assert ran.verdict.verdict == "passed"


def test_words_for_what_is_no_option_are_reported(tmp_path: Path) -> None:
    sources = dict(read(Path(company(tmp_path, 'words = { Python = ["python"], Ada = ["ada"] }'))))
    with pytest.raises(CompanyError, match=r"LanguageChoose.*words: Ada is not one of the options"):
        from_sources(sources)
