"""Checks what ``chatdev bench`` reports about a playback server with preset latencies.

    .venv/bin/python benchmarks/bench_playback.py [--seconds 30]

Playback, in a process of its own, sends the first token after 500 ms and then one every 50 ms. One project is in flight
and makes only the calculator's calls with short answers, so that a dozen or more fit in the time. Prints the preset and
the reported values.
"""

import argparse
import asyncio
from pathlib import Path

import msgspec
from overhead import RECORDINGS, playback

from chatdev.ops.bench import workload
from chatdev.ops.bench.contenders import contender
from chatdev.ops.bench.figures import LevelFigures
from chatdev.ops.bench.measure import BenchPlan
from chatdev.ops.bench.report import figure
from chatdev.ops.bench.run import bench
from chatdev.ops.bench.workload import Workload
from chatdev.settings import load

FIRST_TOKEN, PER_TOKEN = 0.5, 0.05
"""Seconds to the first token, and between two tokens."""

SHORT = 50
"""Tokens of the longest answer to request."""


async def measured(endpoint: str, short: Workload, seconds: float) -> LevelFigures:
    """What bench reports with one project in flight."""
    whom = contender(endpoint, load({}, Path("/nonexistent")))
    report = await bench([whom], short, BenchPlan((1,), seconds), show=print, agree=lambda costs: None)
    return report.endpoints[0].levels[0]


def main() -> None:
    """Measure, and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=30.0)
    seconds = options.parse_args().seconds
    whole = asyncio.run(workload.shipped())
    short = msgspec.structs.replace(whole, calls=tuple(call for call in whole.calls if call.tokens <= SHORT))
    manner = f"first_token = {FIRST_TOKEN}, per_token = {PER_TOKEN}"
    with playback(str(RECORDINGS / "calculator.recording"), "--manner", manner) as endpoint:
        found = asyncio.run(measured(endpoint, short, seconds))
    assert found.first_token
    assert found.gap
    project = sum(FIRST_TOKEN + PER_TOKEN * (call.tokens - 1) for call in short.calls)
    print(f"\n{found.answered} calls of {len(short.calls)} kinds, {short.tokens} tokens per project\n")
    print("| | set | reported |\n| --- | --- | --- |")
    for name, was_set, spread in (
        ("time to first token", FIRST_TOKEN, found.first_token),
        ("inter-token latency", PER_TOKEN, found.gap),
    ):
        print(
            f"| {name}, p50 / p95 (ms) | {figure(1000 * was_set)} | {1000 * spread.p50:.1f} / {1000 * spread.p95:.1f} |"
        )
    print(f"| tokens/s | {short.tokens / project:.2f} | {found.tokens_per_second:.2f} |")
    print(f"| projects per hour | {3600 / project:.0f} | {found.projects_per_hour:.0f} |")


if __name__ == "__main__":
    main()
