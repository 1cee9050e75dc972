"""The driver and its nodes without Ray: what must hold whatever the engine says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest
from helpers.support import ANSWERS, recording

from chatdev import runs
from chatdev.errors import ChatDevError, UserError
from chatdev.fleet import cluster, tasks
from chatdev.fleet.cluster import Cluster, Worker, WorkerLost
from chatdev.fleet.ledger import BatchTask, Ledger, Result, abandoned_mark
from chatdev.fleet.node import Failure, FencedStore, Node, NodeOpened, NodeReport, NodeSetup, Reassigned
from chatdev.fleet.plan import BatchPlan
from chatdev.fleet.pool import PoolStatus
from chatdev.fleet.tasks import TaskRow
from chatdev.journal import events
from chatdev.journal.events import ModelAnswered, RunFinished
from chatdev.journal.store import Store, read
from chatdev.playback.faults import parse
from chatdev.playback.server import Playback
from chatdev.settings import load

T = TypeVar("T")


class Far:
    """A node's process as the network shows it: once ``dead``, no call arrives, and the process goes on all the same.
    While it ``hangs``, none is answered."""

    def __init__(self, node: Node) -> None:
        self.node, self.hangs, self.killed = node, False, False
        self.dead = asyncio.Event()

    async def open(self, limit: float | None) -> NodeOpened:
        return await self._called(self.node.open(limit))

    async def turn(self, more: Sequence[BatchTask], limit: float | None) -> NodeReport:
        return await self._called(self.node.turn(more, limit))

    async def close(self) -> None:
        await self.node.close()

    def kill(self) -> None:
        self.killed = True

    async def _called(self, call: Coroutine[Any, Any, T]) -> T:
        calling, plug = asyncio.create_task(call), asyncio.create_task(self.dead.wait())
        await asyncio.wait((calling, plug), return_when=asyncio.FIRST_COMPLETED)
        if self.hangs:
            await asyncio.Event().wait()
        if self.dead.is_set():
            await asyncio.wait((calling,))  # the process goes on, and nobody hears what it says
            raise WorkerLost("the test pulled its plug")
        plug.cancel()
        return await calling


class Scripted:
    """A node's process that says what a test wants."""

    def __init__(
        self, script: Callable[[Sequence[BatchTask], float | None], NodeReport], opened: NodeOpened | None = None
    ) -> None:
        self.script, self.opened = script, opened or NodeOpened("there")

    async def open(self, limit: float | None) -> NodeOpened:
        await asyncio.sleep(0)
        return self.opened

    async def turn(self, more: Sequence[BatchTask], limit: float | None) -> NodeReport:
        await asyncio.sleep(0)
        return self.script(more, limit)

    async def close(self) -> None:
        """Nothing is open."""

    def kill(self) -> None:
        """Nothing is alive."""


class Fake:
    """An engine: ``start`` makes members."""

    def __init__(self, nodes: Sequence[str], start: Callable[[str, NodeSetup], Worker]) -> None:
        self.there, self._start = list(nodes), start

    async def nodes(self) -> Sequence[str]:
        return list(self.there)

    def start(self, node: str, setup: NodeSetup) -> Worker:
        return self._start(node, setup)


class Batch:
    """A batch of small projects, and what was told of it."""

    def __init__(self, folder: Path, endpoint: str, count: int, **settings: Any) -> None:
        self.folder = folder
        self.ledger = Ledger(folder, BatchPlan(config="full"))
        rows = [TaskRow(f"Greeting {number}", f"greet, for the {number}th time") for number in range(count)]
        self.asked: Sequence[BatchTask] = self.ledger.add(tasks.identities(rows))
        code, self.before = self.ledger.share()
        set_up = msgspec.structs.replace(load({"VLLM_ENDPOINT": endpoint}, folder), **settings)
        self.setup = NodeSetup(folder=folder, code=code, plan=self.ledger.plan, settings=set_up, jobs=2)
        self.said: list[str] = []
        self.ended: list[Result] = []

    def cluster(self, engine: Fake, **given: float) -> Cluster:
        return Cluster(engine, self.ledger, self.setup, self.said.append, **{"joining": 0.01, "alone": 0.02} | given)

    def take(self, result: Result) -> None:
        self.ledger.put(result)
        self.ended.append(result)

    def log(self, result: Result) -> list[events.Any]:
        return [record.event for record in read(runs.log_of(self.folder / result.folder))]


@pytest.fixture
async def endpoint() -> AsyncIterator[str]:
    async with Playback(recording(ANSWERS), manners=[parse("first_token = 0.6")]) as endpoint:
        yield endpoint


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chatdev.fleet.node.WAIT", 0.05)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "batch"


async def test_all_nodes_work_and_each_project_ends_once(home: Path, endpoint: str) -> None:
    batch = Batch(home, endpoint, 7)
    far: list[Far] = []

    def start(node: str, setup: NodeSetup) -> Far:
        far.append(Far(Node(setup)))
        return far[-1]

    await batch.cluster(Fake(["one", "two"], start)).run(batch.asked, batch.take)
    assert sorted(each.name for each in batch.ended) == [f"Greeting {n}" for n in range(7)]
    assert {each.status for each in batch.ended} == {"passed"}
    assert len(far) == 2
    assert all(each.killed for each in far)
    assert all(any(f"({name})" in message for message in batch.said) for name in ("one", "two"))
    batch.ledger.close()


