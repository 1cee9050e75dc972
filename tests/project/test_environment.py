"""What a product's requirements.txt lists is installed for it alone, from wheels, when its user says so."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from chatdev.cli.test import agreed_lines, command
from chatdev.errors import UserError
from chatdev.product.packages import is_listed, needed, vouched
from chatdev.project.environment import PLACE, wanted
from chatdev.sandbox.environment import install
from chatdev.sandbox.port import Job, Outcome
from chatdev.settings.others import load_pip


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
    assert "skipped: json: part of the standard library" in done.output
    assert "index-url" in done.output
    assert (folder / PLACE / "bin" / "python").exists()


def test_an_unknown_name_is_asked_for_by_itself(folder: Path) -> None:
    (folder / "requirements.txt").write_text("arcade\nreqeusts\nzxqv==1\n")
    done = CliRunner().invoke(command, [str(folder), "--install"], input="n\n")
    assert "Install arcade into" in done.output
    assert "reqeusts" not in done.output  # whoever wants nothing is asked no more
    lines = ("arcade", "reqeusts", "zxqv==1")
    with CliRunner().isolation(input="y\nn\ny\n") as (out, err, _):
        assert agreed_lines(lines, folder, yes=False, allow=()) == ("arcade", "zxqv==1")
        output = (out.getvalue() + err.getvalue()).decode()
    assert '"reqeusts" is not a known package; did its author mean "requests"?' in output
    assert '"zxqv" is not a known package, so look it up' in output


def test_yes_does_not_cover_a_name_that_no_one_knows_but_allow_does(folder: Path) -> None:
    with CliRunner().isolation() as (_, err, _):
        assert agreed_lines(("arcade", "zxqv"), folder, yes=True, allow=()) == ("arcade",)
        assert b"--allow zxqv installs it" in err.getvalue()
    assert agreed_lines(("arcade", "Zx_qv"), folder, yes=True, allow=("zx-qv",)) == ("arcade", "Zx_qv")


def test_an_import_is_no_reason_to_install_a_name() -> None:
    assert vouched("reqeusts", {"main.py": b"import reqeusts"})
    assert not is_listed("reqeusts")


@pytest.mark.parametrize(
    ("files", "packages"),
    [
        ({"main.py": "import json, os.path\nfrom words import greeting\n", "words.py": "import tkinter\n"}, ()),
        ({"main.py": "from game.board import Board\n", "game/board.py": "from . import pieces\n"}, ()),
        ({"main.py": "import numpy as np\n\ndef show():\n    from PIL import Image\n"}, ("numpy", "pillow")),
        (
            {"main.py": "try:\n    import numpy\nexcept ImportError:\n    if 1:\n        import scipy\n"},
            ("numpy", "scipy"),
        ),
        ({"main.py": "class A:\n    def b(self):\n        import numpy\n"}, ("numpy",)),
        ({"main.py": "if 0:\n    pass\n" + 1200 * "elif 0:\n    pass\n" + "else:\n    import numpy\n"}, ("numpy",)),
        ({"main.py": "while 1:\n    print()\nelse:\n    import numpy\n"}, ("numpy",)),
        ({"main.py": "match 1:\n    case 1:\n        import numpy\n"}, ("numpy",)),
        ({"main.py": "try:\n    pass\nfinally:\n    import numpy\n"}, ("numpy",)),
        ({"main.py": "import yaml\n", "yaml.py": "X = 1\n"}, ()),
        ({"main.py": "print(1)\n", "tests/test_acceptance.py": "import requests\n"}, ("requests",)),
        ({"main.py": "print(1)\n", "page.html": "<script>import x</script>"}, ()),
        ({"main.py": "import nobodyknows\n"}, None),
        ({"main.py": "import numpy\nimport nobodyknows\n"}, None),
        ({"main.py": "print('no end\n"}, None),
        ({"main.py": "from importlib import import_module\nimport_module('numpy')\n"}, None),
        ({"main.py": "np = __import__('numpy')\n"}, None),
    ],
)
def test_imports_tell_the_packages_or_leave_it_to_the_programmer(
    files: dict[str, str], packages: tuple[str, ...] | None
) -> None:
    found = needed(files)
    assert (found and tuple(name.lower() for name in found)) == packages


def test_an_environment_is_not_emptied_through_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter").write_text("dear")
    (folder / ".chatdev").symlink_to(tmp_path / "mine")
    done = CliRunner().invoke(command, [str(folder), "--install", "--yes"])
    assert done.exit_code == 2
    assert "is a link" in done.output
    assert (tmp_path / "mine" / "letter").exists()


class Watching:
    """A sandbox that remembers its jobs, and lets them fail as told."""

    level = "watching"

    def __init__(self, *ends: Outcome) -> None:
        self.jobs: list[Job] = []
        self.ends = list(ends)

    async def run(self, job: Job) -> Outcome:
        self.jobs.append(job)
        return self.ends.pop(0)


async def test_pip_sees_its_own_settings_and_no_key(tmp_path: Path) -> None:
    (tmp_path / ".config" / "pip").mkdir(parents=True)
    (tmp_path / ".config" / "pip" / "pip.conf").write_text("[global]\nindex-url = https://own/simple\n")
    keys = {
        "HF_TOKEN": "x",
        "OPENAI_API_KEY": "x",
        "VLLM_API_KEY": "x",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PYTHONPATH": "x",
    }
    own = {"https_proxy": "http://p:3128", "NO_PROXY": "h", "PIP_INDEX_URL": "https://i/", "SSL_CERT_FILE": "/c.pem"}
    sandbox = Watching(Outcome(0), Outcome(0))
    pip = load_pip({"HOME": str(tmp_path), **keys, **own})
    python = await install(sandbox, tmp_path / "env", ("arcade",), pip)
    make, get = sandbox.jobs
    assert dict(make.environment) == {}
    assert dict(get.environment) == own | {"PIP_CONFIG_FILE": "pip.conf"}
    assert get.files == {"pip.conf": b"[global]\nindex-url = https://own/simple\n"}
    assert make.argv[1] == get.argv[1] == "-I"
    assert get.argv[-5:] == ("--quiet", "--only-binary", ":all:", "--", "arcade")
    assert python == str(tmp_path / "env" / "bin" / "python")


async def test_a_stated_configuration_wins_and_a_missing_one_is_empty(tmp_path: Path) -> None:
    (tmp_path / "mine.conf").write_text("[install]\n")
    assert load_pip({"PIP_CONFIG_FILE": str(tmp_path / "mine.conf"), "HOME": "/"}).config == b"[install]\n"
    assert load_pip({}).config == b""


async def test_an_install_that_fails_tells_why_without_the_login_of_an_index(tmp_path: Path) -> None:
    sandbox = Watching(Outcome(0), Outcome(1, stderr="no wheel\nasked https://me:geheim@i/simple\n", stopped="disk"))
    pip = load_pip({"PIP_INDEX_URL": "https://me:geheim@i/simple"})
    with pytest.raises(UserError, match=r"cannot be installed \(stopped by the disk limit\)") as caught:
        await install(sandbox, tmp_path / "env", ("arcade",), pip)
    assert "no wheel" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_nothing_is_installed_without_consent(folder: Path) -> None:
    done = CliRunner().invoke(command, [str(folder), "--install"], input="n\n")
    assert "Install arcade into" in done.output
    assert "not run (needs arcade)" in done.output
    assert not (folder / PLACE).exists()


@needs_pip
def test_a_package_that_pip_does_not_find_is_an_error_in_plain_words(folder: Path) -> None:
    (folder / "requirements.txt").write_text("nosuchpackage==9\n")
    done = CliRunner().invoke(command, [str(folder), "--install", "--yes", "--allow", "nosuchpackage"])
    assert done.exit_code == 2
    assert "The packages cannot be installed." in done.output


def test_without_requirements_there_is_nothing_to_install(folder: Path) -> None:
    (folder / "requirements.txt").unlink()
    assert not wanted(folder).lines
    done = CliRunner().invoke(command, [str(folder), "--install", "--yes"])
    assert "lists nothing to install" in done.output


@pytest.mark.parametrize(
    ("line", "is_known"),
    [("pyyaml>=6", True), ("Beautiful_Soup4", False), ("beautifulsoup4", True), ("mine", True), ("nobody", False)],
)
def test_a_name_is_vouched_for_by_the_list_or_by_an_import(line: str, is_known: bool) -> None:
    assert vouched(line, {"main.py": b"import os\nfrom mine.part import x\n"}) is is_known
