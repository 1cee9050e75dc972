"""Serves a run's metrics as Prometheus text, on this machine only.

This module imports aiohttp's server, so it is imported only when metrics are served.
"""

import contextlib
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from chatdev.errors import UserError
from chatdev.views.prometheus import CONTENT_TYPE

HOST = "127.0.0.1"


@contextlib.asynccontextmanager
async def serving(port: int, render: Callable[[], str]) -> AsyncIterator[str]:
    """Serve the output of ``render`` at ``/metrics`` on this port (0: any free port); yields the page's address.

    Raises UserError if the port is in use.
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
                f"Cannot serve metrics on {HOST}, port {port} ({why}).",
                do="Choose another --metrics-port, or 0 for any free port.",
            ) from None
        yield f"http://{HOST}:{runner.addresses[0][1]}/metrics"
    finally:
        await runner.cleanup()
