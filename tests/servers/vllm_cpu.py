"""A real vLLM on the CPU: ``with running(model, folder) as url``."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import server_process


@contextlib.contextmanager
def running(model: Path, folder: Path, *flags: str, name: str = "default") -> Iterator[str]:
    """Serve the model in the folder ``model`` under ``name``; the base URL, which ends in /v1. Log in ``folder``.

    ``flags`` are vLLM's own, such as ``--api-key``.
    """
    port = server_process.free_port()
    with server_process.serving(
        "vllm",
        *("serve", model, "--host", "127.0.0.1", "--port", str(port), "--served-model-name", name),
        # Nothing is compiled: it takes longer than all that is asked here.
        *("--enforce-eager", "--dtype", "float32", "--max-num-seqs", "32", "--enable-prompt-tokens-details", *flags),
        ready=f"http://127.0.0.1:{port}/health",
        folder=folder,
        environment={"VLLM_NO_USAGE_STATS": "1", "VLLM_CPU_KVCACHE_SPACE": "1"},
    ):
        yield f"http://127.0.0.1:{port}/v1"
