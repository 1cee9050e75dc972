"""Killed at any moment of any effect, a run goes on to the same product, and nothing synced is done again."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support import ANSWERS, MAIN, WORDS, recording

from chatdev.playback import demo
from chatdev.playback.faults import Manner
from chatdev.playback.server import Playback


@pytest.mark.parametrize("moment", ["before", "torn", "between", "after"])
async def test_a_run_killed_at_each_effect_of_the_demo_resumes(tmp_path: Path, moment: str) -> None:
    async with Playback(demo.recording_of("create a calculator")) as endpoint:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("kill_driver.py")),
            endpoint,
            moment,
            str(tmp_path),
            stdout=subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    lives = [json.loads(line) for line in output.splitlines()]
    assert len(lives) >= 12  # sixteen effects, of which up to four pairs happen side by side
    for life in lives:
        assert life["status"] == 0
        assert life["verdict"] == "passed"
        assert life["product"] == lives[0]["product"]
        assert len(life["places"]) == len(set(life["places"])) == 16  # 11 answers, 4 runs of the tests, 1 start
        twice = {place for place, times in Counter(life["asked"]).items() if times > 1}
        assert not twice & set(life["synced"])
    assert {"main.py", "manual.md", "requirements.txt"} <= set(lives[0]["product"])


@pytest.mark.parametrize("moment", ["before", "torn", "between", "after"])
async def test_a_race_killed_at_each_effect_ends_with_its_winner(tmp_path: Path, moment: str) -> None:
    """The first candidate's program is wrong, the second's is right, the third never has an answer."""
    broken = {"Coding.1/candidate.1/Programmer.1/ask.1": f"{WORDS.replace('hello', 'bye')}\n{MAIN}"}
    silent = Manner(place="Coding.1/candidate.3", fault="stall", after=3)
    order = json.dumps({"task": "greet", "name": "Greeting", "candidates": 3})
    async with Playback(recording(ANSWERS | broken), manners=[silent]) as endpoint:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("kill_driver.py")),
            endpoint,
            moment,
            str(tmp_path),
            order,
            stdout=subprocess.PIPE,
        )
        output, _ = await process.communicate()
    assert process.returncode == 0
    lives = [json.loads(line) for line in output.splitlines()]
    assert len(lives) >= 9
    for life in lives:
        assert life["status"] == 0
        assert life["verdict"] == "passed"
        assert life["winners"] == [2]
        assert life["product"] == lives[0]["product"]
        assert len(life["places"]) == len(set(life["places"]))
        twice = {place for place, times in Counter(life["asked"]).items() if times > 1}
        assert not twice & set(life["synced"])
