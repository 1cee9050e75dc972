"""The user's settings: environment variables and ``chatdev.toml``. Only this package reads the environment.

Every variable can be set in ``chatdev.toml`` under its name in lower case; the environment wins. The file also holds
settings without a variable: deadlines, extra headers, a CA file, a proxy, a window. ``chatdev.toml.example`` shows all.
"""

import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec

from chatdev import redaction, textfile
from chatdev.errors import SettingsError
from chatdev.settings import proxies
from chatdev.settings.keys import is_placeholder, may_be_of_openai
from chatdev.settings.proxies import Proxies
from chatdev.settings.secret import Secret
from chatdev.settings.urls import DEFAULT_ENDPOINT, base_url, host_of, is_openai, is_private, shown, unwritable

__all__ = [
    "DEFAULT_ENDPOINT", "FILE", "Deadlines", "Secret", "Settings", "base_url", "load", "load_here", "traces_url",
]  # fmt: skip

FILE = "chatdev.toml"

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class Deadlines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long a model server may take, in seconds.

    ``connect``: until the connection is open; ``first_token``: from the request to the first piece of the answer (a
    long prompt on a busy server takes minutes); ``idle``: between two pieces, while a slow server may process another
    prompt; ``total``: for the whole answer. ``loading``: until a server that has answered before, or says that it is
    loading its model, is ready.
    """

    connect: Seconds = 2.0
    first_token: Seconds = 600.0
    idle: Seconds = 300.0
    total: Seconds = 3600.0
    loading: Seconds = 600.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, checked. A setting that was not set is None or the default.

    ``vllm_endpoint`` is None if not set, else the first of several; ``more_endpoints`` are the others. Without
    VLLM_ENDPOINT it is the private host that OPENAI_BASE_URL names. ``endpoint`` is the one to use in any case.
    ``own_endpoints`` are those that ``vllm_api_key``, ``headers`` and ``window`` belong to; None: all of these. Base
    URLs are normalised: a scheme, a version segment such as ``/v1``, no trailing slash. ``window`` is the context
    window, in tokens, of a server that does not report it. ``keys`` are the keys of other endpoints, by base URL.
    ``cache`` is the folder for findings about endpoints. ``ca_file``, a file or a folder, holds certificates to trust
    beside the system's; ``proxies`` are the ways out of a network. ``otlp_traces`` is where
    OpenTelemetry spans go, None for nowhere. ``local_only``: nothing goes to OpenAI; ``max_cost`` is the most that
    a run may pay, in US dollars. ``second_opinion``: ask another endpoint if the answers of one stay unusable.
    ``budget`` limits each run, keyed by the names of a company's ``[budget]``. ``other_keys`` are keys of other
    services in this process's environment. ``sources`` says where each name was set. ``notes`` are lines to print.
    ``waits``: a call waits for a server that is loading or restarting, up to ``deadlines.loading`` seconds;
    ``wait_at_start`` are the seconds to wait for a server that has not answered yet.
    """

    vllm_endpoint: str | None = None
    more_endpoints: tuple[str, ...] = ()
    own_endpoints: tuple[str, ...] | None = None
    vllm_model_name: str = "default"
    vllm_api_key: Secret | None = None
    debug: bool = False
    openai_api_key: Secret | None = None
    openai_model: str | None = None
    openai_base_url: str | None = None
    deadlines: Deadlines = Deadlines()
    headers: Mapping[str, Secret] = {}
    ca_file: Path | None = None
    proxies: Proxies = Proxies()
    window: int | None = None
    otlp_traces: str | None = None
    keys: Mapping[str, Secret] = {}
    cache: Path | None = None
    local_only: bool = False
    max_cost: float | None = None
    second_opinion: bool = False
    budget: Mapping[str, float] = {}
    other_keys: tuple[Secret, ...] = ()
    sources: Mapping[str, str] = {}
    notes: tuple[str, ...] = ()
    waits: bool = False
    wait_at_start: float = 0.0

    @property
    def endpoint(self) -> str:
        """The base URL of the user's own model server, the first of several."""
        return self.vllm_endpoint or DEFAULT_ENDPOINT

    @property
    def endpoints(self) -> tuple[str, ...]:
        """The base URLs of all the user's own model servers, in the order in which they are tried."""
        return (self.endpoint, *self.more_endpoints)

    def owns(self, url: str) -> bool:
        """Whether the configured key, headers and window belong to the server at this base URL."""
        return url in (self.endpoints if self.own_endpoints is None else self.own_endpoints)

    def reaching(self, typed: Sequence[str]) -> "Settings":
        """These settings with other endpoints, as typed; unchanged if there are none. Raises SettingsError.

        A key that was set along with VLLM_ENDPOINT goes only to the endpoints in that variable.
        """
        if not typed:
            return self
        urls = _urls(typed, "--endpoint")
        configured = self.vllm_endpoint and self.vllm_endpoint != self.openai_base_url
        own = self.own_endpoints or (self.endpoints if configured else None)
        sources = {**self.sources, "VLLM_ENDPOINT": "the command line"}
        return msgspec.structs.replace(
            self, vllm_endpoint=urls[0], more_endpoints=urls[1:], own_endpoints=own, sources=sources
        )

    @property
    def secrets(self) -> set[str]:
        """Every string that reveals a key, a header's value or the proxy's password; see ``redaction.values``."""
        own = (self.vllm_api_key, self.openai_api_key)
        credentials = (*own, *self.headers.values(), *self.keys.values(), *self.other_keys)
        return redaction.values([each.reveal() for each in credentials if each], *self.proxies.addresses)


