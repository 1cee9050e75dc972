"""Killed at random moments, again and again, a run with races and calls side by side ends with the same product."""

from pathlib import Path

from helpers.random_kills import killed


async def test_a_run_killed_at_random_moments_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    whole, *lives = await killed(tmp_path, 8, seed=1_000)  # ``make soak`` kills 200
    assert whole["verdict"] == "passed" and not whole["kills"]
    assert len(lives) == 8
    for life in lives:
        assert life["verdict"] == "passed", life
        assert life["product"] == whole["product"], life
        assert not life["lost"] and not life["again"] and not life["doubled"], life
    assert sum(bool(life["kills"]) for life in lives) >= 4
