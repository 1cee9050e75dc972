"""A batch on a real cluster: nodes die, come late, join; the driver dies. Each project ends once and right."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ray_nodes import ROOT, Nodes
from ray_nodes import endpoint as endpoint
from ray_nodes import nodes as nodes

from chatdev import runs
from chatdev.fleet import tasks
from chatdev.fleet.cluster import Cluster
from chatdev.fleet.engine import RayEngine
from chatdev.fleet.ledger import Ledger, Result
from chatdev.fleet.node import NodeSetup
from chatdev.fleet.plan import BatchPlan
from chatdev.journal.events import AttemptStarted, ModelAnswered, RunFinished
from chatdev.journal.store import Record, read
from chatdev.settings import load

pytestmark = pytest.mark.cluster
COUNT = 18


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.csv"
    rows = "".join(f'Greeting {number},"greet, for the {number}th time"\n' for number in range(COUNT))
    path.write_text(f"Name,Description\n{rows}", encoding="utf-8")
    return path


def batch(nodes: Nodes, endpoint: str, listed: Path, out: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "chatdev", "batch", str(listed), "--ray", nodes.address, "--jobs", "2"]
    command += ["--config", "full"]
    environ = os.environ | {"VLLM_ENDPOINT": endpoint}
    with (out.parent / "driver.log").open("a") as log:
        return subprocess.Popen([*command, "--out", str(out)], env=environ, cwd=ROOT, stdout=log, stderr=log, text=True)


def until(condition: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def answered(out: Path) -> int:
    return sum(log.read_text(errors="replace").count('"model.answered"') for log in logs(out))


def logs(out: Path) -> list[Path]:
    return sorted(out.glob("projects/*/.chatdev/events.jsonl"))


class Kept:
    """Every record that was ever seen as acknowledged in a log of a batch, whoever gave the log up since."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.seen: dict[str, dict[str, float]] = {}

    def look(self) -> None:
        for log in logs(self._out):
            for record in read(log)[:-1]:  # the last may be on its way to the disk
                if isinstance(record.event, ModelAnswered):
                    kept = self.seen.setdefault(self._task(log), {})
                    kept.setdefault(str(record.event.place), record.at)

    @staticmethod
    def _task(log: Path) -> str:
        return (next(log.parent.parent.glob("*.prompt"), log)).name


def right(out: Path) -> dict[str, tuple[Record, ...]]:
    """The logs of a batch that has ended, once all is found right in them."""
    results = [json.loads(line) for line in lines(out / "results.jsonl")]
    assert Counter(each["name"] for each in results) == {f"Greeting {number}": 1 for number in range(COUNT)}
    assert {each["verdict"] for each in results} == {"passed"}
    assert len(lines(out / "results.csv")) == COUNT + 1
    found = {}
    for each in results:
        records = read(runs.log_of(out / each["folder"]))
        places = Counter(str(record.event.place) for record in records if isinstance(record.event, ModelAnswered))
        assert set(places.values()) == {1}
        assert sum(isinstance(record.event, RunFinished) for record in records) == 1
        assert (out / each["folder"] / "words.py").is_file()
        assert (out / each["folder"] / "REPORT.md").is_file()
        found[each["folder"]] = records
    assert {f"projects/{folder.name}" for folder in (out / "projects").iterdir()} == set(found)
    return found


@pytest.fixture
def out(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "out"
    print((tmp_path / "driver.log").read_text() if (tmp_path / "driver.log").exists() else "")


def test_every_node_works_and_each_project_ends_once(nodes: Nodes, endpoint: str, listed: Path, out: Path) -> None:
    driver = batch(nodes, endpoint, listed, out)
    until(lambda: len(nodes.pids()) == 3)
    assert driver.wait(180) == 0
    found = right(out)
    assert all(len([r for r in each if isinstance(r.event, AttemptStarted)]) == 1 for each in found.values())
    until(lambda: not nodes.pids())


def test_a_killed_worker_a_removed_node_and_a_new_one(nodes: Nodes, endpoint: str, listed: Path, out: Path) -> None:
    driver = batch(nodes, endpoint, listed, out)
    until(lambda: answered(out) > 8 and len(nodes.pids()) == 3)
    os.kill(next(iter(nodes.pids())), signal.SIGKILL)
    until(lambda: answered(out) > 20)
    nodes.remove(next(node for node in nodes.cluster.worker_nodes))
    nodes.add()
    assert driver.wait(180) == 0
    found = right(out)
    attempts = [sum(isinstance(record.event, AttemptStarted) for record in records) for records in found.values()]
    assert max(attempts) > 1
    told = (out.parent / "driver.log").read_text()
    assert told.count("is unreachable") >= 2


def test_a_killed_driver_is_started_again(nodes: Nodes, endpoint: str, listed: Path, out: Path) -> None:
    driver = batch(nodes, endpoint, listed, out)
    until(lambda: answered(out) > 15)
    kept = Kept(out)
    kept.look()
    driver.kill()
    driver.wait()
    again = batch(nodes, endpoint, listed, out)
    assert again.wait(180) == 0
    times = {
        Kept._task(runs.log_of(out / folder)): {
            str(record.event.place): record.at for record in records if isinstance(record.event, ModelAnswered)
        }
        for folder, records in right(out).items()
    }
    assert kept.seen
    for task, effects in kept.seen.items():
        assert effects.items() <= times[task].items()


async def test_a_late_writer_is_refused(nodes: Nodes, endpoint: str, listed: Path, out: Path) -> None:
    settings = load({"VLLM_ENDPOINT": endpoint}, out.parent)
    ledger = Ledger(out, BatchPlan(config="full"))
    asked = ledger.add(tasks.identities(tasks.read(listed)))
    code, _ = ledger.share()
    setup = NodeSetup(folder=out.resolve(), code=code, plan=ledger.plan, settings=settings, jobs=2)
    told: list[str] = []
    engine = await RayEngine.joined(nodes.address)
    late: set[str] = set()
    try:
        cluster = Cluster(engine, ledger, setup, told.append, lease=4, joining=0.5)
        ended: list[Result] = []

        def take(result: Result) -> None:
            ledger.put(result)
            ended.append(result)

        work = asyncio.create_task(cluster.run(asked, take))
        while len(pids := nodes.pids()) < 3 or answered(out) < 9:
            await asyncio.sleep(0.05)
        stopped = next(iter(pids))
        os.kill(stopped, signal.SIGSTOP)
        while not any("is unreachable" in each for each in told):
            await asyncio.sleep(0.05)
        late = {each.name for each in (out / ".batch" / "given-up").iterdir()}
        os.kill(stopped, signal.SIGCONT)
        await asyncio.wait_for(work, 180)
        assert len(ended) == COUNT
    finally:
        await engine.close()
        ledger.close()
    assert late
    assert not {each.folder.removeprefix("projects/") for each in ended} & late
    right(out)
