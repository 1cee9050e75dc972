"""Addresses as people write them: the base URL that they mean, and what cannot be an address at all."""

import ipaddress
import re
from urllib.parse import SplitResult, urlsplit

from chatdev.errors import SettingsError

DEFAULT_ENDPOINT = "http://localhost:8000/v1"
"""Where ``vllm serve`` listens by default."""

_VERSION = re.compile(r"/v\d[^/]*(/|$)")
_CALLS = re.compile(
    r"/+(?:(?:chat/+)?completions?|chat|responses|embeddings|models|api/(?:chat|generate|tags))$", re.IGNORECASE
)
"""Paths of calls: people copy them from examples, but the base URL is meant."""
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LABEL = re.compile(r"[\w-]{1,63}")
_LOCAL_SUFFIXES = (".localhost", ".local", ".lan", ".internal", ".home.arpa")


def base_url(text: str, name: str) -> str:
    """The base URL that the user meant: ``localhost:8000`` becomes ``http://localhost:8000/v1``.

    A path that already has a version segment (``/v1``, ``/api/v3``, ``/v1beta/openai``) is kept, without the path of a
    call at its end. ``name`` is the setting's name for the SettingsError that is raised if this cannot be an address.
    """
    wrong = f"{name} is not the address of a model server: "
    do = f"Set it to an address like {DEFAULT_ENDPOINT}."
    parts, problem = split(text)
    if parts is None or parts.query:
        raise SettingsError(f"{wrong}{shown(text)!r}{f' ({problem})' if problem else ''}.", do=do)
    if "@" in parts.netloc:
        raise SettingsError(
            f"{wrong}it contains a user name or a password.",
            do='Remove them, and send them as a header instead: [headers] Authorization = "Basic …" in chatdev.toml.',
        )
    path = parts.path.rstrip("/")
    if _VERSION.search(path) or path.lower().endswith("/completions") or path.lower().startswith("/api/"):
        path = _CALLS.sub("", path).rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path if _VERSION.search(path) else path + '/v1'}"


def split(text: str) -> tuple[SplitResult | None, str]:
    """An HTTP address in its parts, ``http`` if it has no scheme. None if it cannot be one, then also why if that needs
    to be said."""
    if match := _UNWRITABLE.search(text):
        return None, f"it contains the character U+{ord(match[0]):04X}"
    if re.search(r"[\s\\]", text):
        return None, ""
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host = parts.hostname
        usable = parts.scheme in ("http", "https") and host and parts.port != 0
    except ValueError:
        return None, ""
    if not usable or not host:
        return None, ""
    problem = _wrong_host(host)
    return (None, problem) if problem else (parts, "")


def _wrong_host(host: str) -> str:
    """Why this cannot be a host, by the rules of DNS; empty if it can."""
    if ":" in host:  # urlsplit has checked the brackets
        return ""
    labels = host.removesuffix(".").split(".")
    if not all(labels):
        return "a host name has no empty part between, before or after its dots"
    if not host.isascii():
        try:
            labels = host.encode("idna").decode().removesuffix(".").split(".")
        except UnicodeError:
            return f"{host} cannot be a host name"
    if len(host) > 253 or any(len(label) > 63 for label in labels):
        return "a part of a host name has at most 63 characters, the whole name 253"
    if not all(_LABEL.fullmatch(label) for label in labels):
        return f"{host} cannot be a host name"
    return ""


def unwritable(text: str) -> str:
    """The first character that neither a header nor JSON can hold, such as ``U+0000``; empty if there is none."""
    match = _UNWRITABLE.search(text)
    return f"U+{ord(match[0]):04X}" if match else ""


def shown(address: str) -> str:
    """An address as an error may show it: without a login or a query, because people put keys there."""
    return re.sub(r"\?.*", "?***", re.sub(r"^(\w+://)?.*@", r"\1***@", address, flags=re.S), flags=re.S)


def host_of(url: str) -> str:
    """The host name or IP address in a URL, in lower case."""
    return urlsplit(url).hostname or ""


def is_openai(host: str) -> bool:
    """Whether a host is OpenAI itself."""
    return host == "openai.com" or host.endswith(".openai.com")


def is_this_machine(host: str) -> bool:
    """Whether a host is this machine itself."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def is_private(host: str) -> bool:
    """Whether a host is this machine, or in a private network."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_private
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_SUFFIXES)
