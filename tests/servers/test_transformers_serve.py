"""Our own client against the server that comes with transformers, which takes and tells the least of all."""

from collections.abc import Iterator
from pathlib import Path

import gibberish
import pytest
import transformers_serve
from examined import examined
from transformers_serve import MODEL

from chatdev.agents import replies
from chatdev.models.backend import VLLMModel
from chatdev.models.endpoint import ASSUMED
from chatdev.models.errors import ModelNotServed, WindowTooSmall
from chatdev.models.types import Message, Options, Progress
from chatdev.settings import Settings, load

pytestmark = pytest.mark.servers

QUESTION = (Message("system", "You are a programmer."), Message("user", "Write the file main.py."))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    model = gibberish.make(tmp_path_factory.mktemp("gibberish"))
    with transformers_serve.running(model, tmp_path_factory.mktemp("transformers")) as url:
        yield url


@pytest.fixture
def settings(server: str, tmp_path: Path) -> Settings:
    return load({"VLLM_ENDPOINT": server}, tmp_path)


async def test_it_tells_no_window_and_a_small_one_is_assumed(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    facts = await model.facts()
    await model.aclose()
    assert (facts.model, facts.served) == (MODEL, (MODEL,))
    assert (facts.window, facts.assumed) == (ASSUMED, True)


async def test_a_model_that_is_not_served_is_not_asked_for(server: str, tmp_path: Path) -> None:
    model = VLLMModel(settings=load({"VLLM_ENDPOINT": server, "VLLM_MODEL_NAME": "nope"}, tmp_path))
    with pytest.raises(ModelNotServed, match=MODEL):
        await model.facts()
    await model.aclose()


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_counted_by_the_server(settings: Settings, stream: bool) -> None:
    model = VLLMModel(settings=settings)
    seen: list[Progress] = []
    answer = await model.complete(QUESTION, Options(max_tokens=20, stream=stream), seen.append)
    await model.aclose()
    assert answer.receipt.model == f"{MODEL}@main"
    assert 0 < answer.usage.completion_tokens <= 20
    assert not answer.usage.estimated
    assert "".join(piece.text for piece in seen) == (answer.text if stream else "")


async def test_a_choice_is_answered_with_free_text_since_nothing_holds_the_model_to_it(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    answer = await model.complete(QUESTION, Options(choices=("command line", "C", "game"), max_tokens=20))
    await model.aclose()
    assert answer.finish_reason in ("stop", "length")
    assert answer.receipt.adapted == ()
    assert replies.choice(answer.text, ("command line", "C", "game")) is None


async def test_a_conversation_over_the_assumed_window_is_not_sent(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    with pytest.raises(WindowTooSmall) as raised:
        await model.complete([Message("user", "word " * 3 * ASSUMED)], Options())
    await model.aclose()
    assert "set it in chatdev.toml, for example: window" in " ".join(raised.value.do.split())


async def test_doctor_finds_how_little_it_tells(settings: Settings, tmp_path: Path) -> None:
    diagnosis, checks = await examined("transformers serve", settings, tmp_path)
    assert diagnosis.exit_status == 1
    assert checks["structured output"].verdict == "bad"
    assert checks["context window"].verdict == checks["end of stream"].verdict == "warning"
    assert checks["usage"].verdict == "good"
    assert diagnosis.profile and diagnosis.profile.choices == ""
