"""A night in small: many projects through a server that fails some of its calls, and runs that are killed at random.

    make soak                                       1,000 projects, 200 killed runs, after a kill at every effect
    make soak SOAK="--projects 100 --kills 20"

Every project must end with the verdict that it has when nothing fails; one whose endpoint is given up is resumed, as
its user would. In the end nothing may be left of all that: no memory, no file descriptor, no process, no temporary
folder. Prints what was measured, and leaves with 1 if anything was wrong.
"""

import argparse
import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
from helpers.random_kills import killed
from helpers.support import ANSWERS, recording

from chatdev import runs, wiring
from chatdev.journal.events import LimitReached, ModelAnswered
from chatdev.journal.store import read
from chatdev.models.choose import choose
from chatdev.models.errors import ModelError
from chatdev.playback.recording import write
from chatdev.settings import load

FAULTS = (
    "status = 500",
    "status = 503",
    "status = 429",
    "status = 429, retry_after = 1",
    "status = 408",
    'unauthorized = "string"',
    'unauthorized = "object"',
    'reset = "request"',
    'reset = "headers"',
    "html = true",
    'fault = "error", after = 3',
    'fault = "cut", after = 5',
    'fault = "drop", after = 0',
    'fault = "drop", after = 5',
    'fault = "stall", after = 0',
    'fault = "stall", after = 5',
    'fault = "half", after = 5',
    'fault = "trickle", after = 5, per_token = 0.1',
)
"""What goes wrong, each as often as the others."""
BAD = ('fault = "repeat"', "empty = true", "null_content = true, empty = true", "null_content = true")
"""Answers that come and are of no use. What is asked again counts against a limit, so that there the right verdict is
another one: only projects without a limit meet these, beside all the others."""
CODING = "Coding.1/Programmer.1/ask.1"
MENDING = "CodeReview.1/CodeReviewModification.1/Programmer.1/ask.1"
"""Asked after reviews of which nothing could be read."""
CHOICES = {
    f"{phase}.1/{role}/ask.1": f"<INFO> {choice}"
    for phase, choice in (("DemandAnalysis", "command line"), ("LanguageChoose", "Python"))
    for role in (
        "ChiefExecutiveOfficer.1", "ChiefProductOfficer.2", "ChiefTechnologyOfficer.2", "ChiefExecutiveOfficer.2",
        "Counselor.1",
    )
}  # fmt: skip
"""What is asked besides where an answer was of no use."""
SHARE = 0.05
"""Of all calls, so many fail."""
SPOILT = "spoil the greeting"
KINDS: tuple[tuple[str, dict[str, float]], ...] = (
    ("greet", {}),
    ("greet", {"calls": 4}),
    ("greet", {}),
    (SPOILT, {"calls": 4}),
    ("greet", {}),
    ("greet", {"calls": 3}),
)
"""Task and limits of the projects, in turn: they end passed, passed without documents, failed, without a program;
the first kind half of the time."""
DEADLINES = "[deadlines]\nfirst_token = 2.0\nidle = 1.0\ntotal = 60.0\n"
WARM = 0.2
"""The share of the projects after which memory must not grow any more, and by how much it may: in MB."""
GROWTH = 12.0


class Left(msgspec.Struct):
    """What this process holds at a moment."""

    megabytes: float
    files: int
    processes: int
    folders: int


