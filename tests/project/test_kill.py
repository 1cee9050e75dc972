"""Killed at any moment of any effect, a run goes on to the same product, and nothing synced is done again.

Each test kills at every fourth effect, and the four moments begin at different ones, so that together they come to all
of them. With ``CHATDEV_TEST_KILLS=all``, as in ``make soak``, each moment comes to every effect.
"""

import asyncio
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from helpers import scripts
from helpers.support import ANSWERS, MAIN, WORDS, recording
from test_network import Agents, named, ran

from chatdev import runs
from chatdev.journal import store
from chatdev.journal.events import ModelAnswered
from chatdev.playback import demo
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback

MOMENTS = ("before", "torn", "between", "after")
STEP = 1 if os.environ.get("CHATDEV_TEST_KILLS") == "all" else len(MOMENTS)


async def killed(folder: Path, endpoint: str, moment: str, *order: str) -> list[dict[str, Any]]:
    """What became of a run that was killed at an effect, of one killed at a later one, and so on."""
    first = 1 + MOMENTS.index(moment) % STEP
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "helpers.kill_driver",
        endpoint,
        moment,
        str(folder),
        str(first),
        str(STEP),
        *order,
        env=scripts.environment(),
        stdout=subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    lives = [json.loads(line) for line in output.splitlines()]
    for life in lives:
        assert life["status"] == 0
        assert life["verdict"] == "passed"
        assert life["product"] == lives[0]["product"]
        assert len(life["places"]) == len(set(life["places"]))
        twice = {place for place, times in Counter(life["asked"]).items() if times > 1}
        assert not twice & set(life["synced"])
    return lives


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_run_killed_at_each_effect_of_the_demo_resumes(tmp_path: Path, moment: str) -> None:
    async with Playback(demo.recording_of("create a calculator")) as endpoint:
        lives = await killed(tmp_path, endpoint, moment)
    assert len(lives) >= 12 // STEP  # 17 effects, of which up to four pairs happen side by side
    assert {len(life["places"]) for life in lives} == {17}  # 11 answers, 5 runs of the tests, 1 start
    assert {"main.py", "manual.md", "requirements.txt"} <= set(lives[0]["product"])


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_run_of_the_default_company_killed_at_each_effect_of_the_demo_resumes(
    tmp_path: Path, moment: str
) -> None:
    """The first draft is wrong, and of the two that follow the second one is right."""
    order = json.dumps({"task": "create a calculator", "name": "Calculator"})
    async with Playback(demo.recording_of("create a calculator")) as endpoint:
        lives = await killed(tmp_path, endpoint, moment, order)
    assert len(lives) >= 8 // STEP  # examples, three drafts of which two are tried, the race, the manual, the start
    assert all(life["winners"] == [2] for life in lives)
    assert {"main.py", "manual.md", "requirements.txt", "tests/acceptance.txt"} <= set(lives[0]["product"])


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_race_killed_at_each_effect_ends_with_its_winner(tmp_path: Path, moment: str) -> None:
    """The first candidate's program is wrong, the second's is right, the third never has an answer."""
    broken = {"Coding.1/candidate.1/Programmer.1/ask.1": f"{WORDS.replace('hello', 'bye')}\n{MAIN}"}
    silent = FaultSpec(place="Coding.1/candidate.3", fault="stall", after=3)
    order = json.dumps({"task": "greet", "name": "Greeting", "config": "full", "candidates": 3})
    async with Playback(recording(ANSWERS | broken), manners=[silent]) as endpoint:
        lives = await killed(tmp_path, endpoint, moment, order)
    assert len(lives) >= 9 // STEP
    assert all(life["winners"] == [2] for life in lives)


@pytest.mark.parametrize("moment", ["torn", "between"])
async def test_a_network_killed_at_each_effect_ends_in_the_same_product(tmp_path: Path, moment: str) -> None:
    """Two layers of two agents, all of the first joined to all of the second, whose two solutions are put together."""
    _, whole = await ran(tmp_path, Agents(), named("layered", 4))
    events = [record.event for record in store.read(runs.log_of(whole))]
    answers = {event.place: event.text for event in events if isinstance(event, ModelAnswered)}
    network = named("layered", 4).as_json
    order = {"task": "greet", "name": "Greeting", "config": "full", "network": network}
    async with Playback(recording(answers)) as endpoint:
        lives = await killed(tmp_path, endpoint, moment, json.dumps(order))
    assert len(lives) >= 9 // STEP  # of which up to four happen side by side
    for life in lives:
        assert sum("/node." in place or "/edge-" in place for place in life["places"]) == 8
        assert set(answers) <= set(life["places"])
