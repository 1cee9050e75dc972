"""Our own client, and a whole run, against a real server that nobody here wrote, serving a model that knows nothing."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import llamacpp
import msgspec
import pytest
import whole_run
from llamacpp import MODEL_NAME, Server

from chatdev.agents import replies
from chatdev.company import config
from chatdev.company.config import ChainStep, Company
from chatdev.journal.events import ServerCounted
from chatdev.models import address as addresses
from chatdev.models.backend import VLLMModel
from chatdev.models.errors import CutShort, ModelNotServed, WindowTooSmall
from chatdev.models.types import Message, Options, Part, Progress
from chatdev.ops.doctor.examine import examine
from chatdev.settings import Settings, load

WINDOW = 40_960
"""Tokens of about 1.2 characters: room for a talk in gibberish. No server's default, so that it cannot be guessed."""

QUESTION = (Message("system", "You are a programmer."), Message("user", "Write the file main.py."))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with llamacpp.running(tmp_path_factory.mktemp("llamacpp"), window=WINDOW) as running:
        yield running


@pytest.fixture
def settings(server: Server, tmp_path: Path) -> Settings:
    return load({"VLLM_ENDPOINT": server.url}, tmp_path)


def test_the_model_is_small_and_the_same_each_time(tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    tiny_gguf = pytest.importorskip("tiny_gguf")
    one, same, other = (tiny_gguf.write(tmp_path / f"{n}.gguf", seed=n // 2).read_bytes() for n in range(3))
    assert len(one) < 450_000
    assert one == same != other


async def test_the_server_names_its_model_and_the_window_that_it_allotted(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    facts = await model.facts()
    await model.aclose()
    assert (facts.model, facts.served, facts.window) == (MODEL_NAME, (MODEL_NAME,), WINDOW)


async def test_the_server_counts_what_it_found_in_its_prefix_cache(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    before = await model.load()
    assert before is not None
    options = Options(max_tokens=2, extra={"id_slot": 0})
    answer, same = [await model.complete(QUESTION, options) for _ in range(2)]
    after = await model.load()
    await model.aclose()
    assert after is not None
    assert (after.engine, after.running, after.waiting, after.kv_used) == ("llama.cpp", 0, 0, None)
    assert (after.prefix_queries or 0) - (
        before.prefix_queries or 0
    ) == answer.usage.prompt_tokens + same.usage.prompt_tokens
    assert (after.prefix_hits or 0) > (before.prefix_hits or 0)


async def test_a_model_that_is_not_served_is_not_asked_for(server: Server, tmp_path: Path) -> None:
    model = VLLMModel(settings=load({"VLLM_ENDPOINT": server.url, "VLLM_MODEL_NAME": "nope"}, tmp_path))
    with pytest.raises(ModelNotServed, match=MODEL_NAME):  # llama.cpp itself would answer to any name
        await model.facts()
    await model.aclose()


@pytest.mark.parametrize("stream", [True, False])
async def test_an_answer_is_counted_by_the_server(settings: Settings, stream: bool) -> None:
    model = VLLMModel(settings=settings)
    seen: list[Progress] = []
    options = Options(max_tokens=40, stream=stream, extra={"ignore_eos": True})
    answer = await model.complete(QUESTION, options, seen.append)
    await model.aclose()
    assert answer.finish_reason == "length"
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.estimated) == (51, 40, False)
    assert answer.receipt.model == MODEL_NAME
    assert answer.receipt.adapted == ()
    assert answer.receipt.cost == 0
    assert "".join(piece.text for piece in seen) == (answer.text if stream else "")


async def test_even_a_model_that_knows_nothing_answers_with_a_choice(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    answer = await model.complete(QUESTION, Options(choices=("command line", "C", "game"), max_tokens=200))
    await model.aclose()
    assert answer.receipt.adapted == ()
    assert replies.choice(answer.text, ("command line", "C", "game")) in ("command line", "C", "game")


def test_the_blocking_call_gives_the_protocols_own_form(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    answer = model.run(messages=[{"role": "user", "content": "hello"}], max_tokens=5, n=1, ignore_eos=True)
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] + 5


async def test_a_conversation_over_the_window_is_reported_in_tokens(settings: Settings) -> None:
    model = VLLMModel(settings=settings)
    with pytest.raises(WindowTooSmall) as raised:
        await model.complete([Message("user", "z " * WINDOW)], Options())
    await model.aclose()
    prompt = 2 * WINDOW + 19  # this tokenizer spells: two tokens for each "z ", and 19 for the chat template's words
    assert f"takes {prompt} tokens" in raised.value.what
    assert f"together {prompt + 256}; the window has {WINDOW}." in raised.value.what
    assert "llama.cpp: -c" in raised.value.do


async def test_an_answer_ends_where_the_window_does(tmp_path: Path) -> None:
    with llamacpp.running(tmp_path, window=2048) as server:
        model = VLLMModel(settings=load({"VLLM_ENDPOINT": server.url}, tmp_path))
        answer = await model.complete([Message("user", "z " * 850)], Options(extra={"ignore_eos": True}))
        await model.aclose()
    assert answer.finish_reason == "length"
    assert answer.usage.total_tokens == 2048


async def test_a_talk_is_cut_to_the_window_once_the_server_has_counted_it(tmp_path: Path) -> None:
    """This tokenizer makes twice the tokens of our estimate: only the server's refusal tells that it does not fit."""
    talk = [
        Message("user", text, (Part(text, name, rank, "left out", lambda: "[…]"),))
        for name, rank, text in (("old", 1, "z " * 700), ("new", 2, "z " * 350))
    ]
    with llamacpp.running(tmp_path, window=2048) as server:
        model = VLLMModel(settings=load({"VLLM_ENDPOINT": server.url}, tmp_path))
        answer = await model.complete([*talk, Message("user", "Go on.")], Options(max_tokens=300))
        await model.aclose()
    assert answer.receipt.cuts == ("old left out (3 of 1,400 characters)",)
    assert answer.receipt.tries == 2
    assert answer.usage.prompt_tokens < 2048 - 256


async def test_gibberish_never_raises(settings: Settings) -> None:
    texts = ["", " ", "\0", "🜁" * 50, "<|im_end|>", "<think>", "{{ messages }}", '{"a": [', "```\n" * 9]
    model = VLLMModel(settings=settings)
    options = Options(temperature=2.0, max_tokens=150)
    answers = await asyncio.gather(*(model.complete([Message("user", text)], options) for text in texts))
    await model.aclose()
    for answer in answers:
        replies.files(answer.text, finish_reason=answer.finish_reason)
        assert not replies.finished(answer.text)
    assert any("\ufffd" in answer.text for answer in answers)  # bytes at random are seldom UTF-8


async def test_a_server_that_dies_in_the_middle_of_an_answer_is_no_answer(tmp_path: Path) -> None:
    with llamacpp.running(tmp_path, window=WINDOW) as server:
        model = VLLMModel(settings=load({"VLLM_ENDPOINT": server.url}, tmp_path), backoff=())

        def die(progress: Progress) -> None:
            if progress.kind == "text":
                server.process.kill()

        with pytest.raises(CutShort):  # long before 30,000 tokens are written
            await model.complete(QUESTION, Options(max_tokens=30_000, extra={"ignore_eos": True}), die)
        await model.aclose()


async def test_doctor_finds_what_this_server_can_do(settings: Settings, tmp_path: Path) -> None:
    given = msgspec.structs.replace(settings, cache=tmp_path)
    diagnosis = await examine(addresses.of_vllm(given), "default", given)
    checks = {finding.check: finding for finding in diagnosis.findings}
    assert diagnosis.exit_status == 0, diagnosis
    assert diagnosis.engine == "llama.cpp"
    assert checks["context window"].seen.startswith(f"{WINDOW:,} tokens")
    assert "grammar" in checks["structured output"].seen.partition("; ignored: ")[0]
    assert "structured_outputs" in checks["structured output"].seen.partition("; ignored: ")[2]
    assert "prompt tokens came from it" in checks["prefix cache"].seen
    assert checks["usage"].verdict == checks["streaming"].verdict == "good"


def most_answers(company: Company) -> int:
    """The most answers that a company can ask for, however bad they are."""

    def of(step: ChainStep) -> int:
        if step.phase:
            phase = company.phases[step.phase]
            return {"choice": 2 * phase.turns - 1 + phase.reflect, "talk": 2, "document": 2}.get(phase.kind, 3)
        return step.cycles * sum(map(of, step.steps)) + sum(map(of, step.parallel))

    return sum(map(of, company.chain))


def test_a_whole_run_on_gibberish_ends_by_itself_and_says_so(server: Server, tmp_path: Path) -> None:
    ran = whole_run.run(tmp_path, server.url, task="create a todo app", name="Gibberish")
    whole_run.assert_failed_readably(ran)
    assert 0 < sum(answer.tries for answer in ran.answers) <= most_answers(config.load(config.find("full")))
    counted = ran.log[-1]
    assert isinstance(counted, ServerCounted)
    assert counted.prefix_queries == sum(answer.prompt_tokens for answer in ran.answers)
    assert "found in the prefix cache" in ran.report
