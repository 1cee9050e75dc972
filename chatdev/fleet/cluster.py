"""One batch over many machines: who works, who has which projects, and what happens when one of them is gone.

The engine (Ray) says which nodes there are and carries calls to them. What must hold whatever it says is here: the
ledger has one holder, each attempt at a project a number, and a project goes to another node only after its log was
taken from the one that was given up for dead.
"""

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import Any, Protocol, TypeVar

from chatdev.errors import ChatDevError, UserError
from chatdev.fleet import pool
from chatdev.fleet.ledger import Ledger, Result, Task
from chatdev.fleet.node import Opened, Setup, Turn
from chatdev.fleet.pool import Standing

T = TypeVar("T")
LEASE = 60.0
"""Seconds for which a node may be silent before it is given up for dead; it answers every second when it is well."""
OPENING = 180.0
"""Seconds that a node may take to make ready: its first import of all that is needed comes over the network."""
JOINING = 2.0
"""Seconds between two looks at which nodes there are."""
ALONE = 120.0
"""Seconds without any node that works, after which the batch stops."""
SPARE = 1
"""Projects that a node is given beyond those that it may have under way, so that none of its places stands empty."""
STARTS = 3
"""Times that a node's process may die before the node gets no other."""
ATTEMPTS = 5
"""Times that a project may be under way where a node dies, before it counts as the cause."""


class Lost(Exception):
    """A node does not answer any more; the text says why."""


class Member(Protocol):
    """A node's process, somewhere. Each call raises Lost when it is gone."""

    async def open(self, limit: float | None) -> Opened:
        """See Node."""
        ...

    async def turn(self, more: Sequence[Task], limit: float | None) -> Turn:
        """See Node."""
        ...

    async def close(self) -> None:
        """See Node."""
        ...

    def kill(self) -> None:
        """End the process, if it can be reached."""
        ...


class Engine(Protocol):
    """Knows the nodes and starts processes on them."""

    async def nodes(self) -> Sequence[str]:
        """The nodes that are there now, each by a name that no other will have."""
        ...

    def start(self, node: str, setup: Setup) -> Member:
        """A process on that node."""
        ...


class _Hand:
    """What is known of a node that works. ``granted`` are the US dollars that it may spend."""

    def __init__(self, node: str) -> None:
        self.node, self.name = node, f"Node {node[:6]}"
        self.held: dict[str, Task] = {}
        self.standing = Standing(0, 0, 0, 0, 0)
        self.granted = self.spent = 0.0


