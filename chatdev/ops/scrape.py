"""A page of Prometheus text for whoever watches a run, on this machine alone.

This module imports aiohttp's server: it is imported when a page is asked for.
"""

import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from chatdev.errors import UserError
from chatdev.views.prometheus import CONTENT_TYPE

HOST = "127.0.0.1"


@contextlib.asynccontextmanager
async def serving(port: int, render: Callable[[], str]) -> AsyncIterator[str]:
    """Serve what ``render`` gives at ``/metrics`` on this port, 0 for a free one; the page's address.

    Raises UserError if the port is taken.
    """

    async def page(request: web.Request) -> web.Response:
        return web.Response(body=render().encode(), headers={"Content-Type": CONTENT_TYPE})

    app = web.Application()
    app.router.add_get("/metrics", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port).start()
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise UserError(
                f"No metrics can be served on {HOST}, port {port} ({why}).",
                do="Choose another --metrics-port, or 0 for any free one.",
            ) from None
        yield f"http://{HOST}:{runner.addresses[0][1]}/metrics"
    finally:
        await runner.cleanup()
