"""Runs of a real model of 1.5 billion parameters, played again: what the company makes of such answers.

``real/*.recording`` are hello world programs by Qwen2.5-Coder-1.5B-Instruct, as it answered, with mistakes and all.
"""

from pathlib import Path

import pytest
from support import run

from chatdev.playback.recording import read

REAL = Path(__file__).parent / "real"
JUDGED = {
    "greets-1": "1 from the tester",  # four more rows want an argument to be repeated, which hardly any draft does
    "greets-2": "1 from the tester",
    "repeats-its-argument": "5 from the tester",
}


def test_each_recording_is_played() -> None:
    assert {path.stem for path in REAL.glob("*.recording")} == set(JUDGED)


@pytest.mark.parametrize("name", JUDGED)
async def test_a_run_of_a_real_model_ends_as_it_did(tmp_path: Path, name: str) -> None:
    recording = read(REAL / f"{name}.recording")
    ran = await run(tmp_path, recording, config="default", task=recording.task, settings=("Manual=off",))
    assert ran.verdict.verdict == "passed"
    assert JUDGED[name] in ran.verdict.why
    assert (ran.folder / "main.py").exists()
