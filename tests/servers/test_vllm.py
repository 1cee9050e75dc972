"""Our own client, and a whole run, against a real vLLM on the CPU that serves a model which knows nothing."""

from pathlib import Path

import pytest
import whole_run
from conftest import KEY, WINDOW

from chatdev.agents import replies
from chatdev.models.backend import VLLMModel
from chatdev.models.errors import KeyRefused, ModelNotServed, WindowTooSmall
from chatdev.models.types import Message, Options, Part, Progress
from chatdev.settings import Settings, load

pytestmark = pytest.mark.servers

QUESTION = (Message("system", "You are a programmer."), Message("user", "Write the file main.py."))


@pytest.fixture
def settings(vllm: str, tmp_path: Path) -> Settings:
    return load({"VLLM_ENDPOINT": vllm, "VLLM_API_KEY": KEY}, tmp_path)


async def test_the_server_names_itself_its_model_and_its_window(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    facts = await model.facts()
    await model.aclose()
    assert (facts.engine, facts.model, facts.served) == ("vllm", "gibberish", ("gibberish",))
    assert (facts.window, facts.assumed) == (WINDOW, False)


async def test_a_model_that_is_not_served_is_not_asked_for(vllm: str, tmp_path: Path) -> None:
    named = {"VLLM_ENDPOINT": vllm, "VLLM_API_KEY": KEY, "VLLM_MODEL_NAME": "nope"}
    model = VLLMModel(settings=load(named, tmp_path))
    with pytest.raises(ModelNotServed, match="gibberish"):
        await model.facts()
    await model.aclose()


@pytest.mark.parametrize("key", ["", "sk-another"])
async def test_a_key_is_asked_for_and_a_wrong_one_refused(vllm: str, tmp_path: Path, key: str) -> None:
    model = VLLMModel(settings=load({"VLLM_ENDPOINT": vllm, "VLLM_API_KEY": key}, tmp_path))
    with pytest.raises(KeyRefused, match="refused the key" if key else "wants a key"):
        await model.complete(QUESTION, Options())
    await model.aclose()


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_counted_by_the_server(settings: Settings, stream: bool) -> None:
    model = VLLMModel(settings=settings)
    seen: list[Progress] = []
    options = Options(max_tokens=40, stream=stream, extra={"ignore_eos": True})
    answer = await model.complete(QUESTION, options, seen.append)
    await model.aclose()
    assert answer.finish_reason == "length"
    assert (answer.usage.completion_tokens, answer.usage.estimated) == (40, False)
    assert 15 < answer.usage.prompt_tokens < 60
    assert (answer.receipt.model, answer.receipt.adapted, answer.receipt.tries) == ("gibberish", (), 1)
    assert "".join(piece.text for piece in seen) == (answer.text if stream else "")


async def test_a_question_that_was_asked_before_comes_from_the_cache(settings: Settings) -> None:
    asked = [Message("user", "What is a prefix? " * 200)]
    model = VLLMModel(settings=settings)
    first, second = [await model.complete(asked, Options(max_tokens=5)) for _ in range(2)]
    await model.aclose()
    assert first.usage.prompt_tokens == second.usage.prompt_tokens
    assert second.usage.cached_tokens
    assert second.usage.cached_tokens > second.usage.prompt_tokens - 300  # whole blocks, of 128 tokens on the CPU


async def test_even_a_model_that_knows_nothing_answers_with_a_choice(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    answer = await model.complete(QUESTION, Options(choices=("command line", "C", "game"), max_tokens=200))
    await model.aclose()
    assert answer.receipt.adapted == ()
    assert replies.choice(answer.text, ("command line", "C", "game")) == answer.text
    assert answer.finish_reason == "stop"


async def test_a_conversation_over_the_window_is_told_in_tokens(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    with pytest.raises(WindowTooSmall) as told:
        await model.complete([Message("user", "z " * WINDOW)], Options())
    await model.aclose()
    assert f"the window has {WINDOW}." in told.value.what
    assert "vLLM: --max-model-len" in told.value.do


async def test_a_talk_is_cut_to_the_window_once_the_server_has_refused_it(settings: Settings) -> None:
    """This tokenizer makes 1.6 times the tokens of our estimate, and vLLM does not tell how many there were."""
    talk = [
        Message("user", text, (Part(text, name, rank, "left out", lambda: "[…]"),))
        for name, rank, text in (("old", 1, "the z z " * 5_600), ("new", 2, "the z z " * 2_800))
    ]
    model = VLLMModel(settings=settings)
    answer = await model.complete([*talk, Message("user", "Go on.")], Options(max_tokens=300))
    await model.aclose()
    assert answer.receipt.cuts == ("old left out (3 of 44,800 characters)",)
    assert answer.receipt.tries == 2
    assert answer.usage.prompt_tokens < WINDOW - 256


def test_a_whole_run_on_gibberish_ends_by_itself_and_says_so(vllm: str, tmp_path: Path) -> None:
    ran = whole_run.run(tmp_path, vllm, task="create a todo app", name="Gibberish", key=KEY)
    whole_run.assert_failed_readably(ran)
    assert {answer.model for answer in ran.answers} == {"gibberish"}
