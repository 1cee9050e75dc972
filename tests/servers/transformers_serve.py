"""The server that comes with transformers: ``with running(model, folder) as url``."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import server_process

MODEL = "tests/gibberish"
"""It lists what was downloaded and nothing else, so that the model is put where a download would be."""


@contextlib.contextmanager
def running(model: Path, folder: Path) -> Iterator[str]:
    """Serve the model in the folder ``model``, copied into ``folder``, as MODEL; the base URL, which ends in /v1."""
    revision = "0" * 40
    downloaded = folder / ".cache" / "huggingface" / "hub" / f"models--{MODEL.replace('/', '--')}"
    shutil.copytree(model, downloaded / "snapshots" / revision)
    for name in ("blobs", "refs"):
        (downloaded / name).mkdir()
    (downloaded / "refs" / "main").write_text(revision)
    port = server_process.free_port()
    with server_process.serving(
        "transformers",
        *("serve", MODEL, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"),
        ready=f"http://127.0.0.1:{port}/health",
        folder=folder,
    ):
        yield f"http://127.0.0.1:{port}/v1"
