"""The README's three programs, built by a real model of 1.5 billion parameters, by ``chatdev serve`` and ``run.py``.

``make test-models`` runs these; plain ``pytest`` leaves them out. What must hold for any answer of the model is tested;
rates are measured in benchmarks/one_sentence.py.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import does_it
import pytest
import serving
import weights

ROOT = Path(__file__).parent.parent.parent
MOST_CALLS = "24"
"""Answers of the model that one program may take."""

pytestmark = [pytest.mark.models, pytest.mark.xdist_group("models")]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``chatdev serve`` on a free port, with the weights that were fetched."""
    folder = tmp_path_factory.mktemp("serve")
    path = weights.fetch("coder-1.5b")
    with serving.running(folder, str(path), "--window", "16384", "--port", "0") as server:
        yield server.exported("VLLM_ENDPOINT")
        assert server.stop(signal.SIGINT) == 130


PROGRAMS: list[tuple[str, str, Callable[[Path], Awaitable[bool]]]] = [
    ("create a hello world program", "HelloWorld", does_it.greets),
    ("create a calculator", "Calculator", does_it.computes),
    ("create a todo app", "TodoApp", does_it.keeps),
]


@pytest.mark.parametrize(("task", "name", "does"), PROGRAMS, ids=lambda value: value if isinstance(value, str) else "")
async def test_a_small_real_model_builds_it_and_it_does_what_was_asked(
    endpoint: str, tmp_path: Path, task: str, name: str, does: Callable[[Path], Awaitable[bool]]
) -> None:
    environment = {key: value for key, value in os.environ.items() if not re.match("VLLM_|OPENAI_|CHATDEV_", key)}
    done = subprocess.run(
        [sys.executable, ROOT / "run.py", "--task", task, "--name", name, "--model", "VLLM", "--max-calls", MOST_CALLS],
        cwd=tmp_path,
        env=environment | {"VLLM_ENDPOINT": endpoint},
        capture_output=True,
        text=True,
    )
    print(done.stdout, done.stderr)
    (folder,) = (tmp_path / "WareHouse").iterdir()
    assert done.returncode == 0, (folder / "REPORT.md").read_text()
    assert (folder / "REPORT.md").read_text().startswith("# Passed")
    assert await does(folder)
