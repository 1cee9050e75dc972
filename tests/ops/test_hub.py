"""Finding a model: on the disk, in the user's cache, on a Hub of our own, or by its name alone."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from test_weights import QWEN_7B

from chatdev.errors import UserError
from chatdev.ops.serving import hub
from chatdev.settings import Secret
from chatdev.settings.others import HubSettings

MODEL = "org/Model-7B"
GATED = {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to model org/Model-7B is restricted."}


class Answers:
    """What the Hub of the test answers, and the Authorization headers that it got."""

    def __init__(self) -> None:
        self.files: dict[str, int] = {"config.json": 700, "model.safetensors": 15 << 30, "sub/other.safetensors": 9}
        self.info = self.config = 200
        self.headers: dict[str, str] = {}
        self.body = ""
        self.seen: set[str | None] = set()

    async def tell(self, request: web.Request) -> web.Response:
        self.seen.add(request.headers.get("Authorization"))
        assert request.query["blobs"] == "true"
        siblings = [{"rfilename": name, "size": size} for name, size in self.files.items()]
        text = self.body or json.dumps({"id": MODEL, "siblings": siblings})
        return web.Response(status=self.info, text=text, headers=self.headers if self.info != 200 else {})

    async def give(self, request: web.Request) -> web.Response:
        text = json.dumps(QWEN_7B)
        return web.Response(status=self.config, text=text, headers=self.headers if self.config != 200 else {})


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def place(answers: Answers, tmp_path: Path) -> AsyncIterator[HubSettings]:
    app = web.Application()
    app.router.add_get(f"/api/models/{MODEL}", answers.tell)
    app.router.add_get(f"/{MODEL}/resolve/main/config.json", answers.give)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield HubSettings(endpoint=f"http://{host}:{port}", token=None, cache=tmp_path / "cache", offline=False)
    await runner.cleanup()


async def test_a_model_on_the_hub_by_its_files(place: HubSettings, answers: Answers) -> None:
    need = await hub.find(MODEL, place)
    assert (need.name, need.weights, need.download, need.source) == ("Model-7B", 15 << 30, 15 << 30, "the HubSettings")
    assert (need.window, need.kv, need.path, need.estimated) == (32768, 57344, None, False)
    assert answers.seen == {None}


async def test_a_token_is_sent(place: HubSettings, answers: Answers) -> None:
    await hub.find(MODEL, HubSettings(endpoint=place.endpoint, token=Secret("hf_x"), cache=place.cache, offline=False))
    assert answers.seen == {"Bearer hf_x"}


async def test_a_gated_model_asks_for_a_token_and_says_where_it_is_had(place: HubSettings, answers: Answers) -> None:
    answers.config, answers.headers = 401, GATED  # the Hub tells of the files, but gives none
    with pytest.raises(UserError, match="HF_TOKEN is not set") as error:
        await hub.find(MODEL, place)
    assert f"{place.endpoint}/{MODEL}" in error.value.do
    assert f"{place.endpoint}/settings/tokens" in error.value.do
    assert "export HF_TOKEN" in error.value.do


async def test_a_gated_model_with_a_token_asks_to_be_let_in(place: HubSettings, answers: Answers) -> None:
    answers.config, answers.headers = 403, GATED
    with pytest.raises(UserError, match="the account of your HF_TOKEN has no access") as error:
        await hub.find(
            MODEL, HubSettings(endpoint=place.endpoint, token=Secret("hf_x"), cache=place.cache, offline=False)
        )
    assert "hf_x" not in str(error.value)


async def test_a_model_that_is_not_there(place: HubSettings, answers: Answers) -> None:
    answers.info, answers.config, answers.headers = 401, 401, {"X-Error-Code": "RepoNotFound"}
    with pytest.raises(UserError, match=r"no file or folder org/Model-7B here, and no such model.*\n.*set HF_TOKEN"):
        await hub.find(MODEL, place)


async def test_a_hub_that_fails_leaves_the_name_to_tell(place: HubSettings, answers: Answers) -> None:
    answers.info = 503
    need = await hub.find(MODEL, place)
    assert need.estimated
    assert need.source.startswith("its name alone, since http://127.0.0.1")
    answers.info, answers.body = 200, "<html>"
    assert (await hub.find(MODEL, place)).estimated


async def test_a_hub_out_of_reach_and_a_name_that_tells_nothing(place: HubSettings) -> None:
    need = await hub.find(
        "phi-4", HubSettings(endpoint="http://127.0.0.1:1", token=None, cache=place.cache, offline=False)
    )
    assert (need.name, need.weights, need.form) == ("phi-4", 0, "unknown")
    assert need.source.startswith("nothing, since")


async def test_a_repository_of_gguf_files_and_one_of_nothing(place: HubSettings, answers: Answers) -> None:
    answers.files, answers.config = {"m-Q8_0.gguf": 8, "m-Q4_K_M.gguf": 4, "README.md": 1}, 404
    need = await hub.find(MODEL, place)
    assert (need.form, need.gguf_files) == ("gguf", ("m-Q4_K_M.gguf", "m-Q8_0.gguf"))
    answers.body = "[]"
    with pytest.raises(UserError, match="cannot be served"):
        await hub.find(MODEL, place)


@pytest.mark.parametrize("name", ["./models/x", "models/x.gguf", "/nowhere/x", "a b", "../x"])
async def test_a_path_that_is_not_there_is_not_asked_of_the_hub(place: HubSettings, name: str) -> None:
    with pytest.raises(UserError, match="There is no file or folder"):
        await hub.find(name, place)


def cached(cache: Path, *files: str) -> Path:
    """A model in the cache, in the form of the Hub's own library."""
    folder = cache / "models--org--Model-7B"
    snapshot = folder / "snapshots" / "0123abc"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123abc")
    for name in files:
        (snapshot / name).write_text(json.dumps(QWEN_7B) if name == "config.json" else "12345678")
    return snapshot


async def test_a_model_in_the_cache_needs_no_hub(place: HubSettings, answers: Answers) -> None:
    cached(place.cache, "config.json", "model.safetensors")
    need = await hub.find(MODEL, place)
    assert (need.name, need.weights, need.download, need.path) == ("Model-7B", 8, 0, None)
    assert not answers.seen


async def test_half_a_model_in_the_cache_is_asked_of_the_hub(place: HubSettings, answers: Answers) -> None:
    snapshot = cached(place.cache, "config.json", "a.safetensors")
    index = {"weight_map": {"one": "a.safetensors", "two": "b.safetensors"}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    assert (await hub.find(MODEL, place)).source == "the HubSettings"


async def test_gguf_files_in_the_cache_are_listed(place: HubSettings) -> None:
    cached(place.cache, "m-Q4_K_M.gguf")
    with pytest.raises(UserError, match="one of them is the model"):
        await hub.find(MODEL, place)


async def test_a_folder_and_offline(place: HubSettings, tmp_path: Path) -> None:
    offline = HubSettings(endpoint=place.endpoint, token=None, cache=place.cache, offline=True)
    snapshot = cached(tmp_path / "elsewhere", "config.json", "model.safetensors")
    assert (await hub.find(str(snapshot), offline)).path == snapshot
    with pytest.raises(UserError, match="HF_HUB_OFFLINE forbids"):
        await hub.find(MODEL, offline)
