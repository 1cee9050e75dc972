"""What a product's requirements.txt lists is installed for it alone, from wheels, when its user says so."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from chatdev.cli.test import command
from chatdev.project.environment import PLACE, wanted
from chatdev.project.packages import vouched


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A product that needs ``arcade``, and pip with a folder of wheels for the whole world."""
    wheels, product = tmp_path / "wheels", tmp_path / "product"
    (product / "tests").mkdir(parents=True)
    wheels.mkdir()
    with zipfile.ZipFile(wheels / "arcade-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("arcade.py", "SCORE = 7\n")
        wheel.writestr("arcade-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: arcade\nVersion: 1.0\n")
        wheel.writestr("arcade-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("arcade-1.0.dist-info/RECORD", "")
    (product / "main.py").write_text("import arcade\nscore = arcade.SCORE\n")
    (product / "tests" / "test_score.py").write_text("def test_a():\n    import main\n    assert main.score == 7\n")
    (product / "requirements.txt").write_text("arcade\njson\n--index-url=http://127.0.0.1:9/\n")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    return product


def has_pip() -> bool:
    return subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0


needs_pip = pytest.mark.skipif(not has_pip(), reason="no pip here")


def test_a_package_that_is_missing_is_named(folder: Path) -> None:
    done = CliRunner().invoke(command, [str(folder)])
    assert done.output.startswith("not run (needs arcade)")


@needs_pip
def test_it_is_installed_for_this_product_and_tested_again(folder: Path) -> None:
    done = CliRunner().invoke(command, [str(folder), "--install", "--yes"])
    assert "passed: All 1 tests pass" in done.output, done.output
    assert "not taken: json: part of the standard library" in done.output
    assert "index-url" in done.output
    assert (folder / PLACE / "bin" / "python").exists()


def test_nothing_is_installed_without_consent(folder: Path) -> None:
    done = CliRunner().invoke(command, [str(folder), "--install"], input="n\n")
    assert "Install arcade into" in done.output
    assert "not run (needs arcade)" in done.output
    assert not (folder / PLACE).exists()


@needs_pip
def test_a_package_that_pip_does_not_find_is_an_error_in_plain_words(folder: Path) -> None:
    (folder / "requirements.txt").write_text("nosuchpackage==9\n")
    done = CliRunner().invoke(command, [str(folder), "--install", "--yes"])
    assert done.exit_code == 2
    assert "The packages cannot be installed." in done.output


def test_without_requirements_there_is_nothing_to_install(folder: Path) -> None:
    (folder / "requirements.txt").unlink()
    assert not wanted(folder).lines
    done = CliRunner().invoke(command, [str(folder), "--install", "--yes"])
    assert "lists nothing to install" in done.output


@pytest.mark.parametrize(
    ("line", "known"),
    [("pyyaml>=6", True), ("Beautiful_Soup4", False), ("beautifulsoup4", True), ("mine", True), ("nobody", False)],
)
def test_a_name_is_vouched_for_by_the_list_or_by_an_import(line: str, known: bool) -> None:
    assert vouched(line, {"main.py": b"import os\nfrom mine.part import x\n"}) is known
