"""Effects: return the recorded result, or perform, record and return.

A ``JournalScope`` is the journal as seen from one place of the run. Code that works there performs effects and records
what it derived from them; it cannot see whether the run is new or resumed.
"""

import hashlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec

from chatdev.journal import events, places
from chatdev.journal.store import JournalError, Store

E = TypeVar("E", bound=events.Effect)
P = TypeVar("P", bound=events.Effect | events.Derived)


class Mismatch(JournalError):
    """The log holds a different request or result at this place; the message names the phase."""


def digest(*parts: str | bytes) -> str:
    """A short name for content: 16 hexadecimal digits of SHA-256 over the parts, each prefixed with its length."""
    summary = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        summary.update(b"%d:" % len(data))
        summary.update(data)
    return summary.hexdigest()[:16]


_WORDING = {
    events.Diagnostic: ("text",),
    events.PhaseEnded: ("conclusion",),
    events.FileRefused: ("why",),
    events.VerdictReached: ("why",),
}
"""Fields that only people read. Versions word them differently, and a resume of an earlier version's run goes on."""


def _facts(event: events.Any) -> bytes:
    """What must be the same when an event is derived again: all but wording, and the reason in a verdict's brackets."""
    blank: dict[str, str] = dict.fromkeys(_WORDING.get(type(event), ()), "")
    if isinstance(event, events.VerdictReached | events.RunFinished):
        blank["verdict"] = event.verdict.partition(" (")[0]
    return msgspec.json.encode(msgspec.structs.replace(event, **blank))


class _Recorded:
    """What the log holds, by place; shared by all scopes of a run."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.by_place: dict[tuple[type, str], events.Any] = {}
        self.messages: set[str] = set()
        for record in store:
            self.add(record.event)

    def add(self, event: events.Any) -> None:
        if isinstance(event, events.MessageStored):
            self.messages.add(event.id)
        elif isinstance(event, events.Effect | events.Derived):
            self.by_place[type(event), event.place] = event


class JournalScope:
    """One place of a run. ``at`` goes one step deeper."""

    def __init__(self, store: Store, place: str = "", _recorded: _Recorded | None = None) -> None:
        self.place = place
        self._recorded = _recorded or _Recorded(store)
        self._store = store

    def at(self, name: str, ordinal: int = 1) -> "JournalScope":
        """The scope at ``name.ordinal`` below this one. Only letters, digits, ``_`` and ``-`` of the name are kept."""
        return JournalScope(self._store, places.below(self.place, name, ordinal), self._recorded)

    def recorded(self, kind: type[P]) -> P | None:
        """The event of this kind that the log holds here, if any."""
        event = self._recorded.by_place.get((kind, self.place))
        assert event is None or isinstance(event, kind)
        return event

    async def perform(self, kind: type[E], digest: str, act: Callable[[], Awaitable[E]]) -> E:
        """The effect recorded here, or else the one that ``act`` performs, recorded and synced before it is returned.

        ``act`` must return an event with this scope's place and ``digest``. Raises Mismatch if the log holds an effect
        of this kind here with another digest.
        """
        recorded = self.recorded(kind)
        if recorded is not None:
            if recorded.digest != digest:
                raise self._mismatch()
            return recorded
        event = self._store.append(await act()).event  # as it was written: a resume must see the same
        assert isinstance(event, kind)
        self._recorded.add(event)
        await self._store.sync()
        return event

    def record(self, event: events.Derived) -> None:
        """Append a derived event with this scope's place, unless the log holds it already. Raises Mismatch if the log
        holds another one; texts for people may differ, since a later version words them differently."""
        recorded = self._recorded.by_place.get((type(event), event.place))
        if recorded is None:
            self._recorded.add(self._store.append(event).event)
        elif _facts(recorded) != _facts(event):
            raise self._mismatch()

    def keep_message(self, role: str, content: str) -> str:
        """Store a message's text once per run; returns its content id."""
        name = digest(role, content)
        if name not in self._recorded.messages:
            self._recorded.messages.add(name)
            self._store.append(events.MessageStored(name, role, content))
        return name

    def _mismatch(self) -> Mismatch:
        return Mismatch(
            f"The run's log does not match at {self.place}: the company, the task or ChatDev has changed since.",
            do=f"Undo that change, or continue in a new run with: chatdev resume RUN --from {places.top(self.place)}",
        )
