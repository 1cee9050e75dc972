"""``chatdev serve`` with the real vLLM: started, used, stopped, and nothing left."""

import signal
from pathlib import Path

import gibberish
import pytest
import server_process
from helpers import serving

from chatdev.models.backend import VLLMModel
from chatdev.models.types import Message, Options
from chatdev.ops.serving.processes import alive, descendants
from chatdev.settings import load

pytestmark = pytest.mark.servers


async def test_vllm_is_served_used_and_gone(tmp_path: Path) -> None:
    program = server_process.program("vllm")
    model = gibberish.make(tmp_path / "gibberish")
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