Count = Annotated[int, msgspec.Meta(ge=1)]


class _Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The format of ``[budget]``."""

    calls: Count | None = None
    tokens: Count | None = None
    minutes: Seconds | None = None
    cost: Seconds | None = None


OTHER_KEYS = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
"""Variables with keys of services other than the model servers."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The format of ``chatdev.toml``."""

    vllm_endpoint: str | list[str] = ""
    vllm_model_name: str = ""
    vllm_api_key: str = ""
    vllm_debug: bool = False
    openai_api_key: str = ""
    openai_model: str = ""
    openai_base_url: str = ""
    deadlines: Deadlines = Deadlines()
    headers: dict[str, str] = {}
    ca_file: str = ""
    proxy: str = ""
    keys: dict[str, str] = {}
    window: Annotated[int, msgspec.Meta(ge=0)] = 0
    otel_exporter_otlp_endpoint: str = ""
    chatdev_local_only: bool = False
    max_cost: Annotated[float, msgspec.Meta(ge=0)] | None = None
    chatdev_second_opinion: bool = False
    budget: _Budget = _Budget()


def load_here(folder: Path = Path()) -> Settings:
    """The settings of this process: its environment and a folder, by default the current one. Raises SettingsError."""
    return load(os.environ, folder)


def load(environ: Mapping[str, str], folder: Path) -> Settings:
    """Read ``environ`` and ``folder/chatdev.toml``; a variable that is set and not blank wins.

    Raises SettingsError that names the variable, or the file and its key.
    """
    file = _read(folder / FILE)
    sources: dict[str, str] = {}

    def text(name: str) -> str:
        here, there = environ.get(name, "").strip(), getattr(file, name.lower(), "")
        there = ",".join(there) if isinstance(there, list) else there.strip()
        if here or there:
            sources[name] = "the environment" if here else FILE
        return _writable(here or there, name if here else f"{folder / FILE}: {name.lower()}")

    openai_url, url_name = next(
        ((base_url(value, name), name) for name in _BASE_URLS if (value := text(name))), (None, "")
    )
    key, notes = _openai_key(text("OPENAI_API_KEY"), openai_url)
    traces, more_notes = _otlp(environ, text("OTEL_EXPORTER_OTLP_ENDPOINT"))
    endpoints = _urls(text("VLLM_ENDPOINT").split(","), "VLLM_ENDPOINT")
    model = text("VLLM_MODEL_NAME")
    keys = {base_url(url, f"{folder / FILE}: a name in [keys]"): Secret(key) for url, key in file.keys.items()}
    if not endpoints and openai_url and is_private(host_of(openai_url)):
        endpoints, model = (openai_url,), model or text("OPENAI_MODEL")
        sources["VLLM_ENDPOINT"] = f"{url_name} in {sources[url_name]}"
        keys = ({openai_url: key} if key else {}) | keys
    return Settings(
        vllm_endpoint=endpoints[0] if endpoints else None,
        more_endpoints=endpoints[1:],
        vllm_model_name=model or "default",
        vllm_api_key=_secret(text("VLLM_API_KEY")),
        debug=_switch(environ, "VLLM_DEBUG", file.vllm_debug),
        openai_api_key=key,
        openai_model=text("OPENAI_MODEL") or None,
        openai_base_url=openai_url,
        deadlines=file.deadlines,
        headers={name: Secret(value) for name, value in file.headers.items()},
        ca_file=_ca_file(environ, folder, file.ca_file),
        proxies=proxies.load(environ, file.proxy.strip(), f"{folder / FILE}: proxy"),
        window=file.window or None,
        otlp_traces=traces,
        keys=keys,
        cache=_cache(environ),
        local_only=_switch(environ, "CHATDEV_LOCAL_ONLY", file.chatdev_local_only),
        max_cost=file.max_cost,
        second_opinion=_switch(environ, "CHATDEV_SECOND_OPINION", file.chatdev_second_opinion),
        budget={name: value for name, value in msgspec.structs.asdict(file.budget).items() if value is not None},
        other_keys=tuple(Secret(environ[name].strip()) for name in OTHER_KEYS if environ.get(name, "").strip()),
        sources=sources,
        notes=(*notes, *more_notes),
    )


