"""A company's folder, and what is said of one that cannot be used."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from chatdev.company import config
from chatdev.company.config import CompanyError

Edit = Callable[[str, str, str], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(config.BUILT_IN / "full", tmp_path / "mine"))


@pytest.fixture
def edit(folder: Path) -> Edit:
    def change(name: str, old: str, new: str) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return change


@pytest.mark.parametrize("name", ["default", "Default", "DEFAULT"])
def test_a_built_in_company_is_found_in_any_letter_case(name: str) -> None:
    assert config.load(config.find(name)).name == "default"


def test_a_folder_is_a_company_too(folder: Path) -> None:
    assert config.load(config.find(str(folder))).chain == config.load(config.find("full")).chain


def test_an_unknown_company_lists_those_that_are_there() -> None:
    with pytest.raises(CompanyError, match="nobody") as caught:
        config.find("nobody")
    assert "built in: classic, default, full, once" in str(caught.value)
    assert caught.value.exit_status == 2


def test_the_default_company_writes_examples_before_code_and_asks_no_one_what_it_can_read() -> None:
    company = config.load(config.find("default"))
    names = [step.name for step in company.chain]
    assert names == [
        "DemandAnalysis",
        "LanguageChoose",
        "Sketch",
        "ExampleWriting",
        "Drafting",
        "Repair",
        "EnvironmentDoc",
        "tests",
        "Manual",
    ]
    assert not any(company.phases[name].ask for name in ("DemandAnalysis", "LanguageChoose"))
    assert company.phases["ExampleWriting"].kind == "rows"
    drafting = company.phases["Drafting"]
    assert (drafting.candidates, drafting.at_once, drafting.further_temperature) == (8, 2, 0.8)
    assert (drafting.attempts, drafting.repairs) == (1, 1)
    assert company.parameters(drafting, "Programmer") == {"temperature": 0}
    assert company.tests


def test_the_full_company_writes_tests_before_code_and_documents_side_by_side() -> None:
    company = config.load(config.find("full"))
    names = [step.name for step in company.chain]
    assert names.index("TestWriting") < names.index("Coding") < names.index("Test")
    assert [step.name for step in company.chain[names.index("parallel")].parallel] == [
        "start",
        "EnvironmentDoc",
    ]
    assert company.chain[names.index("Manual")].with_previous and names[names.index("Manual") - 1] == "Test"
    assert company.roster[0] == "Chief Executive Officer"
    assert len(company.roster) == 6


def test_the_model_is_asked_as_company_role_and_phase_say_in_this_order(folder: Path, edit: Edit) -> None:
    edit(
        "company.toml",
        'name = "full"',
        'name = "full"\nmodel = { temperature = 0.5, seed = 1 }\n'
        "role_models = { Programmer = { temperature = 0.1, extra = { top_k = 20 } } }",
    )
    edit("phases/Coding.md", 'kind = "code"', 'kind = "code"\nmodel = { seed = 2, stop = ["END"] }')
    company = config.load(folder)
    coding, review = company.phases["Coding"], company.phases["CodeReviewComment"]
    assert company.parameters(review, "Code Reviewer") == {"temperature": 0.5, "seed": 1}
    assert company.parameters(review, "Programmer") == {"temperature": 0.1, "seed": 1, "extra": {"top_k": 20}}
    assert company.parameters(coding, "Programmer") == {
        "temperature": 0.1, "seed": 2, "extra": {"top_k": 20}, "stop": ("END",),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "old", "new", "expected"),
    [
        ("company.toml", 'name = "full"', 'name = "full"\nmodel = { temperature = 3 }', "temperature"),
        ("company.toml", 'name = "full"', 'name = "full"\nrole_models = { Poet = {} }', "role Poet has no file"),
        ("company.toml", 'phase = "Coding"', 'phase = "Codding"', "Codding has no file"),
        ("company.toml", 'phase = "Coding"', 'phase = "Coding"\nloop = "X"', "exactly one of"),
        ("company.toml", "cycles = 10", "cycles = 0", "expected 1 or more"),
        ("company.toml", "cycles = 10", 'cycles = "ten"', r"Expected `int`, got `str` - at `\$.chain\[4\].cycles`"),
        ("company.toml", "cycles = 10", "cicles = 10", "unknown field `cicles`"),
        ("company.toml", 'until = "passing"', 'until = "late"', "Invalid enum value 'late'"),
        ("company.toml", 'loop = "Test"', 'loop = "CodeReview"', "different names"),
        ("company.toml", 'steps = [{ phase = "CodeComplete" }]', "", "a loop has steps"),
        ("company.toml", "no_files", "no_flies", "missing required field|unknown field"),
        ("company.toml", "[requests]", "[requests", "not valid TOML"),
        ("phases/Coding.md", "+++", "---", "expected a TOML head"),
        ("phases/Coding.md", 'assistant = "Programmer"', 'assistant = "Poet"', "the role Poet has no file"),
        ("phases/Coding.md", 'assistant = "Programmer"', 'assistant = "Chief Technology Officer"', "found .* twice"),
        ("phases/Coding.md", 'kind = "code"', 'kind = "talk"', "sets: expected"),
        ("phases/Coding.md", 'kind = "code"', 'kind = "document"', "writes: expected"),
        ("phases/DemandAnalysis.md", "turns = 2", "turns = 0", "turns: expected 1 or more"),
        ("phases/LanguageChoose.md", "options", "opinions", "unknown field `opinions`"),
    ],
)
def test_a_fault_is_reported_with_file_and_key(
    folder: Path, edit: Edit, name: str, old: str, new: str, expected: str
) -> None:
    edit(name, old, new)
    with pytest.raises(CompanyError, match=expected) as caught:
        config.load(folder)
    assert name.rpartition("/")[2] in str(caught.value)


def test_a_choice_needs_options(folder: Path, edit: Edit) -> None:
    edit(
        "phases/LanguageChoose.md",
        'options = ["Python", "JavaScript", "HTML", "Java", "C++", "C", "Go", "Rust", "Shell"]\n',
        "",
    )
    with pytest.raises(CompanyError, match="options: expected"):
        config.load(folder)


def test_missing_files_are_named(folder: Path) -> None:
    (folder / "context.md").unlink()
    with pytest.raises(CompanyError, match=r"no context\.md"):
        config.load(folder)


def test_text_that_is_not_utf8_is_named(folder: Path) -> None:
    (folder / "context.md").write_bytes(b"\xff")
    with pytest.raises(CompanyError, match=r"context\.md is not UTF-8"):
        config.load(folder)
