"""A server is asked what it is; what it says decides the model and the window."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from helpers.fake_server import model, says, serving
from helpers.listening import listening

from chatdev.models import endpoint, errors
from chatdev.models.address import Address
from chatdev.models.backend import VLLMModel
from chatdev.models.endpoint import Facts
from chatdev.models.types import Message, Options
from chatdev.settings import Deadlines, Settings

PLACE = Address(base_url="http://host/v1", how_to_name="Set VLLM_MODEL_NAME.")


async def facts(models: object, name: str = "default", pages: dict[str, object] | None = None) -> Facts:
    async with serving(models=models, pages=pages) as server:
        backend = VLLMModel(settings=Settings(vllm_endpoint=server.url, vllm_model_name=name))
        try:
            return await backend.facts()
        finally:
            await backend.aclose()


def listed(*entries: dict[str, Any] | str) -> dict[str, Any]:
    return {"data": [{"id": entry} if isinstance(entry, str) else entry for entry in entries]}


async def test_vllm_tells_its_window_and_its_names() -> None:
    found = await facts(listed({"id": "qwen", "max_model_len": 4096}, {"id": "lora", "max_model_len": 4096}), "lora")
    assert (found.model, found.served, found.window, found.notes) == ("lora", ("qwen", "lora"), 4096, ())


@pytest.mark.parametrize(
    ("entry", "window"),
    [
        ({"meta": {"n_ctx_train": 131072, "n_ctx": 1024}}, 1024),
        ({"context_window": 8192}, 8192),
        ({"context_length": 32768, "top_provider": {"context_length": 9}}, 32768),
        ({"max_model_len": 0, "context_length": "long", "n_ctx": [1]}, endpoint.ASSUMED),
    ],
)
async def test_the_window_has_many_names(entry: dict[str, Any], window: int | None) -> None:
    assert (await facts(listed({"id": "m"} | entry))).window == window


@pytest.mark.parametrize(
    ("path", "page", "window"),
    [
        ("/props", {"default_generation_settings": {"n_ctx": 1024}, "total_slots": 2}, 1024),
        ("/api/ps", {"models": [{"name": "other", "context_length": 1}, {"name": "m", "context_length": 4096}]}, 4096),
        ("/api/ps", {"models": []}, None),
        (
            "/api/v1/models",
            {
                "models": [
                    {"key": "m", "max_context_length": 9, "loaded_instances": [{"config": {"context_length": 8}}]}
                ]
            },
            8,
        ),
        ("/api/v0/models", {"data": [{"id": "m", "max_context_length": 9, "loaded_context_length": 7}]}, 7),
        ("/info", {"max_input_tokens": 5, "max_total_tokens": 6}, 6),
        ("/get_server_info", {"context_length": None, "max_req_input_len": 2043, "max_total_num_tokens": 2048}, 2043),
        ("/get_server_info", {"context_length": 8192, "max_req_input_len": 2043}, 8192),
        ("/props", b"<html>", None),
    ],
)
async def test_servers_that_hide_the_window_are_asked_in_their_own_way(
    path: str, page: object, window: int | None
) -> None:
    found = await facts(listed("m"), pages={path: says(page)})
    assert (found.window, found.assumed) == (window or 4096, window is None)
    assert any("4,096 tokens are assumed" in note for note in found.notes) is (window is None)


async def test_a_window_that_only_the_user_knows_is_taken_and_no_guess() -> None:
    async with serving(models=listed("m")) as server:
        backend = VLLMModel(settings=Settings(vllm_endpoint=server.url, window=2048))
        found = await backend.facts()
        await backend.aclose()
    assert (found.window, found.assumed, found.notes) == (2048, False, ())


async def test_a_model_that_tells_its_window_once_it_is_loaded_is_asked_again() -> None:
    """Ollama's ``/api/ps`` lists no model before the first question."""
    pages: dict[str, object] = {"/api/ps": {"models": []}}
    async with serving(models=listed("m"), pages=pages) as server:
        backend = VLLMModel(settings=Settings(vllm_endpoint=server.url))
        assert (await backend.facts()).window == 4096
        server.pages["/api/ps"] = {"models": [{"name": "m", "context_length": 2048}]}
        receipts = [(await backend.complete([Message("user", "hi")], Options())).receipt for _ in range(2)]
        found = await backend.facts()
        await backend.aclose()
    assert (found.window, found.assumed) == (2048, False)
    ending = ("the server reported its context window after its first answer: 2,048 tokens",)
    assert [receipt.adapted for receipt in receipts] == [ending, ()]
    assert server.got.count("/api/ps") == 2


@pytest.mark.parametrize(
    ("served", "picked"),
    [
        (["only"], "only"),
        (["a", "default"], "default"),
        (["bge-m3", "nomic-embed-text", "Qwen3-Reranker", "whisper-1", "qwen"], "qwen"),
        (["text-embedding-3"], "text-embedding-3"),
    ],
)
def test_default_is_whatever_is_served_and_chats(served: list[str], picked: str) -> None:
    name, notes = endpoint.pick("default", {name: {"id": name} for name in served}, PLACE)
    assert name == picked
    passed_over = len(served) > 1 and picked != "default"
    assert notes == ((f"Model: {picked}, one of {len(served)} served.",) if passed_over else ())


def test_what_the_server_says_of_a_model_tells_whether_it_chats() -> None:
    assert not endpoint.chats("m", {"type": "embeddings"})
    assert not endpoint.chats("m", {"architecture": {"output_modalities": ["image"]}})
    assert endpoint.chats("m", {"architecture": {"output_modalities": ["text"]}, "type": "llm"})


