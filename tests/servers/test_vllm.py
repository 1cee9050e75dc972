"""Our own client, and whole runs, against a real vLLM on the CPU, and against LiteLLM's proxy in front of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import gibberish
import litellm_proxy
import pytest
import vllm_cpu
import whole_run
from examined import examined, kept
from gibberish import WINDOW

from chatdev.agents import replies
from chatdev.models.backend import VLLMModel
from chatdev.models.endpoint import ASSUMED
from chatdev.models.errors import KeyRefused, ModelNotServed, WindowTooSmall
from chatdev.models.types import Message, Options, Part, Progress
from chatdev.settings import load

pytestmark = pytest.mark.servers

QUESTION = (Message("system", "You are a programmer."), Message("user", "Write the file main.py."))
CHOICES = ("command line", "C", "game")


class Endpoint(NamedTuple):
    """A base URL, the key to it, and the one model there."""

    url: str
    key: str
    model: str

    def settings(self, **others: str) -> dict[str, str]:
        return {"VLLM_ENDPOINT": self.url, "VLLM_API_KEY": self.key, **others}


@pytest.fixture(scope="module")
def vllm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    key, name = "sk-vllm-of-the-tests", "gibberish"
    model = gibberish.make(tmp_path_factory.mktemp("gibberish"))
    with vllm_cpu.running(model, tmp_path_factory.mktemp("vllm"), "--api-key", key, name=name) as url:
        yield Endpoint(url, key, name)


@pytest.fixture(scope="module")
def proxy(vllm: Endpoint, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    folder = tmp_path_factory.mktemp("litellm")
    with litellm_proxy.running(vllm.url, folder, key=vllm.key, model=vllm.model, name="gateway") as url:
        yield Endpoint(url, litellm_proxy.KEY, "gateway")


@pytest.fixture(params=["vllm", "proxy"])
def either(request: pytest.FixtureRequest) -> Endpoint:
    endpoint: Endpoint = request.getfixturevalue(request.param)
    return endpoint


async def test_vllm_names_itself_its_model_and_its_window(vllm: Endpoint, tmp_path: Path) -> None:
    model = VLLMModel(settings=load(vllm.settings(), tmp_path))
    facts = await model.facts()
    await model.aclose()
    assert (facts.engine, facts.model, facts.served) == ("vllm", "gibberish", ("gibberish",))
    assert (facts.window, facts.assumed) == (WINDOW, False)


async def test_a_gateway_tells_no_window_and_a_small_one_is_assumed(proxy: Endpoint, tmp_path: Path) -> None:
    model = VLLMModel(settings=load(proxy.settings(), tmp_path))
    facts = await model.facts()
    await model.aclose()
    assert (facts.model, facts.served) == ("gateway", ("gateway",))
    assert (facts.window, facts.assumed) == (ASSUMED, True)


async def test_a_model_that_is_not_served_is_not_asked_for(either: Endpoint, tmp_path: Path) -> None:
    model = VLLMModel(settings=load(either.settings(VLLM_MODEL_NAME="nope"), tmp_path))
    with pytest.raises(ModelNotServed, match=either.model):
        await model.facts()
    await model.aclose()


@pytest.mark.parametrize("key", ["", "sk-another"])
async def test_a_key_is_asked_for_and_a_wrong_one_refused(either: Endpoint, tmp_path: Path, key: str) -> None:
    model = VLLMModel(settings=load(either.settings(VLLM_API_KEY=key), tmp_path))
    with pytest.raises(KeyRefused, match="rejected the API key" if key else "needs an API key"):
        await model.complete(QUESTION, Options())
    await model.aclose()


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_counted_by_the_server(either: Endpoint, tmp_path: Path, stream: bool) -> None:
    model = VLLMModel(settings=load(either.settings(), tmp_path))
    seen: list[Progress] = []
    options = Options(max_tokens=40, stream=stream, extra={"ignore_eos": True})
    answer = await model.complete(QUESTION, options, seen.append)
    await model.aclose()
    assert answer.finish_reason == "length"
    assert (answer.usage.completion_tokens, answer.usage.estimated) == (40, False)
    assert 15 < answer.usage.prompt_tokens < 60
    assert (answer.receipt.adapted, answer.receipt.tries) == ((), 1)
    assert "".join(piece.text for piece in seen) == (answer.text if stream else "")


async def test_even_a_model_that_knows_nothing_answers_with_a_choice(either: Endpoint, tmp_path: Path) -> None:
    model = VLLMModel(settings=load(either.settings(), tmp_path))
    answer = await model.complete(QUESTION, Options(choices=CHOICES, max_tokens=200))
    await model.aclose()
    assert answer.receipt.adapted == ()
    assert replies.choice(answer.text, CHOICES) in CHOICES
    if either.model == "gibberish":  # that it is vLLM is known, and so the choice is bare
        assert answer.text in CHOICES


async def test_a_question_that_was_asked_before_comes_from_the_cache(vllm: Endpoint, tmp_path: Path) -> None:
    question = [Message("user", "What is a prefix? " * 200)]
    model = VLLMModel(settings=load(vllm.settings(), tmp_path))
    first, second = [await model.complete(question, Options(max_tokens=5)) for _ in range(2)]
    await model.aclose()
    assert first.usage.prompt_tokens == second.usage.prompt_tokens
    assert second.usage.cached_tokens
    assert second.usage.cached_tokens > second.usage.prompt_tokens - 300  # whole blocks, of 128 tokens on the CPU


async def test_a_conversation_over_the_window_is_reported_in_tokens(vllm: Endpoint, tmp_path: Path) -> None:
    model = VLLMModel(settings=load(vllm.settings(), tmp_path))
    with pytest.raises(WindowTooSmall) as raised:
        await model.complete([Message("user", "z " * WINDOW)], Options())
    await model.aclose()
    assert f"the window has {WINDOW}." in raised.value.what
    assert "vLLM: --max-model-len" in raised.value.do


async def test_a_window_behind_a_gateway_that_is_smaller_than_was_said(proxy: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "chatdev.toml").write_text("window = 100000\n")
    model = VLLMModel(settings=load(proxy.settings(), tmp_path))
    with pytest.raises(WindowTooSmall):
        await model.complete([Message("user", "z " * 45_000)], Options())
    await model.aclose()


async def test_a_talk_is_cut_to_the_window_once_the_server_has_refused_it(vllm: Endpoint, tmp_path: Path) -> None:
    """This tokenizer makes 1.6 times the tokens of our estimate, and vLLM does not tell how many there were."""
    talk = [
        Message("user", text, (Part(text, name, rank, "left out", lambda: "[…]"),))
        for name, rank, text in (("old", 1, "the z z " * 5_600), ("new", 2, "the z z " * 2_800))
    ]
    model = VLLMModel(settings=load(vllm.settings(), tmp_path))
    answer = await model.complete([*talk, Message("user", "Go on.")], Options(max_tokens=300))
    await model.aclose()
    assert answer.receipt.cuts == ("old left out (3 of 44,800 characters)",)
    assert answer.receipt.tries == 2
    assert answer.usage.prompt_tokens < WINDOW - 256


def test_a_whole_run_on_gibberish_ends_by_itself_and_says_so(either: Endpoint, tmp_path: Path) -> None:
    (tmp_path / "chatdev.toml").write_text(f"window = {WINDOW}\n")  # which the proxy does not tell
    ran = whole_run.run(tmp_path, either.url, task="create a todo app", name="Gibberish", key=either.key)
    whole_run.assert_failed_readably(ran)
    assert ran.answers


async def test_doctor_finds_what_vllm_can_do(vllm: Endpoint, tmp_path: Path) -> None:
    diagnosis, checks = await examined("vLLM", load(vllm.settings(), tmp_path), tmp_path)
    assert diagnosis.exit_status == 0
    assert (diagnosis.engine, checks["key"].seen) == ("vLLM", "VLLM_API_KEY is accepted.")
    assert checks["context window"].seen.startswith(f"{WINDOW:,} tokens")
    assert "structured_outputs" in kept(checks)
    assert "guided_choice" not in kept(checks)
    assert "prompt tokens came from it" in checks["prefix cache"].seen
    assert "/tokenize answers" in checks["tokens"].seen
    assert diagnosis.profile and diagnosis.profile.choices == "structured_outputs"


async def test_doctor_finds_what_a_gateway_passes_on(proxy: Endpoint, tmp_path: Path) -> None:
    diagnosis, checks = await examined("LiteLLM's proxy", load(proxy.settings(), tmp_path), tmp_path)
    assert diagnosis.engine == "LiteLLM"
    assert checks["context window"].verdict == "warning"
    assert checks["usage"].verdict == checks["streaming"].verdict == "good"
    assert "There is no /tokenize" in checks["tokens"].seen
