"""The servers of `make test-servers` that several modules ask: each is started once."""

from collections.abc import Iterator
from pathlib import Path

import processes
import pytest
import vllm_cpu

WINDOW = 40_960
KEY = "sk-vllm-of-the-tests"


@pytest.fixture(scope="session")
def gibberish(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model with random weights, in Hugging Face's form."""
    folder = tmp_path_factory.mktemp("gibberish")
    texts = processes.ROOT / "chatdev" / "company"
    maker = processes.ROOT / "tests" / "servers" / "tiny_qwen.py"
    processes.run("python", maker, folder, str(WINDOW), texts, folder=folder, timeout=300)
    return folder


@pytest.fixture(scope="session")
def vllm(gibberish: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The base URL of a vLLM that serves it as ``gibberish``, to whoever has the KEY."""
    with vllm_cpu.running(gibberish, tmp_path_factory.mktemp("vllm"), "--api-key", KEY, name="gibberish") as url:
        yield url
