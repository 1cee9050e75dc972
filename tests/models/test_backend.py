"""The promised names: what they ask, what they give, and how they come to terms with a server."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from helpers.fake_server import delta, hello, model, refuses, says, serving, sse, streams, usage, whole

from chatdev.models import errors
from chatdev.models.address import of_openai
from chatdev.models.backend import ModelBackend, ModelFactory, OpenAIModel, StubModel, VLLMModel
from chatdev.models.background import BACKGROUND, Background
from chatdev.models.chat_model import ChatModel
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.fitting import MINIMUM_ANSWER
from chatdev.models.types import Message, ModelType, Options, Part
from chatdev.settings import Secret, Settings

HI = [Message("user", "hi")]
DICTS = [{"role": "user", "content": "hi"}]
OK = streams(hello())


async def test_a_call_asks_as_promised_and_says_who_answered() -> None:
    async with model() as (backend, server):
        completion = await backend.complete(HI, Options(request_id="Coding.1/ask.1"))
        receipt = completion.receipt
        assert (completion.text, completion.finish_reason, completion.usage.total_tokens) == ("Hello", "stop", 11)
        assert (receipt.endpoint, receipt.model, receipt.tries, receipt.cost) == (server.url, "default", 1, 0.0)
        assert receipt.first_token is not None and receipt.first_token <= receipt.seconds
    request = server.asked[0]
    assert (request["model"], request["messages"], request["stream"]) == ("default", DICTS, True)
    assert (request["temperature"], request["top_p"], request["max_tokens"]) == (0.2, 1.0, 4096)
    place, attempt, suffix = server.headers[0]["X-Request-Id"].split(";")
    assert (place, attempt, len(suffix)) == ("Coding.1/ask.1", "1", 8)


@pytest.mark.parametrize(("stream", "answer"), [(True, OK), (False, says(whole())), (True, says(whole()))])
async def test_run_gives_openais_form_streamed_or_not(stream: bool, answer: Any) -> None:
    async with model(answer) as (backend, server):
        found = await backend.arun(messages=DICTS, stream=stream)
        assert server.asked[0]["stream"] is stream
    assert found.pop("created") > 0
    assert found == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "default",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11},
    }


async def test_run_blocks_inside_a_running_loop_and_in_any_thread() -> None:
    async with serving() as server:
        settings = Settings(vllm_endpoint=server.url)
        backend = VLLMModel(settings=settings)

        def inside_a_loop() -> str:
            async def main() -> str:
                return text_of(backend.run(messages=DICTS))

            return asyncio.run(main())

        texts = await asyncio.gather(
            asyncio.to_thread(inside_a_loop),
            *(asyncio.to_thread(lambda: text_of(backend.run(DICTS))) for _ in range(4)),
        )
        await backend.aclose()
    assert texts == ["Hello"] * 5


def text_of(answer: Mapping[str, Any]) -> str:
    text = answer["choices"][0]["message"]["content"]
    assert isinstance(text, str)
    return text


def test_run_from_the_background_loop_itself_is_refused_instead_of_hanging() -> None:
    async def main() -> None:
        VLLMModel(settings=Settings()).run(DICTS)

    with pytest.raises(RuntimeError, match="await arun"):
        BACKGROUND.wait_for(main())


def test_the_background_loop_cancels_what_is_left_and_begins_again() -> None:
    background, begun, ended = Background(), threading.Event(), threading.Event()

    async def endless() -> None:
        try:
            begun.set()
            await asyncio.sleep(3600)
        finally:
            ended.set()

    def wait() -> None:
        with pytest.raises(BaseException):  # noqa: B017 - CancelledError of either kind
            background.wait_for(endless())

    waiting = threading.Thread(target=wait)
    waiting.start()
    begun.wait()
    background.close()
    waiting.join()
    assert ended.is_set()

    async def one() -> int:
        return 1

    assert background.wait_for(one()) == 1
    background.close()
    background.close()


def test_a_script_that_only_calls_run_leaves_no_warning_behind() -> None:
    script = """
