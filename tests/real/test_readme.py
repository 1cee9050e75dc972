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

import pytest
import weights
from helpers import does_it, serving

ROOT = Path(__file__).parent.parent.parent
MOST_CALLS = "24"
"""Answers of the model that one program may take."""
OTHER_SEEDS = ["--set", "Drafting.model={temperature = 0.8, seed = 7}"]
"""How a second run differs, which is allowed: no model of this size writes the right program each time."""

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
    last = (0, "", False)
    for number, further in enumerate(([], OTHER_SEEDS), 1):
        last = await built(endpoint, tmp_path / f"run{number}", [*further, "--task", task, "--name", name], does)
        if last == (0, "# Passed", True):
            break
    assert last == (0, "# Passed", True)


async def built(
    endpoint: str, place: Path, words: list[str], does: Callable[[Path], Awaitable[bool]]
) -> tuple[int, str, bool]:
    """The exit status of one run, the heading of its report, and whether the product does what was asked."""
    place.mkdir()
    environment = {key: value for key, value in os.environ.items() if not re.match("VLLM_|OPENAI_|CHATDEV_", key)}
    done = subprocess.run(
        [sys.executable, ROOT / "run.py", *words, "--model", "VLLM", "--max-calls", MOST_CALLS],
        cwd=place,
        env=environment | {"VLLM_ENDPOINT": endpoint},
        capture_output=True,
        text=True,
    )
    print(done.stdout, done.stderr)
    (folder,) = (place / "WareHouse").iterdir()
    report = (folder / "REPORT.md").read_text()
    print(report)
    return done.returncode, report.partition(":")[0], await does(folder)
