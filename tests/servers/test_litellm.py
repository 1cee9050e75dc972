"""Our own client against LiteLLM's proxy, which stands in front of a real vLLM."""

from collections.abc import Iterator
from pathlib import Path

import litellm_proxy
import pytest
import whole_run
from conftest import KEY

from chatdev.agents import replies
from chatdev.models.backend import VLLMModel
from chatdev.models.endpoint import ASSUMED
from chatdev.models.errors import KeyRefused, ModelNotServed, WindowTooSmall
from chatdev.models.types import Message, Options, Progress
from chatdev.settings import Settings, load

pytestmark = pytest.mark.servers

QUESTION = (Message("system", "You are a programmer."), Message("user", "Write the file main.py."))


@pytest.fixture(scope="module")
def proxy(vllm: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with litellm_proxy.running(vllm, tmp_path_factory.mktemp("litellm"), key=KEY, model="gibberish") as url:
        yield url


@pytest.fixture
def settings(proxy: str, tmp_path: Path) -> Settings:
    return load({"VLLM_ENDPOINT": proxy, "VLLM_API_KEY": litellm_proxy.KEY}, tmp_path)


async def test_a_gateway_tells_no_window_and_a_small_one_is_assumed(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    facts = await model.facts()
    await model.aclose()
    assert (facts.model, facts.served) == ("gateway", ("gateway",))
    assert (facts.window, facts.assumed) == (ASSUMED, True)


async def test_a_model_that_is_not_served_is_not_asked_for(proxy: str, tmp_path: Path) -> None:
    named = {"VLLM_ENDPOINT": proxy, "VLLM_API_KEY": litellm_proxy.KEY, "VLLM_MODEL_NAME": "nope"}
    model = VLLMModel(settings=load(named, tmp_path))
    with pytest.raises(ModelNotServed, match="gateway"):
        await model.facts()
    await model.aclose()


@pytest.mark.parametrize("key", ["", "sk-another"])
async def test_a_key_is_asked_for_and_a_wrong_one_refused(proxy: str, tmp_path: Path, key: str) -> None:
    model = VLLMModel(settings=load({"VLLM_ENDPOINT": proxy, "VLLM_API_KEY": key}, tmp_path))
    with pytest.raises(KeyRefused, match="refused the key" if key else "wants a key"):
        await model.complete(QUESTION, Options())
    await model.aclose()


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_counted_by_the_server_behind(settings: Settings, stream: bool) -> None:
    model = VLLMModel(settings=settings)
    seen: list[Progress] = []
    options = Options(max_tokens=40, stream=stream, extra={"ignore_eos": True})
    answer = await model.complete(QUESTION, options, seen.append)
    await model.aclose()
    assert answer.finish_reason == "length"
    assert (answer.usage.completion_tokens, answer.usage.estimated) == (40, False)
    assert (answer.receipt.adapted, answer.receipt.tries) == ((), 1)
    assert "".join(piece.text for piece in seen) == (answer.text if stream else "")


async def test_a_choice_passes_through_the_gateway(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    answer = await model.complete(QUESTION, Options(choices=("command line", "C", "game"), max_tokens=200))
    await model.aclose()
    assert answer.receipt.adapted == ()
    assert replies.choice(answer.text, ("command line", "C", "game")) in ("command line", "C", "game")


async def test_a_conversation_over_the_window_behind_is_told_in_tokens(proxy: str, tmp_path: Path) -> None:
    (tmp_path / "chatdev.toml").write_text("window = 100000\n")  # more than there is
    model = VLLMModel(settings=load({"VLLM_ENDPOINT": proxy, "VLLM_API_KEY": litellm_proxy.KEY}, tmp_path))
    with pytest.raises(WindowTooSmall):
        await model.complete([Message("user", "z " * 45_000)], Options())
    await model.aclose()


def test_a_whole_run_on_gibberish_ends_by_itself_and_says_so(proxy: str, tmp_path: Path) -> None:
    (tmp_path / "chatdev.toml").write_text("window = 40960\n")
    ran = whole_run.run(tmp_path, proxy, task="create a todo app", name="Gibberish", key=litellm_proxy.KEY)
    whole_run.assert_failed_readably(ran)
