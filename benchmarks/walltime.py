"""Measures a calculator's wall time by its model's latency, for `classic`, `default` and `full`; and the critical path.

    .venv/bin/python benchmarks/walltime.py [--scale 0 0.5 1] [--svg docs/walltime.svg]

The model is the playback server in a process of its own, with the answers of the recorded calculator. At scale 1 it is
as fast as a small GPU: 80 ms to the first token, 12 ms for each further one (tokens are characters / 4). The tests and
the product really run, in the sandbox. ChatDev 1.0's 113 s were measured with the same latencies.
"""

import argparse
import asyncio
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from chatdev import runs, wiring
from chatdev.journal import store
from chatdev.journal.store import Record
from chatdev.models.choose import choose
from chatdev.playback import recording
from chatdev.playback.demo import recording_of
from chatdev.playback.recording import Entry
from chatdev.settings import load
from chatdev.views import formatting, path, summary
from chatdev.views import svg as writer

ROOT = Path(__file__).parent.parent
FIRST, EACH = 0.08, 0.012
"""Seconds to the first token and between tokens, at scale 1."""
BEFORE, TARGET = 113.0, 56.5
"""Seconds: ChatDev 1.0 at scale 1, and half of it."""
TASK = "create a calculator"


def played(company: str) -> recording.Recording:
    """The recorded calculator. ``classic`` reviews once more than was recorded, and then finds nothing to change."""
    found = recording_of(TASK)
    if company != "classic":
        return found
    places = {entry.place for entry in found.entries}
    alone = [
        msgspec.structs.replace(entry, place=place)
        for entry in found.entries
        if (place := entry.place.removeprefix("together.1/")) not in places
    ]
    return msgspec.structs.replace(found, entries=(*found.entries, *alone, Entry(when="", text="<INFO> Finished")))


async def build(endpoint: str, company: str, folder: Path) -> tuple[Record, ...]:
    """The log of one run."""
    choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, folder))
    run = runs.begin(runs.RunRequest(task=TASK, name="Calculator", config=company), folder)
    await wiring.work(run, choice)
    await choice.backend.aclose()
    return store.read(runs.log_of(run))


def measure(company: str, scale: float) -> tuple[float, tuple[Record, ...]]:
    """Seconds from the start to the verdict, and the log."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "calculator.recording"
        file.write_text(recording.write(played(company)), encoding="utf-8")
        manner = f"first_token = {FIRST * scale}, per_token = {EACH * scale}"
        command = [sys.executable, "-m", "chatdev", "playback", str(file), "--port", "0", "--manner", manner]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                endpoint = server.stdout.readline().split()[2]
                begun = time.perf_counter()
                records = asyncio.run(build(endpoint, company, folder))
                return time.perf_counter() - begun, records
            finally:
                server.terminate()


def told(company: str, scale: float, wall: float, records: tuple[Record, ...]) -> None:
    """A row of the table."""
    run, found = summary.fold(records), path.critical(records)
    tokens = f"{run.work.prompt_tokens:,} / {run.work.completion_tokens:,}"
    figures = f"{wall:.1f} | {run.work.seconds:.1f} | {found.calls:.1f} | {found.programs:.1f} | {found.between:.1f}"
    print(
        f"| {company} | {1000 * EACH * scale:g} | {figures} | {run.work.calls} | {tokens} | {run.verdict} |", flush=True
    )


def chart(points: dict[str, list[tuple[float, float]]]) -> str:
    """The wall times as an SVG chart: milliseconds per token on the x axis, seconds on the y axis."""
    left, top, width, height = 60, 30, 520, 300
    most, widest = 120.0, 1000 * EACH * max(scale for each in points.values() for scale, _ in each)

    def at(scale: float, seconds: float) -> tuple[float, float]:
        return left + width * 1000 * EACH * scale / widest, top + height * (1 - seconds / most)

    lines: list[str] = []
    for seconds in range(0, int(most) + 1, 20):
        _, y = at(0, seconds)
        lines.append(writer.line(left, y, left + width, y, stroke="#dddddd"))
        lines.append(writer.text(left - 8, y + 4, f"{seconds} s", anchor="end", fill="#444444"))
    for scale in sorted({scale for each in points.values() for scale, _ in each}):
        x, _ = at(scale, 0)
        label = f"{1000 * EACH * scale:g}"
        lines.append(writer.text(x, top + height + 20, label, anchor="middle", fill="#444444"))
    axis = "milliseconds per token (and 6.7 times that to the first one)"
    lines.append(writer.text(left + width / 2, top + height + 44, axis, anchor="middle", fill="#444444"))
    for (company, each), colour in zip(points.items(), ("#b8860b", "#2e7d32", "#1f6fb2"), strict=False):
        spots = [at(scale, seconds) for scale, seconds in each]
        lines.append(writer.polyline(spots, stroke=colour, stroke_width=2.5))
        lines += [writer.circle(x, y, 3.5, fill=colour) for x, y in spots]
        x, y = spots[-1]
        lines.append(writer.text(x + 8, y + 4, f"{company}, {each[-1][1]:.0f} s", fill=colour))
    for known, label in ((BEFORE, "1.0, 113 s"), (TARGET, "half of it")):
        x, y = at(1, known)
        cross = f"M{x - 5:.1f},{y:.1f}h10M{x:.1f},{y - 5:.1f}v10"
        lines.append(writer.element("path", d=cross, stroke="#a02020", stroke_width=2))
        lines.append(writer.text(x - 10, y + 4, label, anchor="end", fill="#a02020"))
    style = "text { font: 13px sans-serif; } .paper { fill: #ffffff; }"
    return writer.document(left + width + 90, top + height + 60, lines, style=style, fixed=False)


def main() -> None:
    """Measure, and print the table and the critical path at the largest scale."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--scale", type=float, nargs="+", default=[0.0, 0.5, 1.0])
    options.add_argument("--company", nargs="+", default=["classic", "default", "full"])
    options.add_argument("--svg", type=Path)
    chosen = options.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    print(
        "| company | ms/token | wall time (s) | all calls (s) | path: calls | programs | between | calls | tokens "
        "| ends |"
    )
    print("| --- " * 10 + "|")
    points: dict[str, list[tuple[float, float]]] = {company: [] for company in chosen.company}
    records: tuple[Record, ...] = ()
    for company in chosen.company:
        for scale in sorted(chosen.scale):
            wall, records = measure(company, scale)
            points[company].append((scale, wall))
            told(company, scale, wall, records)
    print(f"\nThe critical path of {chosen.company[-1]} at the last scale:\n")
    for leg in path.critical(records).legs:
        print(f"{leg.began:7.1f} s  {formatting.seconds(leg.seconds):>8}  {leg.what} ({leg.phase})")
    if chosen.svg:
        chosen.svg.write_text(chart(points), encoding="utf-8")


if __name__ == "__main__":
    main()
