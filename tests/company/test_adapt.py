"""A company is fitted to a model's size and to what was typed."""

from pathlib import Path

import pytest

from chatdev.company import adapt, config
from chatdev.company.config import CompanyError, walk

DEFAULT = config.load(config.find("default"))


@pytest.mark.parametrize(
    ("size", "effort"), [(0.5, "low"), (1.54, "low"), (6.9, "low"), (7.0, "normal"), (32.5, "normal"), (None, "normal")]
)
def test_the_effort_follows_the_size(size: float | None, effort: str) -> None:
    found, why = adapt.effort_for(size)
    assert found == effort
    assert (f"{size:.3g} billion" in why) if size else "does not report" in why


def test_steps_for_more_effort_are_left_out_of_less() -> None:
    low, normal = adapt.at(DEFAULT, "low"), adapt.at(DEFAULT, "normal")
    assert "Repair" not in {step.name for step in walk(low.chain)}
    assert "Repair" in {step.name for step in walk(normal.chain)}


def test_a_phase_has_other_values_at_another_effort() -> None:
    assert adapt.at(DEFAULT, "low").phases["Drafting"].candidates == 8
    assert adapt.at(DEFAULT, "normal").phases["Drafting"].candidates == 4
    assert adapt.at(DEFAULT, "normal").phases["Manual"] == DEFAULT.phases["Manual"]


def test_a_key_is_set_and_a_step_is_left_out() -> None:
    typed = ("drafting.candidates=3", "Drafting.model.temperature=0.5", "Manual.writes=README.md", "manual=off")
    company = adapt.setting(DEFAULT, typed)
    drafting = company.phases["Drafting"]
    assert (drafting.candidates, drafting.model.temperature) == (3, 0.5)
    assert drafting.question == DEFAULT.phases["Drafting"].question
    assert company.phases["Manual"].writes == "README.md"
    assert "Manual" not in {step.name for step in company.chain}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("Drafting", "not valid"),
        ("Manual=on", "not valid"),
        ("Nothing.candidates=3", "no phase"),
        ("Nothing=off", "no step"),
        ("Drafting.colour=3", "not a key of a phase"),
        ("Drafting.question=Why?", "not a key of a phase"),
        ("Drafting.candidates=many", "candidates"),
        ("Drafting.candidates=99", "candidates"),
    ],
)
def test_what_cannot_be_set_says_what_there_is(typed: str, expected: str) -> None:
    with pytest.raises(CompanyError, match=expected):
        adapt.setting(DEFAULT, (typed,))


def test_a_wrong_key_for_an_effort_names_the_file(tmp_path: Path) -> None:
    sources = dict(config.read(config.find("default")))
    sources["phases/Drafting.md"] = sources["phases/Drafting.md"].replace("[at.normal]", "[at.normal]\ncolour = 3")
    with pytest.raises(CompanyError, match=r"phases/Drafting\.md: at\.normal: colour"):
        adapt.at(config.from_sources(sources), "normal")
