"""Recognises the errors of a proxy on the way to an endpoint."""

import os
from urllib.parse import urlsplit

import aiohttp

from chatdev.models.address import Address
from chatdev.models.errors import Unreachable


def failure(error: aiohttp.ClientError, address: Address) -> Unreachable | None:
    """The proxy's error as one of ours; None if there is no proxy, or it is not at fault."""
    if address.proxy is None:
        return None
    at = urlsplit(address.proxy.reveal())
    if isinstance(error, aiohttp.ClientHttpProxyError):
        why = f"HTTP {error.status}"
    elif isinstance(error, aiohttp.ServerTimeoutError):
        why = f"no connection within {address.deadlines.connect:g} s"
    elif isinstance(error, aiohttp.ClientConnectorDNSError) and error.host == at.hostname:
        why = "its host name cannot be resolved"
    elif isinstance(error, aiohttp.ClientConnectorError) and (error.host, error.port) == (at.hostname, at.port):
        why = (os.strerror(error.os_error.errno) if error.os_error.errno else str(error.os_error)).lower()
    else:
        return None
    return Unreachable(
        f"The proxy at {at.netloc.rpartition('@')[2]} did not connect to {address.base_url} ({why}).",
        do="Correct the proxy in chatdev.toml or HTTPS_PROXY, or exclude this host with NO_PROXY.",
    )
