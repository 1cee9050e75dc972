"""The server that comes with transformers: ``with running(model, folder) as url``."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import processes


@contextlib.contextmanager
def running(model: Path, folder: Path) -> Iterator[str]:
    """Serve the model in the folder ``model``, whose path is its name; the base URL, which ends in /v1."""
    port = processes.free_port()
    with processes.serving(
        "transformers",
        *("serve", str(model), "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"),
        ready=f"http://127.0.0.1:{port}/health",
        folder=folder,
    ):
        yield f"http://127.0.0.1:{port}/v1"
