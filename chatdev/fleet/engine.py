"""Ray as the engine of a fleet: which nodes there are, and a process on each that calls reach.

Nothing but this module knows Ray. https://docs.ray.io/en/latest/ray-core/actors.html
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from chatdev.errors import UserError
from chatdev.fleet.cluster import Lost
from chatdev.fleet.ledger import Task
from chatdev.fleet.node import Node, Opened, Setup, Turn

CALLS = 8
"""Calls that a node's process takes side by side: a turn, and a farewell that does not wait for it."""


class RayMember:
    """See Member: an actor."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    async def open(self, limit: float | None) -> Opened:
        """See Node."""
        opened: Opened = await self._called(self._actor.open.remote(limit))
        return opened

    async def turn(self, more: Sequence[Task], limit: float | None) -> Turn:
        """See Node."""
        turn: Turn = await self._called(self._actor.turn.remote(tuple(more), limit))
        return turn

    async def close(self) -> None:
        """See Node."""
        await self._called(self._actor.close.remote())

    def kill(self) -> None:
        """See Member."""
        self._ray.kill(self._actor)

    async def _called(self, called: Awaitable[Any]) -> Any:
        try:
            return await called
        except self._ray.exceptions.RayTaskError as error:
            raise Lost(f"{type(error.cause).__name__}: {error.cause}") from error
        except self._ray.exceptions.RayError as error:
            raise Lost(type(error).__name__) from error


class RayEngine:
    """See Engine. ``close`` lets go of the cluster, which goes on."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._node = ray.remote(Node)

    @classmethod
    async def joined(cls, address: str) -> "RayEngine":
        """The cluster at ``address``, or at ``auto`` the one that runs on this machine. Raises UserError."""
        try:
            import ray
        except ImportError as error:
            raise UserError(
                "Ray is not installed, and --ray needs it.", do='Install it with: pip install "chatdev[ray]"'
            ) from error
        try:
            # In a thread, since Ray else takes the signals that end a batch in good order.
            await asyncio.to_thread(ray.init, address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"No Ray cluster can be joined at {address} ({' '.join(str(error).split())[:200]}).",
                do="Start one with: ray start --head --disable-usage-stats   (docs/fleet.md shows all of it)",
            ) from error
        return cls(ray)

    async def nodes(self) -> Sequence[str]:
        """See Engine: nodes that offer at least one CPU."""
        nodes = await asyncio.to_thread(self._ray.nodes)
        return [node["NodeID"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]

    def start(self, node: str, setup: Setup) -> RayMember:
        """See Engine."""
        where = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        options = self._node.options(num_cpus=0, max_restarts=0, max_concurrency=CALLS, scheduling_strategy=where)
        return RayMember(self._ray, options.remote(setup))

    async def close(self) -> None:
        """See the class."""
        await asyncio.to_thread(self._ray.shutdown)
