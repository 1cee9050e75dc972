"""``chatdev serve`` with the real vLLM: started, used, stopped, and nothing left. Opt-in: ``pytest -m servers``.

CHATDEV_TEST_VLLM names the ``vllm`` to use, else it is that of ``.venv-servers`` or the one on PATH. CHATDEV_TEST_MODEL
names the folder of a small model, else it is ``tiny-qwen2`` beside vLLM's environment, or one that the tests make.
"""

import os
import shutil
import signal
from pathlib import Path

import pytest
import serving

from chatdev.models.backend import VLLMModel
from chatdev.models.types import Message, Options
from chatdev.ops.serving.processes import alive, descendants
from chatdev.settings import load

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("vllm")]


@pytest.fixture
def program() -> Path:
    installed = serving.ROOT / ".venv-servers" / "bin" / "vllm"
    found = os.environ.get("CHATDEV_TEST_VLLM") or (installed if installed.exists() else shutil.which("vllm"))
    if not found:
        pytest.skip("no vllm here: set CHATDEV_TEST_VLLM to it")
    return Path(found)


@pytest.fixture
def model(program: Path, request: pytest.FixtureRequest) -> Path:
    folder = Path(os.environ.get("CHATDEV_TEST_MODEL") or program.parent.parent.parent / "tiny-qwen2")
    if folder.is_dir():
        return folder
    try:
        made: Path = request.getfixturevalue("gibberish")
    except pytest.FixtureLookupError:
        pytest.skip(f"no model at {folder}: set CHATDEV_TEST_MODEL to a folder with a small one")
    return made


async def test_vllm_is_served_used_and_gone(program: Path, model: Path, tmp_path: Path) -> None:
    path = f"{program.parent}:{serving.SYSTEM}"
    offline = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_API_KEY": "s3cret", "PATH": path}
    words = (str(model), "--engine", "vllm", "--port", "0", "--window", "2048", "--", "--enforce-eager")
    with serving.running(tmp_path, *words, **offline) as served:
        endpoint, name = served.exported("VLLM_ENDPOINT"), served.exported("VLLM_MODEL_NAME")
        family = {serving.server_of(served.process.pid)}
        family |= descendants(*family)
        assert len(family) > 1  # the engine's core is a process of its own
        backend = VLLMModel(settings=load({"VLLM_ENDPOINT": endpoint, "VLLM_API_KEY": "s3cret"}, tmp_path))
        facts = await backend.facts()
        answer = await backend.complete((Message("user", "hello"),), Options(max_tokens=8))
        await backend.aclose()
        status = served.stop(signal.SIGINT, 120)
    assert (facts.model, facts.window, name) == (model.name, 2048, model.name)
    assert answer.usage.completion_tokens > 0
    assert status == 130
    assert not alive(family)
    assert "s3cret" not in "\n".join(served.said)
