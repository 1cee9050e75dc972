"""Which model answers, and what is said about it before the first call."""

import asyncio
import socket
from pathlib import Path

import pytest
from helpers.fake_server import serving

from chatdev.errors import UserError
from chatdev.models import address as addresses
from chatdev.models import discover, errors
from chatdev.models.choose import Choice, choose
from chatdev.models.types import Message, Options
from chatdev.settings import Secret, Settings, load

KEY = Secret("sk-1234567890")


async def chosen(label: str | None, **settings: object) -> Choice:
    choice = await choose(label, Settings(**settings))  # type: ignore[arg-type]
    await choice.backend.aclose()
    return choice


def dead() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/v1"


@pytest.mark.parametrize("label", ["VLLM", "vllm_local", " Vllm ", None])
async def test_the_own_endpoint_is_asked_who_it_is(label: str | None) -> None:
    async with serving(models={"data": [{"id": "qwen", "max_model_len": 4096}]}) as server:
        choice = await chosen(label, vllm_endpoint=server.url, openai_api_key=KEY, notes=("A placeholder.",))
    assert (choice.label, choice.facts.model, choice.facts.window) == ("VLLM", "qwen", 4096)
    assert choice.notes[0] == "A placeholder."
    assert choice.notes[1].startswith("If none of your servers answers, OpenAI is used instead: ")
    assert "--local-only forbids that" in choice.notes[2]


async def test_without_an_endpoint_a_key_means_openai_and_that_is_announced() -> None:
    async with serving(models={"data": [{"id": "gpt-6-luna", "context_window": 1}]}) as server:
        choice = await chosen(None, openai_api_key=KEY, openai_base_url=server.url)
    assert (choice.label, choice.facts.model) == ("openai:gpt-6-luna", "gpt-6-luna")
    assert choice.notes[0] == "Using OpenAI: OPENAI_API_KEY is set and VLLM_ENDPOINT is not."


@pytest.mark.parametrize("label", ["VLLM", None])
async def test_a_dead_endpoint_beside_a_key_means_openai_announced_with_the_reason(label: str | None) -> None:
    url = dead()
    async with serving(models={"data": [{"id": "gpt-9"}]}) as server:
        choice = await chosen(
            label, vllm_endpoint=url, openai_api_key=KEY, openai_base_url=server.url, openai_model="gpt-9"
        )
    assert (choice.label, choice.facts.model) == ("VLLM", "gpt-9")  # the label of a run that goes back when it can
    assert choice.notes[0].startswith(f"No model server answered at {url} (connection refused).")
    assert choice.notes[1].startswith("None of your servers answers. OpenAI is used until one does: gpt-9 at ")


async def test_a_dead_endpoint_without_a_key_is_the_plain_error() -> None:
    with pytest.raises(errors.Unreachable, match="connection refused") as error:
        await chosen("VLLM", vllm_endpoint=dead())
    assert (error.value.exit_status, "VLLM_ENDPOINT" in error.value.do) == (2, True)