def left(temporary: Path) -> Left:
    """Counted from ``/proc`` and the folder for temporary files."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    children = "".join(path.read_text() for path in Path("/proc/self/task").glob("*/children")).split()
    return Left(
        round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1),
        len(list(Path("/proc/self/fd").iterdir())),
        len(children),
        len(list(temporary.iterdir())),
    )


@contextlib.asynccontextmanager
async def serving(*recorded: Path, manners: Sequence[str] = ()) -> AsyncIterator[str]:
    """A playback server in a process of its own."""
    words = [word for manner in manners for word in ("--manner", manner)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "chatdev", "playback", "--port", "0", *words, *map(str, recorded), stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).split()[2].decode()
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


class Project(msgspec.Struct):
    """How a project went."""

    verdict: str
    calls: int
    tries: int
    resumed: int


async def project(endpoint: str, home: Path, task: str, limits: dict[str, float], candidates: int = 0) -> Project:
    """Take a project to its end, over as many attempts as that needs."""
    order = runs.RunRequest(task=task, name="Greeting", config="full", limits=limits, candidates=candidates)
    folder = runs.begin(order, home / "WareHouse")
    last = ""
    try:
        for resumed in range(20):
            try:
                choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, home))
                try:
                    verdict = await wiring.work(folder, choice)
                finally:
                    await choice.backend.aclose()
                found = [record.event for record in read(runs.log_of(folder))]
                answers = [event for event in found if isinstance(event, ModelAnswered)]
                assert bool(limits) == any(isinstance(event, LimitReached) for event in found)
                return Project(verdict.verdict, len(answers), sum(answer.tries for answer in answers), resumed)
            except ModelError as error:
                last = error.what
        return Project(f"given up: {last}", 0, 0, 20)
    finally:
        shutil.rmtree(folder)


def shared(faults: Sequence[str]) -> list[str]:
    """Manners by which so many of all calls fail, each fault in its turn."""
    return [f"share = {SHARE / len(faults):.6f}, {fault}" for fault in faults]


async def projects(home: Path, count: int, at_once: int, candidates: int) -> bool:
    """Run them all; whether all is well."""
    temporary = Path(tempfile.gettempdir())
    spoilt = ANSWERS | {CODING: ANSWERS[CODING].replace('"hello"', '"bye"')}
    recorded = (home / "greet.recording", home / "spoil.recording")
    for path, answers, task in zip(recorded, (ANSWERS, spoilt), ("greet", SPOILT), strict=True):
        again = (
            CHOICES
            | {MENDING: answers[CODING]}
            | {place.replace("ask.1", f"ask.{n}"): text for place, text in answers.items() for n in (1, 2, 3)}
        )
        played = msgspec.structs.replace(recording(again), task=task)
        path.write_text(write(played), encoding="utf-8")
    (home / "chatdev.toml").write_text(DEADLINES, encoding="utf-8")
    async with serving(*recorded) as endpoint:
        right = [(await project(endpoint, home, *kind)).verdict for kind in KINDS]
    print("verdicts without faults:", "; ".join(right), flush=True)
    gate, done = asyncio.Semaphore(at_once), list[tuple[str, Project]]()
    warm = left(temporary)
    began = time.monotonic()

    async def one(number: int, limited: str, free: str) -> None:
        nonlocal warm
        async with gate:
            kind = number % len(KINDS)
            endpoint = limited if KINDS[kind][1] else free
            done.append((right[kind], await project(endpoint, home, *KINDS[kind], 0 if KINDS[kind][1] else candidates)))
        if len(done) == int(count * WARM):
            warm = left(temporary)
        if len(done) % 50 == 0:
            print(f"{len(done)} projects, {time.monotonic() - began:.0f} s, {left(temporary)}", flush=True)

    before = left(temporary)
    async with (
        serving(*recorded, manners=shared(FAULTS)) as limited,
        serving(*recorded, manners=shared(FAULTS + BAD)) as free,
    ):
        await asyncio.gather(*(one(number, limited, free) for number in range(count)))
    after = left(temporary)
    wrong = Counter((expected, ran.verdict) for expected, ran in done if ran.verdict != expected)
    tries, calls = sum(ran.tries for _, ran in done), sum(ran.calls for _, ran in done)
    resumed = sum(ran.resumed for _, ran in done)
    print(f"{count} projects in {time.monotonic() - began:.0f} s: {calls} answers in {tries} tries, {resumed} resumes")
    print(f"verdicts: {dict(Counter(ran.verdict for _, ran in done))}; wrong: {dict(wrong) or 'none'}")
    print(f"before: {before}\nwarm:   {warm}\nafter:  {after}")
    flat = after.megabytes - warm.megabytes < GROWTH
    clean = (after.files, after.processes, after.folders) == (before.files, before.processes, before.folders)
    return not wrong and flat and clean


async def kills(home: Path, count: int, seed: int) -> bool:
    """Kill runs at random moments; whether all of them came to the same product, with nothing lost or repeated."""
    whole, *lives = await killed(home, count, seed)
    bad = [
        life
        for life in lives
        if life["verdict"] != "passed"
        or life["product"] != whole["product"]
        or life["lost"]
        or life["again"]
        or life["doubled"]
    ]
    deaths = [record for life in lives if isinstance(life["kills"], list) for record in life["kills"]]
    print(
        f"{len(lives)} runs killed {len(deaths)} times, at records {min(deaths)} to {max(deaths)}; bad: {bad or 'none'}"
    )
    return not bad


def main() -> None:
    """Parse, run, and leave with 0 if all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--projects", type=int, default=1_000)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--candidates", type=int, default=0, help="of projects without a limit")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="chatdev-soak-") as name:
        home = Path(name)
        for folder in ("tmp", "kills"):
            (home / folder).mkdir()
        tempfile.tempdir = str(home / "tmp")
        well = not given.projects or asyncio.run(projects(home, given.projects, given.at_once, given.candidates))
        well = (not given.kills or asyncio.run(kills(home / "kills", given.kills, given.seed))) and well
    print("all is well" if well else "SOMETHING IS WRONG")
    sys.exit(not well)


if __name__ == "__main__":
    main()