_BASE_URLS = ("OPENAI_BASE_URL", "OPENAI_API_BASE", "BASE_URL")
"""OpenAI's own name, the one before it, and that of ChatDev 1.0."""
_CA_FILES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def _openai_key(key: str, openai_url: str | None) -> tuple[Secret | None, tuple[str, ...]]:
    """The key for OpenAI, or for the server that is set in its place; and a note if it counts as not set."""
    if is_placeholder(key):
        return None, ("OPENAI_API_KEY holds a placeholder, so it counts as not set.",)
    if key and not may_be_of_openai(key) and (not openai_url or is_openai(host_of(openai_url))):
        return None, ("OPENAI_API_KEY holds no key of OpenAI (those begin with sk-), so it counts as not set.",)
    return _secret(key), ()


def _writable(value: str, name: str) -> str:
    """The value of a setting. Raises SettingsError if no header and no JSON can hold it; a key is not shown."""
    if character := unwritable(value):
        raise SettingsError(f"{name} contains the character {character}.", do="Set it again without that character.")
    return value


def _ca_file(environ: Mapping[str, str], folder: Path, own: str) -> Path | None:
    """The certificates to trust beside the system's: the file's own setting, or the variables of other programs."""
    if own:
        path = folder / own
        if not path.is_file():
            raise SettingsError(
                f"{folder / FILE}: ca_file names {path}, but that is not a file.", do="Correct its path."
            )
        return path
    named = (Path(environ[name]) for name in _CA_FILES if environ.get(name, "").strip())
    return next((path for path in named if path.is_file() or path.is_dir()), None)


def _switch(environ: Mapping[str, str], name: str, otherwise: bool) -> bool:
    """Whether a variable is on or off; blank counts as not set."""
    value = environ.get(name, "").strip().lower()
    return value not in ("0", "false", "no", "off") if value else otherwise


def _urls(typed: Sequence[str], name: str) -> tuple[str, ...]:
    """Base URLs as typed, without duplicates, in order. Raises SettingsError."""
    return tuple(dict.fromkeys(base_url(each.strip(), name) for each in typed if each.strip()))


