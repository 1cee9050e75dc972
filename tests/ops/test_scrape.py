import aiohttp
import pytest

from chatdev.errors import UserError
from chatdev.ops import scrape


async def test_the_page_is_rendered_again_for_each_scrape_on_this_machine_alone() -> None:
    texts = iter(["a 1\n", "a 2\n"])
    async with scrape.serving(0, lambda: next(texts)) as url, aiohttp.ClientSession() as session:
        assert url.startswith("http://127.0.0.1:")
        bodies = []
        for _ in range(2):
            async with session.get(url) as response:
                assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
                bodies.append(await response.text())
    assert bodies == ["a 1\n", "a 2\n"]


async def test_a_port_that_is_taken_is_reported_plainly() -> None:
    async with scrape.serving(0, str) as url:
        port = int(url.split(":")[2].split("/")[0])
        with pytest.raises(UserError, match=rf"port {port} \(.*\).\nChoose another --metrics-port"):
            async with scrape.serving(port, str):
                pass