import asyncio, logging, sys, threading
from aiohttp import web
logging.getLogger("asyncio").setLevel(logging.ERROR)  # no remarks about a slow machine
sys.path.insert(0, sys.argv[1])
from helpers.fake_server import serving
from chatdev.models.backend import VLLMModel
from chatdev.settings import Settings
up, done, url = threading.Event(), threading.Event(), []
async def serve():
    async with serving() as server:
        url.append(server.url); up.set()
        await asyncio.to_thread(done.wait)
thread = threading.Thread(target=asyncio.run, args=(serve(),)); thread.start(); up.wait()
backend = VLLMModel(settings=Settings(vllm_endpoint=url[0]))
print(backend.run(messages=[{"role": "user", "content": "hi"}])["choices"][0]["message"]["content"])
done.set(); thread.join()
"""
    here = Path(__file__).parent
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script, str(here.parent)]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=here.parents[1], timeout=60)
    assert (ran.stdout, ran.stderr, ran.returncode) == ("Hello\n", "", 0)


async def test_config_of_the_constructor_and_of_the_call_are_joined() -> None:
    async with model(temperature=0.7, n=1, stop=["x"]) as (backend, server):
        await backend.arun(DICTS, max_tokens=7, top_k=1)
    request = server.asked[0]
    assert (request["temperature"], request["stop"], request["max_tokens"], request["top_k"]) == (0.7, ["x"], 7, 1)
    assert "n" not in request
    with pytest.raises(ValueError, match="max_tokens"):
        VLLMModel(None, {"max_tokens": "many"}, settings=Settings())


async def test_a_named_optional_field_is_dropped_once_and_for_all() -> None:
    async with model(
        refuses("unknown field stream_options"),
        refuses("'temperature' does not support 0.2", param="temperature"),
        refuses("Use 'max_completion_tokens' instead of 'max_tokens'"),
        OK,
    ) as (backend, server):
        first = await backend.complete(HI, Options())
        second = await backend.complete(HI, Options())
    assert first.receipt.tries == 4
    assert first.receipt.adapted == (
        "max_completion_tokens for max_tokens",
        "without stream_options",
        "without temperature",
    )
    assert (second.receipt.tries, second.receipt.adapted) == (1, first.receipt.adapted)
    assert server.asked[4].keys() == {"model", "messages", "top_p", "max_completion_tokens", "stream"}
    assert [header.get("X-Request-Id") for header in server.headers] == [None] * 5


async def test_a_server_that_cannot_stream_is_asked_unstreamed() -> None:
    async with model(refuses("Streaming is not supported"), says(whole())) as (backend, server):
        completion = await backend.complete(HI, Options())
    assert (completion.text, server.asked[1]["stream"], completion.receipt.adapted) == ("Hello", False, ("unstreamed",))


async def test_a_strict_template_gets_merged_messages_and_then_no_system() -> None:
    words = "Conversation roles must alternate user/assistant/user/assistant/..."
    async with model(refuses(words), refuses("System role not supported"), OK) as (backend, server):
        talk = [Message("system", "S"), Message("user", "a"), Message("user", "b")]
        await backend.complete(talk, Options())
        await backend.complete(talk, Options())
    shapes = [[message["role"] for message in request["messages"]] for request in server.asked]
    assert shapes == [["system", "user", "user"], ["system", "user"], ["user"], ["user"]]
    assert server.asked[3]["messages"][0]["content"] == "S\n\na\n\nb"


async def test_a_refusal_that_nothing_helps_against_is_reported_at_once() -> None:
    async with model(refuses("no", 400)) as (backend, server):
        with pytest.raises(errors.RequestRefused, match="no"):
            await backend.complete(HI, Options())
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "trouble",
    [
        refuses("busy", 503),
        refuses("EngineCore died", 500),
        streams(sse(delta(content="Hel"), done=False)),
        streams(sse(delta(content="Hel"), delta("abort"))),
        says(whole("Hel") | {"error": {"message": "EngineCore died"}}),
        streams(sse(delta(content="Hel"), {"error": {"message": "EngineCore died", "code": 500}})),
        says(b'{"choices": 7}'),
    ],
)
async def test_a_passing_fault_is_tried_again_twice(trouble: Any) -> None:
    async with model(trouble, trouble, OK) as (backend, _):
        completion = await backend.complete(HI, Options())
    assert (completion.text, completion.receipt.tries) == ("Hello", 3)
    async with model(trouble) as (backend, server):
        with pytest.raises(errors.ServerFault) as error:
            await backend.complete(HI, Options(request_id="a"))
    assert [header["X-Request-Id"].split(";")[1] for header in server.headers] == ["1", "2", "3"]
    # one more if the first request was sent on the pooled connection, before its end was noticed
    assert error.value.tried[0].startswith(("3 requests within", "4 requests within"))


async def test_a_server_that_goes_away_later_is_tried_again_as_well() -> None:
    async with serving() as server:
        backend = VLLMModel(settings=Settings(vllm_endpoint=server.url), backoff=(0, 0))
        await backend.facts()
    with pytest.raises(errors.Unreachable) as error:
        await backend.complete(HI, Options())
    await backend.aclose()
    # one more if the first request was sent on the pooled connection, before its end was noticed
    assert error.value.tried[0].startswith(("3 requests within", "4 requests within"))


async def test_an_answer_gets_what_the_window_leaves() -> None:
    async with model(models={"data": [{"id": "default", "max_model_len": 2000}]}) as (backend, server):
        completion = await backend.complete([Message("user", "x" * 2500)], Options())
        assert completion.receipt.max_tokens == server.asked[0]["max_tokens"] == 2000 - 1016
        with pytest.raises(errors.WindowTooSmall, match=r"the window has 2000\."):
            await backend.complete([Message("user", "x" * 25000)], Options())
    assert len(server.asked) == 1


def cuttable(text: str) -> Message:
    return Message("user", text, (Part(text, "talk", 1, "left out", lambda: "[…]"),))


async def test_a_conversation_is_cut_to_the_window_and_the_receipt_says_so() -> None:
    talk = [cuttable("x" * 25000), Message("user", "go on")]
    async with model(models={"data": [{"id": "default", "max_model_len": 2000}]}) as (backend, server):
        completion = await backend.complete(talk, Options())
    assert server.asked[0]["messages"] == [{"role": "user", "content": "[…]"}, {"role": "user", "content": "go on"}]
    assert completion.receipt.cuts == ("talk left out (3 of 25,000 characters)",)


async def test_parts_that_need_no_cut_are_never_sent() -> None:
    async with model() as (backend, server):
        completion = await backend.complete([cuttable("hi")], Options())
    assert (server.asked[0]["messages"], completion.receipt.cuts) == (DICTS, ())


@pytest.mark.parametrize(
    "words",
    [
        "maximum context length is 2000 tokens (1990 in the messages)",
        "maximum context length is 2000 tokens, your prompt contains at least 2001 input tokens",
    ],
)
async def test_a_conversation_that_overflows_after_all_is_cut_further(words: str) -> None:
    """A tokenizer that makes more of the text than we thought."""
    models = {"data": [{"id": "default", "max_model_len": 2000}]}
    async with model(refuses(words), OK, models=models) as (backend, server):
        completion = await backend.complete([cuttable("x" * 3000), Message("user", "go on")], Options())
    assert [request["messages"][0]["content"] for request in server.asked] == ["x" * 3000, "[…]"]
    assert (completion.receipt.tries, len(completion.receipt.cuts)) == (2, 1)


async def test_an_answer_that_the_window_ends_at_once_is_no_answer() -> None:
    """llama.cpp takes a prompt that leaves hardly any room, and cuts the answer there without a word."""
    cut = sse(delta(content="so"), delta("length"), usage(prompt_tokens=1990, completion_tokens=10))
    async with model(streams(cut), models={"data": [{"id": "default", "max_model_len": 2000}]}) as (backend, _):
        with pytest.raises(errors.WindowTooSmall, match="takes 1990 tokens"):
            await backend.complete(HI, Options())


UNKNOWN_WINDOW = {"data": [{"id": "m"}]}


async def test_an_overflow_teaches_the_window_and_the_answer_is_shrunk_to_it() -> None:
    words = "maximum context length is 2048 tokens. However, you requested 4080 tokens (1000 in the messages)."
    async with model(refuses(words), OK, models=UNKNOWN_WINDOW) as (backend, server):
        talk = [Message("user", "x" * 2500)]
        assert (await backend.complete(talk, Options())).receipt.tries == 2
        assert [request["max_tokens"] for request in server.asked] == [4096 - 1016, 2048 - 1000]
        assert (await backend.facts()).window == 2048
        await backend.complete(talk, Options())
        assert server.asked[2]["max_tokens"] < 2048 - 1000


async def test_what_does_not_fit_a_window_that_is_only_assumed_is_reported_so() -> None:
    async with model(models=UNKNOWN_WINDOW) as (backend, server):
        with pytest.raises(errors.WindowTooSmall, match=r"the window has 4096\.\n(.*\n)+.*assumed.*window = 16384"):
            await backend.complete([Message("user", "x" * 50_000)], Options())
    assert not server.asked


async def test_a_counted_prompt_that_cannot_fit_is_reported_with_the_servers_count() -> None:
    refusal: dict[str, Any] = {"type": "exceed_context_size_error", "n_prompt_tokens": 15014, "n_ctx": 1024}
    async with model(refuses("too long", **refusal), models=UNKNOWN_WINDOW) as (backend, server):
        with pytest.raises(errors.WindowTooSmall, match="takes 15014 tokens"):
            await backend.complete(HI, Options())
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("maximum context length is 4096 tokens, at least 4097", "has 4096"),
        ("over the context window", "has 4096"),
    ],
)
async def test_an_overflow_without_a_count_shrinks_the_answer_once(words: str, expected: str) -> None:
    async with model(refuses(words), models=UNKNOWN_WINDOW) as (backend, server):
        with pytest.raises(errors.WindowTooSmall, match=expected):
            await backend.complete(HI, Options())
    assert [request["max_tokens"] for request in server.asked] == [4096 - 17, (4096 - 17) // 4]
    async with model(refuses(words), OK, models=UNKNOWN_WINDOW) as (backend, server):
        assert (await backend.complete(HI, Options(max_tokens=300))).text == "Hello"
    assert server.asked[1]["max_tokens"] == MINIMUM_ANSWER


async def test_what_no_server_counted_is_estimated_and_marked() -> None:
    async with model(streams(sse(delta(content="Hello there"), delta("stop")))) as (backend, _):
        usage_found = (await backend.complete(HI, Options())).usage
    assert usage_found.estimated
    assert usage_found.prompt_tokens >= 9 and usage_found.completion_tokens >= 3


async def test_an_answer_to_a_prompt_that_was_cut_without_a_word_is_no_answer() -> None:
    cut = streams(sse(delta(content="x"), delta("stop"), usage(prompt_tokens=2048)))
    async with model(cut, models={"data": [{"id": "m", "max_model_len": 32768}]}) as (backend, server):
        with pytest.raises(errors.PromptCut, match=r"it read 2048 of about 8411.*\n.*OLLAMA_CONTEXT_LENGTH") as raised:
            await backend.complete([Message("user", "word " * 6000)], Options(max_tokens=10))
    assert (raised.value.exit_status, len(server.asked)) == (2, 1)


async def test_a_prompt_that_grows_while_its_count_stands_still_teaches_nothing() -> None:
    """Else each step would lower what is expected of the next, and none would be far below it."""
    cut = streams(sse(delta(content="x"), delta("stop"), usage(prompt_tokens=1000)))
    async with model(cut, models={"data": [{"id": "m", "max_model_len": 32768}]}) as (backend, _):
        for words in (1000, 1200, 1400):
            await backend.complete([Message("user", "word " * words)], Options())
        with pytest.raises(errors.PromptCut):
            await backend.complete([Message("user", "word " * 1600)], Options())


THOUGHT = streams(sse(delta(reasoning="Hm, "), delta("length", reasoning="well"), usage(completion_tokens=1000)))
AGAIN = "retried with thinking off: an answer reached its token limit while the model was still thinking"


async def test_an_answer_that_is_all_thought_is_asked_for_without_thinking_and_with_more_room() -> None:
    async with model(THOUGHT, OK) as (backend, server):
        template: dict[str, Any] = {"chat_template_kwargs": {"a": 1}}
        completion = await backend.complete(HI, Options(max_tokens=1000, extra=template))
    assert (completion.text, completion.receipt.adapted, completion.receipt.tries) == ("Hello", (AGAIN,), 2)
    assert [request["max_tokens"] for request in server.asked] == [1000, 2000]
    assert server.asked[1]["chat_template_kwargs"] == {"a": 1, "enable_thinking": False}
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (18, 1002)


async def test_thinking_is_switched_off_only_for_a_model_that_was_seen_to_think() -> None:
    quick = Options(thinking=False)
    thought = sse(delta(reasoning="hm"), delta(content="Red"), delta("stop"), usage())
    async with model(streams(thought), OK) as (backend, server):
        for options in (quick, quick, Options()):
            await backend.complete(HI, options)
    assert ["chat_template_kwargs" in body for body in server.asked] == [False, True, False]


async def test_a_switch_that_does_not_work_is_not_used_again() -> None:
    thought = sse(delta(reasoning="hm"), delta(content="Red"), delta("stop"), usage())
    async with model(streams(thought)) as (backend, server):
        for _ in range(3):
            await backend.complete(HI, Options(thinking=False))
    assert ["chat_template_kwargs" in body for body in server.asked] == [False, True, False]


async def test_a_server_that_refuses_to_hear_of_thinking_is_given_the_room_alone() -> None:
    async with model(THOUGHT, refuses("unknown field chat_template_kwargs"), OK) as (backend, server):
        completion = await backend.complete(HI, Options(max_tokens=1000))
    assert (completion.text, completion.receipt.tries) == ("Hello", 3)
    assert (server.asked[2]["max_tokens"], "chat_template_kwargs" in server.asked[2]) == (2000, False)


async def test_a_model_that_only_thinks_is_asked_again_once() -> None:
    async with model(THOUGHT, models={"data": [{"id": "m", "max_model_len": 1100}]}) as (backend, server):
        completion = await backend.complete(HI, Options(max_tokens=1000))
    assert (completion.text, completion.finish_reason, len(server.asked)) == ("", "length", 2)
    assert server.asked[1]["max_tokens"] == 1100 - 17


async def test_a_short_answer_behind_a_thought_is_an_answer() -> None:
    answer = streams(sse(delta(reasoning="Hm"), delta("length", content="Yes"), usage()))
    async with model(answer) as (backend, server):
        assert (await backend.complete(HI, Options())).text == "Yes"
    assert len(server.asked) == 1


async def test_a_model_that_went_away_is_reported_with_those_that_are_served() -> None:
    gone = refuses("The model `default` does not exist. Valid aliases: other.", 404, param="model")
    async with model(gone) as (backend, _):
        with pytest.raises(errors.ModelNotServed, match="Served there: default"):
            await backend.complete(HI, Options())


class Wrapped(VLLMModel):
    """A user's subclass that overrides only ``run``."""

    def run(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        assert threading.current_thread() is not threading.main_thread()
        answer = super().run(messages=messages, **config)
        answer["choices"][0]["message"]["content"] += "!"
        return answer


class Awaited(VLLMModel):
    """A user's subclass that overrides only ``arun``."""

    async def arun(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        return await super().arun(messages, **config | {"top_k": 5})


class Own(ModelBackend):
    """A backend that has nothing but ``run``."""

    answer: ClassVar[dict[str, Any]] = whole("<think>hm</think>Own")

    def run(self, messages: Sequence[Mapping[str, Any]], **config: Any) -> dict[str, Any]:
        self.asked = (messages, config)
        return self.answer


async def test_a_subclass_that_overrides_only_run_is_called_in_a_thread_by_everyone() -> None:
    async with serving() as server:
        backend = Wrapped(settings=Settings(vllm_endpoint=server.url))
        assert text_of(await backend.arun(messages=DICTS)) == "Hello!"
        assert (await backend.complete(HI, Options(seed=3, extra={"top_k": 1}))).text == "Hello!"
        await backend.aclose()
    assert (server.asked[1]["seed"], server.asked[1]["top_k"]) == (3, 1)


async def test_a_subclass_that_overrides_only_arun_counts_for_complete() -> None:
    async with serving() as server:
        backend = Awaited(settings=Settings(vllm_endpoint=server.url))
        assert (await backend.complete(HI, Options())).text == "Hello"
        await backend.aclose()
    assert server.asked[0]["top_k"] == 5


async def test_a_backend_of_the_users_own_needs_nothing_but_run() -> None:
    own = Own()
    completion = await own.complete(HI, Options(request_id="here"))
    assert (completion.text, completion.reasoning, completion.usage.total_tokens) == ("Own", "hm", 11)
    assert (await own.facts()).model == "Own"
    await own.aclose()
    assert own.asked[0] == DICTS
    assert own.asked[1] == {"temperature": 0.2, "top_p": 1.0, "max_tokens": 4096, "stream": True}


async def test_a_backend_of_the_users_own_that_gives_no_answer_is_reported() -> None:
    class Odd(Own):
        answer: ClassVar = {"error": "no"}

    with pytest.raises(errors.ServerBroke, match=r"Odd\.run did not return a chat\.completion: no"):
        await Odd().complete(HI, Options())
    silent = msgspec.json.decode(msgspec.json.encode(whole("Hi"))) | {"usage": None}
    Odd.answer = silent
    assert (await Odd().complete(HI, Options())).usage.estimated


async def test_the_stub_answers_without_a_server() -> None:
    stub = ModelFactory.create(ModelType.STUB, {})
    assert isinstance(stub, StubModel)
    texts = [text_of(stub.run(DICTS)), text_of(await stub.arun(DICTS)), (await stub.complete(HI, Options())).text]
    assert texts == [StubModel.TEXT] * 3
    assert (await stub.facts()).served == ("stub",)
    await stub.aclose()


def test_the_factory_makes_what_the_type_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("VLLM_ENDPOINT", "OPENAI_API_KEY", "OPENAI_MODEL"):
        monkeypatch.delenv(name, raising=False)

    def made(kind: ModelType | None) -> tuple[type, str]:
        backend = ModelFactory.create(kind, {"temperature": 0.2})
        assert isinstance(backend, OpenAIModel)
        return type(backend), backend.chat_model.address.base_url

    assert made(None) == made(ModelType.VLLM) == made(ModelType.VLLM_LOCAL) == (VLLMModel, "http://localhost:8000/v1")
    assert made(ModelType.GPT_4O) == (OpenAIModel, "https://api.openai.com/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1234567890")
    assert made(None)[0] is OpenAIModel
    monkeypatch.setenv("VLLM_ENDPOINT", "http://gpu:9000")
    assert made(None) == (VLLMModel, "http://gpu:9000/v1")
    with pytest.raises(ValueError, match="unknown model type 'gpt-5'"):
        ModelFactory.create("gpt-5", {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "key", "kind", "words"),
    [
        (ModelType.GPT_4O, None, errors.KeyRefused, "OPENAI_API_KEY is not set"),
        (ModelType.GPT_3_5_TURBO_NEW, Secret("k"), errors.ModelNotServed, "shut gpt-3.5-turbo-16k down on 2024-09-13"),
    ],
)
async def test_what_openai_would_refuse_is_reported_before_it_is_asked(
    name: ModelType, key: Secret | None, kind: type[Exception], words: str
) -> None:
    backend = OpenAIModel(name, settings=Settings(openai_api_key=key))
    with pytest.raises(kind, match=words):
        await backend.facts()
    await backend.aclose()


@pytest.mark.parametrize(("free", "cost"), [(True, 0.0), (False, None)])
async def test_a_call_is_free_on_this_machine_and_of_unknown_price_elsewhere(free: bool, cost: float | None) -> None:
    async with serving(models={"data": [{"id": "gpt-4o"}]}) as server:
        settings = Settings(openai_base_url=server.url)
        address = msgspec.structs.replace(of_openai(settings), free=free)
        model = EndpointModel("gpt-4o", address, settings)
        assert (await model.complete(HI, Options())).receipt.cost == cost
        await model.aclose()


async def test_a_backend_can_be_used_wherever_chatdev_expects_a_model() -> None:
    texts: list[str] = []
    async with serving() as server:
        backend = VLLMModel(settings=Settings(vllm_endpoint=server.url))
        backend.debug = texts.append
        inner: ChatModel = backend
        assert (await inner.complete(HI, Options())).text == "Hello"
        assert (await inner.least_window(), inner.beyond(()), await inner.load()) == (8192, False, None)
        await inner.aclose()
    assert backend.debug is backend.chat_model.debug and len(texts) > 1


async def test_an_error_inside_an_answer_is_not_reported_as_a_status_of_http() -> None:
    async with model(streams(sse(delta(content="Hel"), delta("abort")))) as (backend, server):
        with pytest.raises(errors.ServerBroke) as error:
            await backend.complete(HI, Options())
    assert error.value.what == (
        f"The server at {server.url} failed while it answered: it ended the answer with the finish reason abort."
    )


@pytest.mark.parametrize(
    "filtered",
    [
        streams(sse(delta(content="Hel"), delta("content_filter"))),
        streams(sse(delta("SAFETY"))),
        says(whole("") | {"choices": [{"message": {"content": ""}, "finish_reason": "content_filter"}]}),
        refuses("The response was filtered.", 400, code="content_filter"),
    ],
)
async def test_an_answer_that_a_content_filter_withheld_is_a_failure_of_its_own_kind(filtered: Any) -> None:
    async with model(filtered, OK) as (backend, server):
        with pytest.raises(errors.ContentFiltered, match="content filter of the server at"):
            await backend.complete(HI, Options())
        assert len(server.asked) == 1  # the same prompt would be filtered again
        assert (await backend.complete(HI, Options())).text == "Hello"


async def test_an_answer_without_a_finish_reason_is_used_with_a_note_and_is_cut_if_it_filled_its_limit() -> None:
    unfinished = streams(sse(delta(content="Hel"), delta(content="lo"), usage()))
    async with model(unfinished) as (backend, _):
        whole_answer = await backend.complete(HI, Options(max_tokens=9))
        cut_answer = await backend.complete(HI, Options(max_tokens=2))
    assert (whole_answer.text, whole_answer.finish_reason, cut_answer.finish_reason) == ("Hello", "stop", "length")
    assert whole_answer.receipt.adapted == ("the server sent no finish reason; its end mark counts",)


async def test_an_empty_answer_says_in_its_receipt_where_the_text_was() -> None:
    called = {"choices": [{"delta": {"content": None, "tool_calls": [{"function": {"arguments": "{"}}]}}]}
    async with model(streams(sse(called, delta("tool_calls"), usage())), OK) as (backend, _):
        empty, full = [await backend.complete(HI, Options()) for _ in range(2)]
    assert (empty.text, empty.finish_reason, empty.receipt.text_in) == ("", "tool_calls", "tool_calls")
    assert full.receipt.text_in == ""