@pytest.mark.parametrize(
    ("wanted", "entry"),
    [("llama3", {"id": "llama3:latest"}), ("qwen", {"id": "Qwen/qwen"}), ("alias", {"id": "m", "aliases": ["alias"]})],
)
def test_a_name_that_is_served_in_a_longer_form_is_taken_and_reported(wanted: str, entry: dict[str, Any]) -> None:
    name, notes = endpoint.pick(wanted, {entry["id"]: entry}, PLACE)
    assert name == entry["id"]
    assert wanted in notes[0]


async def test_a_name_that_is_not_served_lists_those_that_are() -> None:
    with pytest.raises(errors.ModelNotServed, match=r'"gpt" is not served.*Served there: a, b\.\nSet VLLM_MODEL_NAME'):
        await facts(listed("a", "b"), "gpt")
    with pytest.raises(errors.ModelNotServed, match="The server lists no models"):
        await facts(listed())


@pytest.mark.parametrize(
    ("page", "kind", "words"),
    [
        (says(b"<html>Hi</html>"), errors.NotAModelServer, "a web page"),
        (says(b"<html>Hi</html>", 404), errors.NotAModelServer, "a web page"),
        (says(b"nothing", 404), errors.NotAModelServer, "HTTP status 404"),
        (says(b"pong"), errors.NotAModelServer, "not JSON"),
        (says({"hello": 1}), errors.NotAModelServer, "without a list"),
        (says(b"", 302, Location="https://other/"), errors.NotAModelServer, "a redirect to https://other/"),
        (says({"error": "Unauthorized"}, 401), errors.KeyRefused, r"an API key: Unauthorized\.\nSet VLLM_API_KEY"),
        (says({"error": {"message": "Loading model"}}, 503), errors.Loading, "is not ready yet: Loading model"),
    ],
)
async def test_what_is_no_model_server_is_reported_plainly(page: object, kind: type[Exception], words: str) -> None:
    async with serving(pages={"/v1/models": page}) as server:
        backend = VLLMModel(settings=Settings(vllm_endpoint=server.url))
        with pytest.raises(kind, match=words):
            await backend.facts()
        await backend.aclose()


async def test_a_list_without_the_usual_wrapping_is_read_too() -> None:
    assert (await facts([{"id": "m"}, "rubbish", {"id": 7}])).served == ("m",)


async def test_the_server_is_asked_once() -> None:
    async with model() as (backend, server):
        assert await backend.facts() is await backend.facts()
        assert server.got == ["/v1/models"]


async def test_a_name_that_was_set_is_asked_for_where_the_server_lists_no_model() -> None:
    found = await facts({"data": []}, "mine")
    assert (found.model, found.served) == ("mine", ())
    assert found.notes[0] == "The server lists no models; using mine, as configured."


@pytest.fixture
async def silent_server() -> AsyncIterator[str]:
    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(wait) as url:
        yield url


async def test_a_server_that_accepts_and_says_nothing_is_given_up(silent_server: str) -> None:
    settings = Settings(vllm_endpoint=silent_server, deadlines=Deadlines(connect=0.2))
    backend = VLLMModel(settings=settings)
    with pytest.raises(errors.Stalled, match="did not answer within"):
        await endpoint.ask(backend.chat_model.opened_transport(), "default", patience=0.1)
    await backend.aclose()


def test_the_end_of_an_openai_model_is_reported_with_its_replacement() -> None:
    ending = "gpt-4o will be shut down on 2027-01-14. Its replacement is gpt-6-luna."
    assert endpoint.ending("gpt-4o", {}, with_price=True) == ending
    assert endpoint.ending("gpt-9", {}, with_price=True) == ""


@pytest.mark.parametrize("is_known", [True, False])
def test_any_provider_may_announce_the_end_of_a_model(is_known: bool) -> None:
    ending = endpoint.ending("gpt-9", {"shutdown_date": "2031-01-01"}, with_price=is_known)
    assert ending == "gpt-9 will be shut down on 2031-01-01."
    assert endpoint.ending("gpt-4o", {}, with_price=False) == ""


@pytest.mark.parametrize(
    ("pages", "owner", "engine"),
    [
        ({"/info": {"version": "3.3.5", "max_total_tokens": 4096}}, "", ("TGI", "3.3.5")),
        ({"/info": {"version": "1"}, "/version": {"version": "0.32.0"}}, "", ("vLLM", "0.32.0")),
        ({"/get_server_info": {"version": "0.5"}}, "", ("SGLang", "0.5")),
        ({"/props": {"build_info": "b42"}}, "llamacpp", ("llama.cpp", "b42")),
        ({"/api/version": {"version": "0.9"}}, "library", ("Ollama", "0.9")),
        ({"/health/readiness": {"litellm_version": "1.9"}}, "openai", ("LiteLLM", "1.9")),
        ({"/health/readiness": {"status": "healthy", "db": "Not connected"}}, "openai", ("LiteLLM", "")),
        ({"/version": ["no"], "/props": {"build_info": 3}}, "vllm", ("vLLM", "")),
        ({}, "the-people-who-made-it", ("", "")),
    ],
)
async def test_an_engine_is_recognised_by_its_own_page_or_by_the_owner_of_its_models(
    pages: dict[str, object], owner: str, engine: tuple[str, str]
) -> None:
    async with serving(pages=pages) as server:
        backend = VLLMModel(settings=Settings(vllm_endpoint=server.url))
        assert await endpoint.identify(backend.chat_model.opened_transport(), owner) == engine
        await backend.aclose()
