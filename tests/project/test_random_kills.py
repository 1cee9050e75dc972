"""Killed at random moments, again and again, a run with races and calls side by side ends with the same product."""

import asyncio
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from support import ANSWERS, recording

from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback


async def killed(folder: Path, count: int, seed: int) -> list[dict[str, object]]:
    pace = FaultSpec(first_token=0.02, per_token=0.0005)
    async with Playback(recording(ANSWERS), manners=(pace,)) as endpoint:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("random_kills.py")),
            endpoint,
            str(count),
            str(seed),
            str(folder),
            stdout=subprocess.PIPE,
        )
        try:
            output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0
    return [msgspec.json.decode(line) for line in output.splitlines()]


@pytest.mark.parametrize("seed", [1_000, 2_000])
async def test_a_run_killed_at_random_moments_loses_nothing_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    whole, *lives = await killed(tmp_path, 10, seed)
    assert whole["verdict"] == "passed" and not whole["kills"]
    assert len(lives) == 10
    for life in lives:
        assert life["verdict"] == "passed", life
        assert life["product"] == whole["product"], life
        assert not life["lost"] and not life["again"] and not life["doubled"], life
    assert sum(bool(life["kills"]) for life in lives) >= 5
