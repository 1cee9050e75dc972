"""Ray as the engine of a fleet: lists the nodes, and starts a process on each that can be called.

Only this module uses Ray. https://docs.ray.io/en/latest/ray-core/actors.html
"""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

from chatdev.errors import UserError
from chatdev.fleet.cluster import WorkerLost
from chatdev.fleet.ledger import BatchTask
from chatdev.fleet.node import Node, NodeOpened, NodeReport, NodeSetup

CALLS = 8
"""Calls that a node's process handles concurrently: a turn, and a ``close`` that does not wait for it."""


class RayWorker:
    """See ``Worker``: a Ray actor."""

    def __init__(self, ray: Any, actor: Any) -> None:
        self._ray, self._actor = ray, actor

    async def open(self, limit: float | None) -> NodeOpened:
        """See ``Node``."""
        opened: NodeOpened = await self._result(self._actor.open.remote(limit))
        return opened

    async def turn(self, tasks: Sequence[BatchTask], limit: float | None) -> NodeReport:
        """See ``Node``."""
        turn: NodeReport = await self._result(self._actor.turn.remote(tuple(tasks), limit))
        return turn

    async def close(self) -> None:
        """See ``Node``."""
        await self._result(self._actor.close.remote())

    def kill(self) -> None:
        """See ``Worker``."""
        self._ray.kill(self._actor)

    async def _result(self, call: Awaitable[Any]) -> Any:
        try:
            return await call
        except self._ray.exceptions.RayTaskError as error:
            raise WorkerLost(f"{type(error.cause).__name__}: {error.cause}") from error
        except self._ray.exceptions.RayError as error:
            raise WorkerLost(type(error).__name__) from error


class RayEngine:
    """See ``ClusterEngine``. ``close`` disconnects from the cluster; the cluster keeps running."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._node = ray.remote(Node)

    @classmethod
    async def joined(cls, address: str) -> "RayEngine":
        """Connect to the cluster at ``address``; ``auto`` is the one that runs on this machine. Raises UserError."""
        try:
            import ray
        except ImportError as error:
            raise UserError(
                "Ray is not installed, and --ray needs it.", do='Install it with: pip install "chatdev[ray]"'
            ) from error
        try:
            # In a thread, since Ray would otherwise take over the signals that stop a batch cleanly.
            await asyncio.to_thread(ray.init, address=address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(
                f"Could not connect to a Ray cluster at {address} ({' '.join(str(error).split())[:200]}).",
                do="Start one with: ray start --head --disable-usage-stats   (all steps: docs/fleet.md)",
            ) from error
        return cls(ray)

    async def nodes(self) -> Sequence[str]:
        """See ``ClusterEngine``: nodes that offer at least one CPU."""
        nodes = await asyncio.to_thread(self._ray.nodes)
        return [node["NodeID"] for node in nodes if node["Alive"] and node["Resources"].get("CPU", 0) >= 1]

    def start(self, node: str, setup: NodeSetup) -> RayWorker:
        """See ``ClusterEngine``."""
        placement = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        options = self._node.options(num_cpus=0, max_restarts=0, max_concurrency=CALLS, scheduling_strategy=placement)
        return RayWorker(self._ray, options.remote(setup))

    async def close(self) -> None:
        """See the class."""
        await asyncio.to_thread(self._ray.shutdown)
