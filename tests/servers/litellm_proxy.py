"""LiteLLM's proxy, a gateway in front of another server: ``with running(behind, folder) as url``."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import server_process

KEY = "sk-of-the-tests-7f3a9c51d2e8b604"
"""The proxy does not start without a key, nor with a weak one."""


@contextlib.contextmanager
def running(behind: str, folder: Path, *, key: str, model: str = "default", name: str = "gateway") -> Iterator[str]:
    """Offer ``model`` of the vLLM whose base URL is ``behind``, and whose key is ``key``, under ``name`` to whoever
    has the KEY; the base URL."""
    port = server_process.free_port()
    offered = {
        "model_name": name,
        "litellm_params": {"model": f"hosted_vllm/{model}", "api_base": behind, "api_key": key},
    }
    config = folder / "litellm.yaml"
    config.write_text(json.dumps({"model_list": [offered]}), encoding="utf-8")  # JSON is YAML
    with server_process.serving(
        "litellm",
        *("--config", config, "--host", "127.0.0.1", "--port", str(port), "--telemetry", "False"),
        ready=f"http://127.0.0.1:{port}/health/liveliness",
        folder=folder,
        environment={"LITELLM_MASTER_KEY": KEY, "LITELLM_LOCAL_MODEL_COST_MAP": "True"},
    ):
        yield f"http://127.0.0.1:{port}/v1"