@pytest.mark.parametrize("how", ["dead", "hangs"])
async def test_a_node_that_is_given_up_writes_no_more_and_its_projects_go_on(
    home: Path, endpoint: str, how: str
) -> None:
    batch = Batch(home, endpoint, 4)
    far: list[Far] = []

    def start(node: str, setup: NodeSetup) -> Far:
        far.append(Far(Node(setup)))
        return far[-1]

    async def carried() -> None:
        await batch.cluster(Fake(["one"], start), lease=2 if how == "hangs" else 60).run(batch.asked, batch.take)

    work = asyncio.create_task(carried())
    logs: list[Path] = []
    while not any(log.read_bytes().count(b"model.answered") for log in logs):
        logs = sorted(home.glob("projects/*/.chatdev/events.jsonl"))
        await asyncio.sleep(0.005)
    kept = {log: read(log)[:-1] for log in logs}  # the last record may be on its way to the disk
    far[0].hangs = how == "hangs"
    far[0].dead.set()
    while not batch.said[1:]:
        await asyncio.sleep(0.005)
    assert "is unreachable" in batch.said[-1]
    await work
    assert [each.status for each in batch.ended] == ["passed"] * 4
    late = await far[0].node.turn((), None)  # the one that was given up went on all the while
    assert {each.id for each in late.results} <= {task.id for task in batch.asked}
    assert all(each.error for each in late.results if each.go < batch.ledger.tasks[each.id].go)
    for each in late.results:
        batch.ledger.put(each)
    assert len((home / "results.jsonl").read_bytes().splitlines()) == 4
    for each in batch.ended:
        found = batch.log(each)
        places = [event.place for event in found if isinstance(event, ModelAnswered)]
        assert len(places) == len(set(places))
        assert sum(isinstance(event, RunFinished) for event in found) == 1
    moved = [each for each in batch.ended if each.go > 1]
    assert moved
    for each in moved:
        before = batch.ledger.tasks[each.id].before[0]
        acknowledged = kept.get(runs.log_of(home / "projects" / before), ())
        assert [record.event for record in acknowledged] == batch.log(each)[: len(acknowledged)]
    await far[0].node.close()
    batch.ledger.close()


async def test_a_driver_that_starts_again_takes_over_what_others_may_be_at(home: Path, endpoint: str) -> None:
    first = Batch(home, endpoint, 3)
    node = Node(first.setup)
    await node.open(None)
    await node.turn(first.asked[:2], None)
    first.ledger.close()  # and its driver is gone
    second = Batch(home, endpoint, 3)
    assert second.before
    left = [second.ledger.reassign(task) for task in second.ledger.unfinished(second.asked)]
    assert [task.go for task in left] == [2, 2, 2]
    await second.cluster(Fake(["one"], lambda node, setup: Far(Node(setup)))).run(left, second.take)
    assert [each.status for each in second.ended] == ["passed"] * 3
    await node.close()
    for task in left:
        assert not (home / "projects" / task.before[0] / ".chatdev" / "events.jsonl").exists()
    second.ledger.close()


async def test_a_project_that_ended_unheard_is_reported_and_not_done_again(home: Path, endpoint: str) -> None:
    batch = Batch(home, endpoint, 1)
    node = Node(batch.setup)
    await node.open(None)
    while not (turn := await node.turn((), None) if batch.ended else await node.turn(batch.asked, None)).results:
        batch.asked = ()
    await node.close()
    task = next(iter(batch.ledger.tasks.values()))
    same = batch.ledger.reassign(task)
    assert same == task
    assert not abandoned_mark(home, task.folder).exists()
    await batch.cluster(Fake(["one"], lambda node, setup: Far(Node(setup)))).run([same], batch.take)
    assert [each.calls for each in batch.ended] == [turn.results[0].calls]
    batch.ledger.close()


def answers(home: Path, *, dies: bool = False, failure: Failure | None = None) -> Callable[[str, NodeSetup], Scripted]:
    """Members of which each turn fails one way."""

    def script(more: Sequence[BatchTask], limit: float | None) -> NodeReport:
        if dies and more:
            raise WorkerLost("gone")
        return NodeReport(status=PoolStatus(0, 4, 0, 0, 0), failure=failure)

    return lambda node, setup: Scripted(script)


async def test_what_stops_the_last_node_stops_the_batch(home: Path, endpoint: str) -> None:
    batch = Batch(home, endpoint, 2)
    failure = Failure("The key was refused.", ("once",), "Set another.", 2)
    with pytest.raises(ChatDevError, match="The key was refused") as raised:
        await batch.cluster(Fake(["one", "two"], answers(home, failure=failure))).run(batch.asked, batch.take)
    assert raised.value.exit_status == 2
    assert raised.value.tried == ("once",)
    assert len(batch.said) == 2
    batch.ledger.close()


