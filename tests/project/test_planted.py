"""What a product's folder holds for tools to run is run nowhere but in the sandbox, which has a copy."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MARKED = "ran on the host"

# A file knows by its own path whether it is the planted one or the sandbox's copy.
PYTHON = """
import os
if os.path.realpath(__file__).startswith({folder!r}):
    open({mark!r}, "a").write(__file__ + "\\n")
"""
SHELL = 'case "$0 $PWD" in *{folder}*) echo "$0" >> "{mark}";; esac\n'

IN_PYTHON = [
    f"{name}.py"
    for name in (
        "conftest tests/conftest sitecustomize usercustomize setup build_hook noxfile click msgspec aiohttp jinja2 "
        "rich venv pip ensurepip argparse subprocess logging json pathlib asyncio tempfile tomllib shutil"
    ).split()
]
IN_SHELL = (
    ".git/hooks/post-checkout .git/hooks/pre-commit .husky/pre-commit .envrc configure bin/python3 python3 git "
    ".venv/bin/python Xvfb"
).split()
TEXTS = {
    "main.py": "print('hello')\n",
    "tests/test_main.py": "import subprocess, sys, unittest\n\n\nclass A(unittest.TestCase):\n    def test_a(self):\n"
    "        self.assertIn(b'hello', subprocess.run([sys.executable, 'main.py'], capture_output=True).stdout)\n",
    ".git/config": "[core]\n\tfsmonitor = {mark_command}\n\thooksPath = .git/hooks\n\tpager = {mark_command}\n",
    ".gitattributes": "*.py filter=evil diff=evil\n",
    "Makefile": "all:\n\t{mark_command}\n$(shell {mark_command})\n",
    "evil.pth": "import os; os.system({mark_command!r})\n",
    "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "build_hook"\nbackend-path = ["."]\n',
    ".vscode/tasks.json": '{{"tasks": [{{"command": "{mark_command}"}}]}}',
    "chatdev.toml": 'vllm_endpoint = "http://127.0.0.1:9/v1"\n',
    "requirements.txt": "# nothing that is known\n./\n-e .\nevil.whl\n",
}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A product that works, with every such file in it."""
    folder, mark = tmp_path / "product", tmp_path / MARKED
    command = f"touch '{mark}'"
    texts = {path: text.format(mark_command=command) for path, text in TEXTS.items()}
    texts |= {path: PYTHON.format(folder=str(folder), mark=str(mark)) for path in IN_PYTHON}
    texts |= {path: "#!/bin/sh\n" + SHELL.format(folder=folder, mark=mark) for path in IN_SHELL}
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
        (folder / path).chmod(0o755)
    return folder


def test_nothing_that_is_planted_runs_on_the_host_when_a_folder_is_judged_from_inside_it(planted: Path) -> None:
    # No package of the list: a step of pip would be one for nothing. The environment is made all the same.
    (planted / "requirements.txt").write_text(TEXTS["requirements.txt"] + "nosuchpackage-of-ours\n")
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}
    install = ("--install", "--yes", "--allow", "nosuchpackage-of-ours")
    chatdev = [sys.executable, "-m", "chatdev", "test", "."]
    stderr = ""
    for words in ((), install):
        done = subprocess.run([*chatdev, *words], cwd=planted, env=environ, capture_output=True, text=True)
        assert ("test_main.py" in done.stdout) is not bool(words), done.stderr
        assert not (planted.parent / MARKED).exists(), (planted.parent / MARKED).read_text()
        stderr = done.stderr
    assert "The packages cannot be installed" in stderr
    assert "evil.whl: a file, not a package" in stderr
    assert "-e .: not a requirement" in stderr


def test_the_marks_work(planted: Path) -> None:
    subprocess.run([sys.executable, planted / "conftest.py"], check=True)
    assert (planted.parent / MARKED).read_text() == f"{planted / 'conftest.py'}\n"
    (planted.parent / MARKED).unlink()
    subprocess.run([planted / ".envrc"], check=True)
    assert (planted.parent / MARKED).exists()