def _cache(environ: Mapping[str, str]) -> Path | None:
    """The cache folder, as the XDG Base Directory Specification defines it."""
    stated, home = environ.get("XDG_CACHE_HOME", ""), environ.get("HOME", "")
    if stated.startswith("/"):
        return Path(stated) / "chatdev"
    return Path(home) / ".cache" / "chatdev" if home else None


def _secret(text: str) -> Secret | None:
    return Secret(text) if text else None


def _otlp(environ: Mapping[str, str], endpoint: str) -> tuple[str | None, tuple[str, ...]]:
    """Where spans go by OpenTelemetry's own variables, and a note if they cannot be sent. These variables are often set
    for a whole machine and for other programs, so no value of them stops a run."""

    def of(name: str) -> str:
        return environ.get(name, "").strip()

    own = of("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")  # a whole address, unlike the other
    url = own or (traces_url(endpoint) if endpoint else "")
    if not url or of("OTEL_SDK_DISABLED").lower() == "true" or of("OTEL_TRACES_EXPORTER").lower() == "none":
        return None, ()
    protocol = of("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or of("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    if protocol == "http/protobuf" and re.match(r"https?://[^/\s@]+(/|$)", url):
        return url, ()
    why = f"{shown(url)} {'contains a login' if '@' in url else 'is not an HTTP address'}"
    if protocol != "http/protobuf":
        why = f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}"
    return None, (f"No OpenTelemetry spans are sent: {why}. Use http/protobuf, usually on port 4318.",)


def traces_url(endpoint: str) -> str:
    """Where a collector at this base address receives spans, as OpenTelemetry specifies."""
    return f"{endpoint.rstrip('/')}/v1/traces"


def _read(path: Path) -> _File:
    try:
        raw = tomllib.loads(textfile.read(path, SettingsError)) if path.exists() else {}
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(
            f"{path} is not valid TOML: {error}.", do="See chatdev.toml.example for the format."
        ) from None
    try:
        file = msgspec.convert(raw, _File)
    except msgspec.ValidationError as error:
        raise _complaint(path, raw, str(error)) from None
    for name, value in file.headers.items():
        if not _HEADER.fullmatch(name):
            raise SettingsError(f"{path}: headers: {name!r} cannot be the name of a header.")
        _writable(value, f"{path}: headers.{name}")
    for name, value in file.keys.items():
        _writable(value, f"{path}: the key of {name}")
    return file


_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


_WORDS = {
    "str": "a string",
    "float": "a number above 0",
    "bool": "true or false",
    "object": "a table",
    "int": "a whole number",
    "str | array": "a string or a list of strings",
    "float | null": "a number above 0",
    "int | null": "a whole number above 0",
}


def _complaint(path: Path, raw: dict[str, Any], message: str) -> SettingsError:
    """msgspec's error in the user's terms: the file, the key, what was expected and what was found."""
    where = match[1] if (match := re.search(r"`\$\.?(.*)`$", message)) else ""
    if unknown := re.match(r"Object contains unknown field `(.*?)`", message):
        names = Deadlines.__struct_fields__ if where else _File.__struct_fields__
        key = f"{where}.{unknown[1]}" if where else unknown[1]
        return SettingsError(f"{path}: unknown setting {key}.", do=f"Known settings: {', '.join(names)}.")
    where = re.sub(r"\[\d+\]$", "", where)  # a list is shown as a whole
    if where.endswith("[...]"):
        table = where.removesuffix("[...]")
        where = f"{table}." + next(name for name, value in raw[table].items() if not isinstance(value, str))
    found: Any = raw
    for step in where.split(".", 1):
        found = found[step]
    expected = re.match(r"Expected `([\w |]+)`", message)
    assert expected
    words = _WORDS[expected[1]]
    shown = f"of type {type(found).__name__}" if re.search("key|headers|proxy", where) else repr(found)
    return SettingsError(
        f"{path}: {where} must be {words}, but is {shown}.", do="See chatdev.toml.example for the format."
    )
