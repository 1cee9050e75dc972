"""What the model server counted during an attempt, for the report."""

import contextlib
from collections.abc import AsyncIterator

from chatdev.journal.events import ServerCounted
from chatdev.journal.store import Store
from chatdev.models.chat_model import ChatModel
from chatdev.models.errors import ModelError
from chatdev.models.metrics import Load


@contextlib.asynccontextmanager
async def counted(model: ChatModel, store: Store, number: int) -> AsyncIterator[None]:
    """Read the server's counters before and after attempt ``number``, and log the difference.

    This takes two requests for a page that needs no model, or one if there is no such page. An interrupted attempt does
    not wait for the second, so that Ctrl-C ends it quickly.
    """
    before = await model.load()
    try:
        yield
    except ModelError:
        await _count(model, store, number, before)
        raise
    await _count(model, store, number, before)


async def _count(model: ChatModel, store: Store, number: int, before: Load | None) -> None:
    after = await model.load() if before else None
    if before and after and (difference := between(before, after, number)):
        store.append(difference)


def between(before: Load, after: Load, number: int) -> ServerCounted | None:
    """What was counted between two readings; None if there is nothing to report: no counters, or a server that was
    restarted in between."""
    pairs = {
        name: (getattr(before, name), getattr(after, name)) for name in ("prefix_queries", "prefix_hits", "preemptions")
    }
    grown = {name: last - first for name, (first, last) in pairs.items() if first is not None and last is not None}
    if not grown or min(grown.values()) < 0:
        return None
    return ServerCounted(number=number, engine=after.engine, **grown)