async def test_without_an_endpoint_the_error_points_to_what_does_listen_here(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(models={"data": [{"id": "qwen"}]}) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        monkeypatch.setattr(discover.servers, "__defaults__", ((port,),))
        monkeypatch.setattr("chatdev.settings.DEFAULT_ENDPOINT", dead())
        with pytest.raises(errors.Unreachable) as error:
            await chosen("VLLM")
    assert error.value.do == f"qwen is served at {server.url}: set VLLM_ENDPOINT to that address."


async def test_a_living_server_that_is_no_model_server_is_no_reason_to_ask_openai() -> None:
    async with serving(pages={"/v1/models": b"<html>"}) as server:
        with pytest.raises(errors.NotAModelServer):
            await chosen("VLLM", vllm_endpoint=server.url, openai_api_key=KEY)


@pytest.mark.parametrize(
    ("label", "name"), [("GPT_4O", "gpt-4o"), ("gpt_4o_mini", "gpt-4o-mini"), ("openai:My-Own", "My-Own")]
)
async def test_openais_models_have_their_old_names_and_any_other(label: str, name: str) -> None:
    async with serving(models={"data": [{"id": name, "max_model_len": 1}]}) as server:
        choice = await chosen(label, openai_base_url=server.url)
    assert (choice.label, choice.facts.model) == (f"openai:{name}", name)


async def test_openai_without_a_key_says_what_to_set() -> None:
    with pytest.raises(errors.KeyRefused, match="OPENAI_API_KEY is not set") as error:
        await chosen("GPT_4O")
    assert error.value.exit_status == 2


async def test_a_retired_name_says_its_replacement() -> None:
    with pytest.raises(errors.ModelNotServed, match=r"--model openai:gpt-5\.6-sol"):
        await chosen("GPT_4_32k", openai_api_key=KEY)


async def test_the_stub_needs_no_server() -> None:
    choice = await chosen("stub")
    assert (choice.label, choice.facts.model, choice.facts.window) == ("STUB", "stub", None)


@pytest.mark.parametrize("label", ["GPT_5", "openai:", ""])
async def test_an_unknown_label_lists_all_there_are(label: str) -> None:
    with pytest.raises(
        UserError, match=r"Choose one of: VLLM, VLLM_LOCAL, DEMO, .*GPT_4O, .*STUB, openai:NAME, or a name"
    ):
        await chosen(label)


@pytest.mark.parametrize("label", ["GPT_4O", "openai:gpt-9"])
async def test_what_is_to_stay_local_does_not_go_to_openai(label: str) -> None:
    with pytest.raises(UserError, match=r"--local-only .* forbids that"):
        await chosen(label, openai_api_key=KEY, local_only=True)
    with pytest.raises(errors.Unreachable):
        await chosen("VLLM", vllm_endpoint=dead(), openai_api_key=KEY, local_only=True)
    async with serving(models={"data": [{"id": "gpt-9"}]}) as server:  # a private host in OpenAI's place is local
        choice = await chosen("openai:gpt-9", openai_base_url=server.url, local_only=True)
    assert choice.facts.model == "gpt-9"


QWEN = {"data": [{"id": "Qwen/Qwen3-8B"}, {"id": "llama3:latest"}, {"id": "tiny"}]}


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("Qwen3-8B", "Qwen/Qwen3-8B"),
        ("hosted_vllm/Qwen/Qwen3-8B", "Qwen/Qwen3-8B"),
        ("ollama/llama3", "llama3:latest"),
        ("ollama/tiny", "tiny"),
        ("organisation/tiny", "tiny"),
        ("llama3", "llama3:latest"),
    ],
)
async def test_a_name_that_the_endpoint_serves_is_that_model(name: str, model: str) -> None:
    async with serving(models=QWEN) as server:
        choice = await chosen(name, vllm_endpoint=server.url, openai_api_key=KEY)
    assert (choice.label, choice.facts.model, choice.facts.base_url) == (name, model, server.url)


async def test_a_name_that_the_endpoint_does_not_serve_is_refused_with_those_that_it_does() -> None:
    async with serving(models=QWEN) as server:
        with pytest.raises(errors.ModelNotServed, match="Qwen/Qwen3-8B"):
            await chosen("ollama/other", vllm_endpoint=server.url, openai_api_key=KEY)


async def test_a_local_server_in_openais_place_serves_its_only_model_and_is_its_own_fallback_no_more() -> None:
    async with serving(models={"data": [{"id": "qwen"}]}) as server:
        found = load({"OPENAI_BASE_URL": server.url, "OPENAI_API_KEY": "lm-studio"}, Path("/nowhere"))
        choice = await choose(None, found)
        await choice.backend.complete([Message("user", "hi")], Options())
        await choice.backend.aclose()
    assert (choice.label, choice.facts.model) == ("VLLM", "qwen")
    assert not any("OpenAI" in note for note in choice.notes)
    assert server.headers[0]["Authorization"] == "Bearer lm-studio"


@pytest.mark.parametrize("key", ["EMPTY", "not-needed", "sk-no-key-required", "-"])
async def test_a_key_for_a_local_server_does_not_arm_the_fallback(key: str) -> None:
    found = load({"VLLM_ENDPOINT": dead(), "OPENAI_API_KEY": key}, Path("/nowhere"))
    with pytest.raises(errors.Unreachable):
        await choose("VLLM", found)


async def test_a_server_that_listens_by_ipv6_alone_is_found_as_localhost(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = b'{"data": [{"id": "six"}]}'
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        await writer.drain()
        writer.close()

    try:
        listening = await asyncio.start_server(answer, "::1", 0)
    except OSError:
        pytest.skip("no IPv6 on this machine")
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        choice = await chosen(None, vllm_endpoint=f"http://localhost:{port}/v1")
        (found,) = await discover.servers(addresses.of_vllm(Settings()), (port,))
    assert (choice.facts.model, found.base_url) == ("six", f"http://[::1]:{port}/v1")