async def test_a_cluster_without_nodes_is_reported(home: Path, endpoint: str) -> None:
    batch = Batch(home, endpoint, 1)
    with pytest.raises(UserError, match="no available nodes"):
        await batch.cluster(Fake([], answers(home))).run(batch.asked, batch.take)
    batch.ledger.close()


async def test_a_node_that_dies_again_and_again_gets_no_more(home: Path, endpoint: str) -> None:
    batch = Batch(home, endpoint, 1)
    with pytest.raises(ChatDevError, match=f"died {cluster.STARTS} times"):
        await batch.cluster(Fake(["one"], answers(home, dies=True))).run(batch.asked, batch.take)
    assert next(iter(batch.ledger.tasks.values())).go == 1 + cluster.STARTS
    batch.ledger.close()


async def test_a_project_under_which_nodes_die_is_taken_out(home: Path, endpoint: str) -> None:
    batch = Batch(home, endpoint, 1)
    nodes = [f"node {number}" for number in range(cluster.ATTEMPTS)]
    await batch.cluster(Fake(nodes, answers(home, dies=True))).run(batch.asked, batch.take)
    assert [each.status for each in batch.ended] == ["error"]
    assert "nodes died" in batch.ended[0].error
    assert set(batch.ledger.results) == {task.id for task in batch.asked}
    batch.ledger.close()


async def test_nodes_together_never_may_spend_more_than_the_limit(home: Path, endpoint: str) -> None:
    batch = Batch(home, endpoint, 12, max_cost=1.0)
    granted: dict[str, float] = {}
    spent: dict[str, float] = {}
    over: list[float] = []

    def start(node: str, setup: NodeSetup) -> Scripted:
        held: list[BatchTask] = []

        def script(more: Sequence[BatchTask], limit: float | None) -> NodeReport:
            assert limit is not None
            granted[node] = max(limit, spent.get(node, 0.0))
            held.extend(more)
            over.append(sum(granted.values()))
            done = [held.pop()] if held else []
            wants = 0.5 if node == "one" else 0.01
            spent[node] = min(spent.get(node, 0.0) + wants, granted[node])
            results = tuple(
                Result(
                    name=each.row.name, verdict="passed", status="passed", seconds=0, calls=0, prompt_tokens=0,
                    completion_tokens=0, cost=0, folder="", id=each.id, go=each.go,
                )
                for each in done
            )  # fmt: skip
            return NodeReport(results, PoolStatus(0, 1, 0, 0, 0), granted[node], spent[node])

        return Scripted(script)

    await batch.cluster(Fake(["one", "two", "three"], start)).run(batch.asked, batch.take)
    assert len(batch.ended) == 12
    assert max(over) <= 1.0 + 1e-9
    assert spent["one"] > 1 / 3  # more than its first share, since the others needed less
    batch.ledger.close()


async def test_a_folder_that_is_not_shared_and_another_version_are_refused(home: Path, endpoint: str) -> None:
    batch = Batch(home, endpoint, 1)
    for wrong, message in (({"code": "another"}, "not the batch's folder"), ({"version": "0.0.1"}, "node has ChatDev")):
        opened = await Node(msgspec.structs.replace(batch.setup, **wrong)).open(None)
        assert opened.failure
        assert message in opened.failure.what
    gone = msgspec.structs.replace(batch.setup, folder=home / "elsewhere")
    assert (await Node(gone).open(None)).failure
    batch.ledger.close()


async def test_a_node_uses_the_server_beside_it(home: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = Batch(home, "http://127.0.0.1:9", 1)
    monkeypatch.setenv("VLLM_ENDPOINT", endpoint)
    node = Node(batch.setup)
    opened = await node.open(0.5)
    assert endpoint in opened.notes[0]
    assert (await node.turn((), 0.25)).limit == 0.25
    await node.close()
    typed = Node(msgspec.structs.replace(batch.setup, endpoints_typed=True))
    failure = (await typed.open(None)).failure
    assert failure
    assert "127.0.0.1:9" in str(failure.error())
    batch.ledger.close()


async def test_a_node_stops_when_no_one_asks_it_any_more(home: Path, endpoint: str) -> None:
    batch = Batch(home, endpoint, 1)
    node = Node(batch.setup, silence=0.05)
    await node.open(None)
    await asyncio.sleep(0.2)
    turn = await node.turn(batch.asked, None)
    assert turn.failure
    assert "received no calls" in turn.failure.what
    await node.close()
    batch.ledger.close()


async def test_a_log_whose_project_was_handed_on_takes_nothing_more(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    store = FencedStore(tmp_path / "run" / "events.jsonl", mark)
    store.append(events.AttemptStopped(1, "a test"))
    await store.sync()
    mark.touch()
    store.append(events.AttemptStopped(2, "a test"))
    with pytest.raises(Reassigned, match="refused"):
        await store.sync()
    store.close()
    with pytest.raises(Reassigned):
        FencedStore(tmp_path / "run" / "events.jsonl", mark)
    Store(tmp_path / "run" / "events.jsonl").close()
