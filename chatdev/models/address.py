"""An endpoint's address and connection settings, and what the user changes to reach another one."""

from collections.abc import Mapping
from pathlib import Path

import msgspec

from chatdev import redaction
from chatdev.settings import Deadlines, Secret, Settings
from chatdev.settings.urls import host_of, is_openai, is_private

OPENAI = "https://api.openai.com/v1"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint's base URL (without credentials) and everything that the connection needs. ``free``: calls cost
    nothing. ``window`` is in tokens, for a server that does not report its own.

    ``how_to_reach``, ``key_name``, ``how_to_name`` and ``model_name`` are the next step in an error message: what to do
    when nothing answers, where the key is set, how to choose another model, and where its name is set.
    """

    base_url: str
    key: Secret | None = None
    headers: Mapping[str, Secret] = {}
    ca_file: Path | None = None
    proxy: Secret | None = None
    deadlines: Deadlines = Deadlines()
    free: bool = False
    window: int | None = None
    how_to_reach: str = ""
    key_name: str = ""
    how_to_name: str = ""
    model_name: str = "VLLM_MODEL_NAME"

    @property
    def root(self) -> str:
        """The base of the server's own pages, such as ``/metrics``: the base URL without its version path."""
        return self.base_url.rpartition("/v")[0]

    @property
    def host(self) -> str:
        """The host name or IP address, in lower case."""
        return host_of(self.base_url)

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI itself; its prices and shutdown dates are in ``prices.toml``."""
        return is_openai(self.host)

    def masked(self, text: str) -> str:
        """``text`` without keys, header values and the proxy's password: servers like to quote them back."""
        credentials = [secret.reveal() for secret in (self.key, *self.headers.values()) if secret]
        proxy = self.proxy.reveal() if self.proxy else ""
        return redaction.Redactor(redaction.values(credentials, proxy)).text(text)


def of_vllm(settings: Settings, other: str = "") -> Address:
    """The user's own model server, or an ``other`` one by its base URL.

    Key and headers go only to the server that they were set for; another one gets its own key from ``keys``.
    """
    base_url = other or settings.endpoint
    own = settings.owns(base_url)
    return Address(
        base_url=base_url,
        key=settings.keys.get(base_url) or (settings.vllm_api_key if own else None),
        headers=settings.headers if own else {},
        ca_file=settings.ca_file,
        proxy=settings.proxies.to(base_url),
        deadlines=settings.deadlines,
        free=True,
        window=settings.window if own else None,
        how_to_reach='Start one with "chatdev serve MODEL", or set VLLM_ENDPOINT to the address of yours.',
        key_name="VLLM_API_KEY" if own else f'its key under [keys] in chatdev.toml, for example: "{base_url}" = "…"',
        how_to_name='Set VLLM_MODEL_NAME to one of them, or to "default".',
    )


def of_openai(settings: Settings) -> Address:
    """OpenAI, or the endpoint that ``OPENAI_BASE_URL`` names."""
    base_url = settings.openai_base_url or OPENAI
    return Address(
        base_url=base_url,
        key=settings.openai_api_key,
        headers=settings.headers,
        ca_file=settings.ca_file,
        proxy=settings.proxies.to(base_url),
        deadlines=settings.deadlines,
        free=is_private(host_of(base_url)),
        window=settings.window,
        how_to_reach="Check the network and OPENAI_BASE_URL.",
        key_name="OPENAI_API_KEY",
        how_to_name="Choose one of them with --model openai:NAME, or with OPENAI_MODEL.",
        model_name="OPENAI_MODEL",
    )
