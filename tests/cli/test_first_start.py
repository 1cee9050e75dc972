"""A clone that somebody starts for the first time: an old Python, missing packages, a company kept from ChatDev 1.0."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from chatdev import runs
from chatdev.company import config
from chatdev.journal.events import RunStarted
from chatdev.journal.store import read

ROOT = Path(__file__).parents[2]
ENTRIES = {"run.py": str(ROOT / "run.py"), "-m chatdev": str(ROOT / "chatdev" / "__main__.py")}


def started(folder: Path, code: str, *words: str, path: str = str(ROOT)) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", code, *words] if code else [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("entry", ENTRIES)
def test_a_python_that_is_too_old_is_an_error_in_plain_words(tmp_path: Path, entry: str) -> None:
    code = f"import runpy, sys; sys.version_info = (3, 10, 13); runpy.run_path({ENTRIES[entry]!r}, run_name='__main__')"
    done = started(tmp_path, code)
    assert done.returncode == 2
    assert done.stderr.startswith("ChatDev needs Python 3.11 or newer; this is 3.10.")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("missing", ["click", "msgspec", "jinja2", "aiohttp"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_missing_package_names_the_one_command(tmp_path: Path, entry: str, missing: str) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    text = f'raise ModuleNotFoundError("No module named {missing!r}", name={missing!r})\n'
    (packages / f"{missing}.py").write_text(text)
    words = [ENTRIES["run.py"], "--task"] if entry == "run.py" else ["-m", "chatdev", "build"]
    done = started(
        tmp_path, "", *words, "create a calculator", "--name", "C", "--model", "DEMO", path=f"{packages}:{ROOT}"
    )
    assert done.returncode == 2, done.stderr
    assert f"Error: the package {missing} is not installed here." in done.stderr
    assert "pip install -r " in done.stderr and "requirements.txt" in done.stderr
    assert "Traceback" not in done.stderr


CHAIN = {
    "chain": [
        {"phase": "Coding", "phaseType": "SimplePhase", "max_turn_step": 1, "need_reflect": "False"},
    ],
    "recruitments": ["Chief Executive Officer", "Chief Technology Officer", "Programmer", "Counselor"],
}


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "CompanyConfig" / "Default"
    folder.mkdir(parents=True)
    (folder / "ChatChainConfig.json").write_text(json.dumps(CHAIN))
    return folder


def test_the_users_own_default_company_comes_before_the_built_in_one(own: Path) -> None:
    assert config.find("Default").resolve() == own
    assert runs.company_of("Default", "high").resolve() == own
    assert config.find("default") == config.built_in()["default"]
    assert config.find("DEFAULT") == config.built_in()["default"]
    (own / "ChatChainConfig.json").unlink()
    assert config.find("Default") == config.built_in()["default"]


def test_a_run_of_the_users_own_default_company_says_so(own: Path) -> None:
    words = ("--task", "create a calculator", "--name", "Calculator", "--model", "STUB")
    done = started(own.parents[1], "", ENTRIES["run.py"], *words)
    assert "Using your own company in CompanyConfig/Default. The built-in one is --config default." in done.stderr
    (folder,) = runs.every(own.parents[1] / "WareHouse")
    start = next(record.event for record in read(runs.log_of(folder)) if isinstance(record.event, RunStarted))
    assert start.company == "Default"
    copied = (folder / ".chatdev" / "company" / "company.toml").read_text()
    assert "Converted from a ChatDev 1.0 folder." in copied
