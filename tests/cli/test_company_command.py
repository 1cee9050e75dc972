"""``chatdev company``: look at companies, make one, check it, convert one of ChatDev 1.0's."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from chatdev.cli.main import cli
from chatdev.company import classic_folder, config

Type = Callable[..., Result]


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    monkeypatch.chdir(tmp_path)

    def type_in(*words: str) -> Result:
        done = CliRunner().invoke(cli, ["company", *words])
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done

    return type_in


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder of ChatDev 1.0."""
    folder = tmp_path / "CompanyConfig" / "Old"
    folder.mkdir(parents=True)
    coding = {"phase": "Coding", "phaseType": "SimplePhase", "max_turn_step": 1, "need_reflect": "False"}
    settings = {"chain": [coding], "recruitments": ["Programmer", "Chief Technology Officer"]}
    (folder / "ChatChainConfig.json").write_text(json.dumps(settings))
    return folder


def test_list_names_those_built_in_and_the_users_own(company: Type, old: Path) -> None:
    (old.parent / "Broken").mkdir()
    (old.parent / "Broken" / "RoleConfig.json").write_text("{")
    lines = company("list").stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["Broken", "Old", "classic", "default", "full", "once"]
    assert "not usable. RoleConfig.json" in lines[0]


@pytest.mark.parametrize("name", ["default", "Full", "Classic", "Old"])
def test_show_draws_each_step_twice(company: Type, old: Path, name: str) -> None:
    shown = company("show", name).stdout
    tree, _, mermaid = shown.partition("```mermaid\nflowchart TD\n")
    for step in config.walk(classic_folder.load(config.find(name)).chain):
        if step.phase or step.loop:
            assert f"{step.name}" in tree
            assert f'["{step.name}' in mermaid
    assert mermaid.endswith("```\n")
    assert mermaid.count("subgraph") == mermaid.count("    end\n")


def test_show_tells_cycles_ends_turns_and_reflections(company: Type) -> None:
    tree = company("show", "classic").stdout
    assert (
        "  CodeReview, up to 3 times, until a role says <INFO> Finished\n    CodeReviewComment: Code Reviewer" in tree
    )
    assert "(up to 10 turns, reflection, sets language)" in tree
    assert "s2 --> s3\n" in tree
    assert "s4_1 -.-> s4_0\n" in tree
    assert "in parallel\n    start the product\n" in company("show", "full").stdout


def test_new_makes_a_folder_to_edit_that_check_accepts(company: Type) -> None:
    done = company("new", "Mine", "--from", "classic")
    assert done.exit_code == 0
    assert "company check" in done.stdout
    made = config.load(config.find("Mine"))
    assert (made.name, made.chain) == ("Mine", config.load(config.find("classic")).chain)
    assert company("check", "Mine").stdout == "Mine is valid: 10 phases, 6 roles in use.\n"
    again = company("new", "Mine")
    assert again.exit_code == 2
    assert "already exists" in again.stderr


def test_a_company_is_named_exactly_as_its_folder(company: Type) -> None:
    assert company("new", r'./The "best" \1 one').exit_code == 0
    assert config.load(Path(r'The "best" \1 one')).name == r'The "best" \1 one'


def test_check_tells_a_placeholder_that_does_not_exist(company: Type) -> None:
    company("new", "./elsewhere")
    phase = Path("elsewhere/phases/Drafting.md")
    phase.write_text(phase.read_text() + "{{ cods }}")
    done = company("check", "elsewhere")
    assert done.exit_code == 2
    assert "phases/Drafting.md: 'cods' is undefined" in done.stderr


def test_convert_writes_a_company_that_loads_to_the_same(company: Type, old: Path) -> None:
    done = company("convert", str(old))
    assert done.exit_code == 0, done.stderr
    native = config.load(old.with_name("Old-native"))
    assert native == classic_folder.load(old)
    assert company("convert", str(old), "--to", "other").exit_code == 0
    assert config.load(Path("other")) == native


def test_what_cannot_be_converted_found_or_written_is_reported(company: Type, old: Path) -> None:
    assert "holds none of ChatChainConfig.json" in company("convert", ".").stderr
    assert "no company called" in company("show", "nobody").stderr
    (old.parent / "file").write_text("")
    done = company("new", "CompanyConfig/file/x")
    assert done.exit_code == 2
    assert "cannot be written" in done.stderr