class Cluster:
    """Carries a batch's projects on an engine's nodes; used as a Pool is. ``max_cost`` is for all nodes together."""

    def __init__(
        self,
        engine: Engine,
        ledger: Ledger,
        setup: Setup,
        say: Callable[[str], None],
        *,
        lease: float = LEASE,
        joining: float = JOINING,
        alone: float = ALONE,
    ) -> None:
        self._engine, self._ledger, self._setup, self._say = engine, ledger, setup, say
        self._lease, self._joining, self._alone = lease, joining, alone
        self._max_cost = setup.settings.max_cost
        self._hands: dict[str, _Hand] = {}
        self._work: dict[str, asyncio.Task[None]] = {}
        self._starts: Counter[str] = Counter()
        self._retired: dict[str, ChatDevError] = {}
        self._past = Standing(0, 0, 0, 0, 0)
        self._paid = ledger.paid
        self._waiting: deque[Task] = deque()
        self._attempts: Counter[str] = Counter()
        self._ended: Callable[[Result], None] = ledger.put
        self._wake = asyncio.Event()
        self._why: Exception | None = None

    @property
    def standing(self) -> Standing:
        """How things stand on all nodes together."""
        all_of = [self._past, *(hand.standing for hand in self._hands.values())]
        return Standing(*(sum(getattr(each, field) for each in all_of) for field in Standing.__struct_fields__))

    async def carry(self, tasks: Iterable[Task], ended: Callable[[Result], None]) -> None:
        """Take all these projects to their ends, each told to ``ended`` as it comes. Raises what ended the last node,
        and UserError where there is none."""
        self._ended = ended
        self._waiting.extend(tasks)
        joining = asyncio.create_task(self._join())
        joining.add_done_callback(self._watched)
        try:
            while (self._waiting or any(hand.held for hand in self._hands.values())) and self._why is None:
                self._wake.clear()
                await self._wake.wait()
        finally:
            joining.cancel()
            for work in self._work.values():
                work.cancel()
            await asyncio.gather(joining, *self._work.values(), return_exceptions=True)
        if self._why is not None:
            raise self._why

    def _watched(self, work: "asyncio.Task[None]") -> None:
        if not work.cancelled() and isinstance(error := work.exception(), Exception):
            self._why = self._why or error
        self._wake.set()

    async def _join(self) -> None:
        """Put every node to work that is there and does not work, again and again."""
        loop = asyncio.get_running_loop()
        last = loop.time()
        while True:
            for node in await self._engine.nodes():
                if node not in self._work and node not in self._retired:
                    self._work[node] = work = asyncio.create_task(self._node(node))
                    work.add_done_callback(self._watched)
            if self._work:
                last = loop.time()
            elif self._retired:
                raise next(iter(self._retired.values()))
            elif loop.time() - last > self._alone:
                raise UserError(
                    "The cluster has had no node to work on for a while.",
                    do="Start nodes (ray start --address …), and give the same command again: nothing is lost.",
                )
            await asyncio.sleep(self._joining)

    async def _node(self, node: str) -> None:
        """Have a node work until it is gone; what it had is handed on."""
        hand = self._hands[node] = _Hand(node)
        self._starts[node] += 1
        member = self._engine.start(node, self._setup)
        try:
            await self._led(hand, member)
        except Lost as lost:
            self._say(f"{hand.name} is given up for dead ({lost}); {_projects(len(hand.held))} of it go on elsewhere.")
            for each in hand.held:
                self._attempts[each] += 1
            if self._starts[node] >= STARTS:
                self._retired[node] = ChatDevError(f"{hand.name} died {STARTS} times.", do="See Ray's logs on it.")
        except ChatDevError as error:
            self._say(f"{hand.name} stops: {error.what}")
            self._retired[node] = error
        except asyncio.CancelledError:
            await self._dismissed(member)
            raise
        finally:
            member.kill()
            del self._work[node], self._hands[node]
            self._past = _sum(self._past, hand.standing)
            self._paid += hand.spent
        for task in reversed(hand.held.values()):
            self._waiting.appendleft(self._ledger.hand_over(task))
        self._outworn()

    async def _dismissed(self, member: Member) -> None:
        with contextlib.suppress(Lost):
            await _within(self._lease, member.close())

    def _outworn(self) -> None:
        """Take out what was under way too often when a node died."""
        for task in [each for each in self._waiting if self._attempts[each.id] >= ATTEMPTS]:
            self._waiting.remove(task)
            why = f"{ATTEMPTS} nodes died while they had this project."
            self._ended(pool.result_of(task, (), why))

    async def _led(self, hand: _Hand, member: Member) -> None:
        """Open a node, and feed and empty it for ever. Raises Lost, and what it stops for."""
        opened = await _within(OPENING, member.open(self._allowance(hand)))
        hand.name = f"Node {opened.host} ({hand.node[:6]})"
        if opened.failure:
            raise opened.failure.error()
        for note in opened.notes:
            self._say(f"{hand.name}: {note}")
        while True:
            limit = self._allowance(hand)
            turn = await _within(self._lease, member.turn(self._taken(hand, limit), limit))
            hand.standing, hand.spent = turn.standing, turn.spent
            hand.granted = turn.limit or 0.0
            for result in turn.results:
                if hand.held.pop(result.id, None):
                    self._ended(result)
            self._wake.set()
            if turn.failure:
                raise turn.failure.error()

    def _taken(self, hand: _Hand, limit: float | None) -> list[Task]:
        """Projects that a node gets now, taken off the queue: none while the others have yet to give money back."""
        if limit == 0 and self._left > 0:
            return []
        room = hand.standing.limit + SPARE - len(hand.held)
        more = [self._waiting.popleft() for _ in range(min(max(room, 0), len(self._waiting)))]
        hand.held |= {task.id: task for task in more}
        return more

    def _allowance(self, hand: _Hand) -> float | None:
        """The US dollars that a node may spend, with all that it has: its share of what is left, and never more than
        what the others may not. What a node that is gone had spent counts on, and again where its projects go on."""
        if self._max_cost is None:
            return None
        others = [each for each in self._hands.values() if each is not hand]
        fair = hand.spent + self._left / len(self._hands)
        limit = max(min(fair, self._max_cost - self._paid - sum(each.granted for each in others)), 0.0)
        hand.granted = max(hand.granted, limit)  # until the node says that it keeps to less
        return limit

    @property
    def _left(self) -> float:
        """US dollars that nobody has spent yet."""
        spent = self._paid + sum(each.spent for each in self._hands.values())
        return max((self._max_cost or 0.0) - spent, 0.0)


def _sum(past: Standing, gone: Standing) -> Standing:
    return Standing(0, 0, 0, past.calls + gone.calls, past.tokens + gone.tokens)


def _projects(count: int) -> str:
    return "1 project" if count == 1 else f"{count} projects"


async def _within(seconds: float, call: Coroutine[Any, Any, T] | Awaitable[T]) -> T:
    """What a call brings. Raises Lost if that takes too long."""
    try:
        async with asyncio.timeout(seconds):  # wait_for can lose a cancellation until Python 3.12
            return await call
    except TimeoutError:
        raise Lost(f"no word from it for {seconds:g} s") from None
