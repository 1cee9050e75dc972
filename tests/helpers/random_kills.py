"""Kills runs at random moments, races and calls side by side among them, and resumes each until it ends.

``python -m helpers.random_kills ENDPOINT COUNT SEED FOLDER``: attempts are forked from one process that has everything
imported. A moment is drawn as a number of records and some milliseconds after the last of them, so that a seed comes
close to the same moments again. Prints a JSON line per run; see ``Life``.
"""

import asyncio
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import msgspec

from chatdev import runs
from chatdev.journal import events
from chatdev.journal.store import Record, Store, read
from chatdev.playback.faults import FaultSpec
from chatdev.playback.server import Playback
from helpers import scripts
from helpers.kill_driver import live, product
from helpers.support import ANSWERS, recording

LONGEST = 0.06
"""Seconds after a record within which a kill comes."""


class Life(msgspec.Struct):
    """What a run went through. ``kills`` are the records that the log held at each of its deaths; ``lost`` whether a
    record that was whole then is not in the log that it ended with; ``again`` the places of synced effects that were
    asked for once more; ``doubled`` those of records that stand there twice."""

    seed: int
    kills: list[int] = []
    lost: bool = False
    again: list[str] = []
    verdict: str = ""
    doubled: list[str] = []
    product: dict[str, str] = {}


class MortalStore(Store):
    """Ends the process some milliseconds after it holds so many records."""

    records_to_live = 0
    delay = 0.0

    def append(self, event: events.Any) -> Record:
        record = super().append(event)
        if record.n == self.records_to_live:
            threading.Timer(self.delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
        return record


def attempt(endpoint: str, folder: Path, records: int = 0, delay: float = 0.0) -> int:
    """One life of a run, in a process of its own; how that process ended. It lives on if ``records`` is 0."""
    child = os.fork()
    if not child:
        MortalStore.records_to_live, MortalStore.delay = records, delay
        live(endpoint, folder, MortalStore)
    return os.waitpid(child, 0)[1]


def one(endpoint: str, folder: Path, seed: int, longest: int) -> Life:
    """Kill one run up to twice, and let it end."""
    chance = random.Random(seed)
    log, requests = runs.log_of(folder), folder / ".chatdev" / "asked"
    kills: list[int] = []
    again: set[str] = set()
    lost = False
    kept = b""
    for life in range(chance.randint(1, 2) + 1):
        synced = {record.event.place for record in read(log) if isinstance(record.event, events.ModelAnswered)}
        requests.write_text("")
        here = len(read(log))
        last = life > 0 and not chance.randint(0, 2)
        ended = attempt(
            endpoint, folder, 0 if last else chance.randint(here + 1, max(longest, here + 2)), chance.random() * LONGEST
        )
        again |= synced & set(requests.read_text().split())
        lost = lost or not log.read_bytes().startswith(kept)
        if ended == 0:
            break
        records = read(log)
        kills.append(len(records))
        kept = b"".join(log.read_bytes().splitlines(keepends=True)[: len(records)])
    else:
        attempt(endpoint, folder)
        lost = lost or not log.read_bytes().startswith(kept)
    return told(folder, Life(seed, kills, lost, sorted(again)))


def told(folder: Path, life: Life) -> Life:
    """With what the run's log and folder hold in the end."""
    log = runs.log_of(folder)
    placed = [record.event for record in read(log) if isinstance(record.event, events.Effect | events.Derived)]
    places = [f"{event.place} {type(event).__name__}" for event in placed]
    finished = runs.finished(read(log))
    life.verdict = finished.verdict if finished else ""
    life.doubled = sorted({place for place in places if places.count(place) > 1})
    life.product = product(folder)
    return life


async def killed(folder: Path, count: int, seed: int) -> list[dict[str, object]]:
    """Let a process of its own kill ``count`` runs in ``folder``; a ``Life`` for each, after that of one let live."""
    pace = FaultSpec(first_token=0.02, per_token=0.0005)
    async with Playback(recording(ANSWERS), manners=(pace,)) as endpoint:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "helpers.random_kills",
            endpoint,
            str(count),
            str(seed),
            str(folder),
            env=scripts.environment(),
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


def main(endpoint: str, count: int, seed: int, warehouse: Path) -> None:
    """Kill ``count`` runs; the first line is of one that was let live."""
    order = runs.RunRequest(task="greet", name="Greeting", config="full", candidates=2)
    longest = 1_000_000
    for number in range(count + 1):
        folder = runs.begin(order, warehouse)
        if number == 0:
            attempt(endpoint, folder)
            longest = len(read(runs.log_of(folder)))
        life = one(endpoint, folder, seed + number, longest) if number else told(folder, Life(seed))
        print(msgspec.json.encode(life).decode(), flush=True)
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
