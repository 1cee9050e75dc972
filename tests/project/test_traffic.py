"""What a run logs of the server's own counters; tests/servers has the same against a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdev.journal.events import ServerCounted
from chatdev.journal.store import Store
from chatdev.models.backend import StubModel
from chatdev.models.errors import Unreachable
from chatdev.models.metrics import Load
from chatdev.project import traffic

BEFORE = Load(engine="vllm", running=1, prefix_queries=1000, prefix_hits=400, preemptions=2)
AFTER = Load(engine="vllm", running=0, prefix_queries=3000, prefix_hits=1900, preemptions=5)


class Counting(StubModel):
    """Tells these loads in turn."""

    def __init__(self, *loads: Load | None) -> None:
        self.loads = list(loads)

    async def load(self) -> Load | None:
        return self.loads.pop(0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "events.jsonl")
    yield store
    store.close()


async def test_the_difference_is_logged_at_the_end(store: Store) -> None:
    async with traffic.counted(Counting(BEFORE, AFTER), store, 3):
        assert store.records == []
    assert [record.event for record in store] == [ServerCounted(3, "vllm", 2000, 1500, 3)]


async def test_an_attempt_that_fails_is_counted_too(store: Store) -> None:
    with pytest.raises(Unreachable):
        async with traffic.counted(Counting(BEFORE, AFTER), store, 1):
            raise Unreachable("gone")
    assert [type(record.event) for record in store] == [ServerCounted]


async def test_a_server_that_tells_nothing_is_asked_once(store: Store) -> None:
    model = Counting(None, AFTER)
    async with traffic.counted(model, store, 1):
        pass
    assert (model.loads, store.records) == ([AFTER], [])


async def test_an_interruption_does_not_wait_for_it(store: Store) -> None:
    model = Counting(BEFORE, AFTER)
    with pytest.raises(KeyboardInterrupt):
        async with traffic.counted(model, store, 1):
            raise KeyboardInterrupt
    assert (model.loads, store.records) == ([AFTER], [])


@pytest.mark.parametrize(
    "after",
    [None, Load(engine="vllm", prefix_queries=10, prefix_hits=5, preemptions=0), Load(engine="tgi", running=1)],
    ids=["gone", "started anew", "no counters"],
)
async def test_what_cannot_be_compared_is_not_logged(store: Store, after: Load | None) -> None:
    async with traffic.counted(Counting(BEFORE, after), store, 1):
        pass
    assert store.records == []
