"""Runs of a real model of 1.5 billion parameters, played again: what the company makes of such answers.

``real/*.recording`` are the README's three programs by Qwen2.5-Coder-1.5B-Instruct, as it answered, mistakes and all.
"""

from pathlib import Path

import pytest
from helpers.support import run

from chatdev.playback.recording import read
from chatdev.product import rows

REAL = Path(__file__).parent / "real"
JUDGED = {
    "hello-world": ["agreed"],  # what three drafts print
    "calculator": ["doubtful", "doubtful", "doubtful", "doubtful", "dropped"],  # hardly a draft adds up five numbers
    "todo-app": ["doubtful", "doubtful", "doubtful", "doubtful", "dropped"],
}


def test_each_recording_is_played() -> None:
    assert {path.stem for path in REAL.glob("*.recording")} == set(JUDGED)


@pytest.mark.parametrize("name", JUDGED)
async def test_a_run_of_a_real_model_ends_as_it_did(tmp_path: Path, name: str) -> None:
    recording = read(REAL / f"{name}.recording")
    ran = await run(tmp_path, recording, config="default", task=recording.task, settings=("Manual=off",), effort="low")
    assert ran.verdict.verdict == "passed"
    written = rows.parse((ran.folder / rows.FILE).read_text(), "python3 main.py").rows
    assert [row.tier for row in written] == JUDGED[name]
    assert (ran.folder / "main.py").exists()
