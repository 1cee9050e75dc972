"""A list of models in any form is read, and none at all does not stop a run whose model is named."""

import json
from typing import Any

import pytest
from helpers.fake_server import refuses, says, serving

from chatdev.models import errors, listing
from chatdev.models.endpoint import Facts
from chatdev.models.endpoint_model import EndpointModel
from chatdev.models.types import Message, Options
from chatdev.settings import Settings

MODEL = {"id": "qwen", "max_model_len": "8192"}
BOM = b"\xef\xbb\xbf"
FORMS = {
    "models for data": {"models": [MODEL]},
    "a bare list": [MODEL],
    "names for objects": {"data": ["qwen"]},
    "a bare list of names": ["qwen"],
    "name for id": {"models": [{"name": "qwen"}]},
    "names as keys": {"data": {"qwen": {"max_model_len": 8192}}},
    "one object": {"data": MODEL},
    "a byte-order mark": BOM + json.dumps({"data": [MODEL]}).encode(),
    "Latin-1": b'{"data": [{"id": "qwen", "owned_by": "Andr\xe9"}]}',
    "entries that are no models": {"data": [None, 7, {"id": 3}, MODEL, ""]},
    "data null beside models": {"data": None, "models": [MODEL]},
}
MISSING = {
    "404": says(b"not here", 404),
    "404 as a page": says(b"<html>Not Found</html>", 404),
    "405": says({"detail": "Method Not Allowed"}, 405),
    "501": says(b"", 501),
    "null": says({"data": None, "object": "list"}),
    "an empty list": says({"data": []}),
    "another object": says({"status": "ok"}),
    "a word": says(b'"ok"'),
    "no JSON": says(b"it works"),
}


async def facts(page: object, name: str = "default") -> Facts:
    shown = page if callable(page) or not isinstance(page, bytes) else says(page)
    async with serving(pages={"/v1/models": shown}) as server:
        model = EndpointModel.of_vllm(Settings(vllm_endpoint=server.url, vllm_model_name=name))
        try:
            return await model.facts()
        finally:
            await model.aclose()


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
async def test_a_list_in_any_form_is_read(form: object) -> None:
    found = await facts(form)
    assert (found.model, found.served) == ("qwen", ("qwen",))
    assert found.window in (8192, 4096)


@pytest.mark.parametrize("page", MISSING.values(), ids=MISSING)
async def test_without_a_list_a_named_model_is_used_with_a_note(page: Any) -> None:
    found = await facts(page, "mine")
    assert (found.model, found.served) == ("mine", ())
    assert "using mine, as configured" in found.notes[0]
    async with serving(pages={"/v1/models": page}) as server:
        model = EndpointModel.of_vllm(Settings(vllm_endpoint=server.url, vllm_model_name="mine"))
        assert (await model.complete([Message("user", "hi")], Options())).text == "Hello"
        await model.aclose()
    assert server.asked[0]["model"] == "mine"


@pytest.mark.parametrize("page", MISSING.values(), ids=MISSING)
async def test_without_a_list_and_a_name_the_error_says_what_was_there_and_what_to_set(page: Any) -> None:
    with pytest.raises(errors.EndpointError) as error:
        await facts(page)
    assert "VLLM_MODEL_NAME" in error.value.do or "a web page" in error.value.what
    assert isinstance(error.value, errors.NotAModelServer | errors.ModelNotServed)


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"data": null}', 'an empty list: {"data": null}'),
        (b'{"status": "ok"}', 'JSON without a list of models: {"status": "ok"}'),
        (b'"ok"', 'JSON without a list of models: "ok"'),
        (b"it works", "something that is not JSON"),
        (BOM + b" <html>", "a web page"),
        (b"[" * 100_000, "something that is not JSON"),
        (b'{"data": []}', ""),
    ],
)
def test_what_came_in_place_of_a_list_is_named(body: bytes, found: str) -> None:
    assert listing.read(body) == ({}, found)


@pytest.mark.parametrize(("status", "kind"), [(401, errors.KeyRefused), (503, errors.Overloaded)])
async def test_a_refusal_of_the_list_is_still_an_error_with_a_named_model(status: int, kind: type[Exception]) -> None:
    with pytest.raises(kind):
        await facts(refuses("no", status), "mine")


async def test_a_web_page_is_still_no_model_server_with_a_named_model() -> None:
    with pytest.raises(errors.NotAModelServer, match="a web page"):
        await facts(b"<html>", "mine")


async def test_retry_after_of_the_list_is_read() -> None:
    with pytest.raises(errors.Overloaded) as error:
        await facts(says({"error": {"message": "slow down"}}, 429, Retry_After="7"))
    assert error.value.retry_after == 7
