"""What a server reports about itself: which models it serves, and how large their context window is.

``GET /models`` is part of the protocol; the window has a different field name in it on each server, or is at a path of
the server's own. All of this is requested once, before the first call.
"""

import asyncio
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from chatdev.models import dialects, prices, refusals, wire
from chatdev.models import listing as reading
from chatdev.models.address import Address
from chatdev.models.errors import ModelError
from chatdev.models.listing import Listing
from chatdev.models.size import size_in

if TYPE_CHECKING:
    from chatdev.models.transport import Transport

PATIENCE = 10.0
"""Timeout in seconds of a request that needs no model."""

ASSUMED = 4096
"""Tokens of the window if neither the server nor a setting gives it: Ollama's default below 24 GiB of GPU memory, and
the smallest default of today's engines."""

_NO_CHAT = re.compile(
    r"embed|rerank|whisper|\btts\b|transcri|moderation|\bbge\b|\bgte\b|\be5\b|minilm|colbert|clip\b|dall-e|diffusion",
    re.IGNORECASE,
)


class Facts(msgspec.Struct, frozen=True):
    """An endpoint as it described itself. ``model`` is the model to use; ``window`` is in tokens.

    ``assumed``: the window is unknown, and ``window`` is a careful guess. OpenAI does not report it either, but refuses
    a prompt that does not fit, so nothing is guessed there: None. ``engine`` is the owner in the model list, such as
    ``vllm`` and ``llamacpp``; empty if there is none. ``ends`` says in a sentence when the provider will shut the model
    down; empty if it announced nothing.
    """

    base_url: str
    model: str
    served: tuple[str, ...] = ()
    window: int | None = None
    assumed: bool = False
    notes: tuple[str, ...] = ()
    engine: str = ""
    ends: str = ""
    size: float | None = None
    """Billions of parameters, if the server reports them."""
    skill: float | None = None
    """The share of trial questions that the model answered correctly, if ``chatdev doctor`` has tried it."""


async def ask(transport: "Transport", wanted: str, patience: float = PATIENCE) -> Facts:
    """Ask the server what it serves, and pick the model: the ``wanted`` one, or for ``default`` the first that chats.

    Raises Unreachable, NotAModelServer, KeyRefused, ModelNotServed, ServerFault.
    """
    address = transport.address
    models, found = await _listing(transport, wanted, patience)
    served = tuple(models)
    model, notes = pick(wanted, models, address)
    if found:
        notes = (f"The server does not list its models ({found}); using {wanted}, as configured.",)
    entry = models.get(model, {})
    window = window_in(entry)
    ends = ending(model, entry, with_price=address.is_openai)
    notes += (ends,) if ends else ()
    if window is None and not address.is_openai:
        window = await probe(transport, model) or address.window
    assumed = window is None and not address.is_openai
    if assumed:
        window = ASSUMED
        notes += (
            f"The server does not report its context window; {ASSUMED:,} tokens are assumed. If that is wrong, set it "
            "in chatdev.toml, for example: window = 16384",
        )
    engine = str(entry.get("owned_by") or "")
    size = None if address.is_openai else size_in(entry, model)
    return Facts(address.base_url, model, served, window, assumed, notes, engine, ends, size)


NOT_OFFERED = (404, 405, 501)
"""HTTP statuses of a server that has no list of models."""


async def _listing(transport: "Transport", wanted: str, patience: float) -> Listing:
    """The server's list of models. If the model is named, its server need not list any. Raises ModelError."""
    address = transport.address
    page = await transport.fetch(f"{address.base_url}/models", patience)
    if page.status in NOT_OFFERED:
        refusal = refusals.read(page.status, page.body)
        listing = Listing({}, "a web page" if refusal.html and wanted == "default" else f"HTTP status {page.status}")
    elif page.status != 200:
        raise refusals.error(refusals.read(page.status, page.body, page.retry_after), address)
    else:
        listing = reading.read(page.body)
    if listing.found and (wanted == "default" or listing.found == "a web page"):
        raise refusals.no_list(address, listing.found)
    return listing


