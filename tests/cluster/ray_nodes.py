"""A real Ray cluster of several nodes on this machine, and a playback server that takes its time."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.support import ANSWERS, recording

from chatdev.playback.recording import write

ROOT = Path(__file__).parents[2]
STORE = 80_000_000
"""Bytes of Ray's object store on each node: next to nothing lies in there, and the default is a third of the memory."""


class Nodes:
    """The cluster. ``ids`` are its nodes that work, ``pids`` the processes of a batch on them."""

    def __init__(self, cluster: Any) -> None:
        self.cluster = cluster
        self.address: str = cluster.address

    def add(self) -> Any:
        """One node more."""
        return self.cluster.add_node(num_cpus=1, object_store_memory=STORE)

    def remove(self, node: Any) -> None:
        """A machine's power cord is pulled."""
        self.cluster.remove_node(node, allow_graceful=False)

    def pids(self) -> dict[int, str]:
        """The processes that carry projects, each with its node's beginning (Ray names them ray::Node)."""
        found = {}
        for path in Path("/proc").glob("[0-9]*"):
            try:
                if (path / "cmdline").read_bytes().startswith(b"ray::Node"):
                    environ = dict(
                        each.split(b"=", 1) for each in (path / "environ").read_bytes().split(b"\0") if b"=" in each
                    )
                    found[int(path.name)] = environ.get(b"RAY_NODE_ID", b"").decode()
            except OSError:
                continue
        return found


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Nodes]:
    """Three nodes that work, and a head that does not."""
    for name in [name for name in os.environ if name.startswith(("VLLM_", "OPENAI_", "CHATDEV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    head = {"num_cpus": 0, "object_store_memory": STORE, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        nodes = Nodes(cluster)
        for _ in range(3):
            nodes.add()
        yield nodes
    finally:
        cluster.shutdown()


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    """A server whose answers take a third of a second and more, so that there is something to interrupt."""
    path = tmp_path / "greet.recording"
    path.write_text(write(recording(ANSWERS)), encoding="utf-8")
    command = [sys.executable, "-m", "chatdev", "playback", "--port", "0", "--manner", "first_token = 0.3", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[2].decode()
        finally:
            process.send_signal(signal.SIGTERM)
