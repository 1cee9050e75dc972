"""Model servers on this machine are found by trying where they usually listen."""

from urllib.parse import urlsplit

from helpers.fake_server import serving

from chatdev.models import address as addresses
from chatdev.models import discover
from chatdev.settings import Settings


def port(url: str) -> int:
    found = urlsplit(url).port
    assert found
    return found


async def test_what_listens_is_reported_in_order_and_what_is_no_model_server_is_left_out() -> None:
    like = addresses.of_vllm(Settings())
    async with (
        serving(models={"data": [{"id": "first"}]}) as first,
        serving(models={"data": [{"id": "second"}]}) as second,
        serving(pages={"/v1/models": b"<html>"}) as web,
    ):
        ports = (port(web.url), port(second.url), 9, port(first.url))
        found = await discover.servers(like, ports)
    assert [(facts.base_url, facts.model) for facts in found] == [(second.url, "second"), (first.url, "first")]