def pick(wanted: str, models: Mapping[str, Mapping[str, Any]], address: Address) -> tuple[str, tuple[str, ...]]:
    """The served name to use, and notes on the choice. Raises ModelNotServed."""
    if wanted in models:
        return wanted, ()
    if wanted == "default" and models:
        able = [name for name, entry in models.items() if chats(name, entry)] or list(models)
        return able[0], (f"Model: {able[0]}, one of {len(models)} served.",) if len(models) > 1 else ()
    if not models and wanted != "default":
        return wanted, (f"The server lists no models; using {wanted}, as configured.",)
    for name, entry in models.items():
        aliases = entry.get("aliases")
        if (
            (isinstance(aliases, list) and wanted in aliases)
            or name == f"{wanted}:latest"
            or name.endswith(f"/{wanted}")
        ):
            return name, (f"Model: {name} (matches {wanted}).",)
    # Other programs put the kind of server in front (ollama/NAME, hosted_vllm/NAME), and a server may drop the author.
    short = wanted.partition("/")[2] if _PROVIDERS.match(wanted) else wanted.rpartition("/")[2]
    if short and short != wanted and (found := next((n for n in models if n in (short, f"{short}:latest")), None)):
        return found, (f"Model: {found} (matches {wanted}).",)
    raise refusals.not_served(address, wanted, tuple(models))


_PROVIDERS = re.compile(
    r"(ollama(_chat)?|(hosted_)?vllm|lm_studio|llamafile|llama_?cpp|openai|openai_like|litellm)/", re.I
)


def chats(name: str, entry: Mapping[str, Any]) -> bool:
    """Whether a model can chat: by the server's own description if there is one, else by the name."""
    architecture = entry.get("architecture")
    outputs = architecture.get("output_modalities") if isinstance(architecture, Mapping) else None
    if isinstance(outputs, list) and "text" not in outputs:
        return False
    kind = f"{entry.get('type', '')} {entry.get('task', '')} {entry.get('mode', '')}"
    return _NO_CHAT.search(f"{name} {kind}") is None


def window_in(value: object) -> int | None:
    """The context window, in tokens, in JSON of any shape: the most reliable name that occurs anywhere in it."""
    found: dict[str, int] = {}
    _collect(value, found)
    return next((found[name] for name in dialects.load().window_fields if name in found), None)


def _collect(value: object, found: dict[str, int]) -> None:
    inner: Iterable[object] = ()
    if isinstance(value, Mapping):
        for name in dialects.load().window_fields:
            if number := wire.whole_number(value.get(name)):
                found.setdefault(name, number)
        inner = value.values()
    elif isinstance(value, list):
        inner = value
    for each in inner:
        _collect(each, found)


def ending(model: str, entry: Mapping[str, Any], *, with_price: bool) -> str:
    """A sentence about a model that will be shut down: with the provider's own date, or the price file's if
    the model is looked up there (``with_price``)."""
    priced = prices.load().models.get(model) if with_price else None
    date = entry.get("shutdown_date") or (priced.shutdown if priced else None)
    if not date:
        return ""
    instead = f" Its replacement is {priced.replacement}." if priced and priced.replacement else ""
    return f"{model} will be shut down on {date}.{instead}"


async def identify(transport: "Transport", engine: str = "") -> tuple[str, str]:
    """The engine's name and version; each is empty if the server does not report it.

    ``engine`` is the owner in the model list, used if no page identifies the engine.
    """
    root, seconds = transport.address.root, transport.address.deadlines.connect
    rules = dialects.load()
    paths = dict.fromkeys(page.path for _, page in rules.version_pages)
    answers = await asyncio.gather(*(_page(transport, root + path, seconds) for path in paths))
    pages = dict(zip(paths, answers, strict=True))
    for name, page in rules.version_pages:
        answer = pages[page.path]
        version = (answer.get(page.field) if page.field else "") if isinstance(answer, dict) else None
        if isinstance(version, str) and (not page.marker or page.marker in answer):
            return name, transport.address.masked(version)  # a server may quote the key that it was sent
    dialect = rules.of_owner(engine)
    return dialect.name if dialect else "", ""


async def probe(transport: "Transport", model: str) -> int | None:
    """The window as the server's own pages report it; None if none does."""
    root = transport.address.root
    windows = await asyncio.gather(*(_ask_own(transport, root + path, model) for path in dialects.load().window_pages))
    return next(filter(None, windows), None)


async def _ask_own(transport: "Transport", url: str, model: str) -> int | None:
    answer = await _page(transport, url, transport.address.deadlines.connect)
    if isinstance(answer, dict):
        listed = answer.get("models") or answer.get("data")
        if isinstance(listed, list):  # of several models, only this one counts
            answer = [entry for entry in listed if isinstance(entry, dict) and model in entry.values()]
    return window_in(answer)


async def _page(transport: "Transport", url: str, seconds: float) -> Any:
    """The JSON at ``url``; None if there is none."""
    try:
        status, body = await transport.get(url, seconds)
        return reading.json_in(body) if status == 200 else None
    except (ModelError, ValueError, RecursionError):
        return None
