"""Removal of known secrets from everything that goes into a log, a report, an error or a prompt.

Each known value is replaced wherever it occurs: as it is, and as JSON, a URL, HTML or HTTP's Basic scheme
encode it.
Other forms of a secret (split in two, encoded twice) are not found.
"""

import base64
import binascii
import html
import re
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote, quote_plus, unquote, urlsplit

import msgspec

T = TypeVar("T")

MARK = "***"
_SHORT = 3
"""Values up to this length are not treated as secrets: they occur in too many words."""


_NO_SECRETS = re.compile(
    r"(sk-)?(empty|none|null|not?[-_ ]?(key|needed|required|api[-_]?key)([-_ ](required|needed))?|dummy|fake|test"
    r"|local(host)?|anything|ollama|lm[-_]?studio|v?llm|llama[-_.]?cpp|litellm)",
    re.IGNORECASE,
)
"""Words that people set as the key of a server without one. They are no secrets, and occur in many texts."""


def values(credentials: Iterable[str], *proxies: str) -> set[str]:
    """All strings that reveal a secret: keys and headers' values, with and without their scheme (``Bearer …``,
    ``Basic …``), and the logins in the addresses of proxies, plain and as they are sent. At least four characters each.
    """
    found: set[str] = set()
    for credential in credentials:
        if _NO_SECRETS.fullmatch(credential):
            continue
        scheme, _, bare = credential.partition(" ")
        found |= {credential, bare.strip()}
        if scheme.lower() == "basic":
            found |= _basic(bare.strip())
    short: set[str] = set()
    for proxy in proxies:
        login = _login(proxy)
        if not login:
            continue
        user, _, password = login.partition(":")
        plain = f"{unquote(user)}:{unquote(password)}"
        # As a client sends it, in both of the encodings that are in use for it.
        found |= {base64.b64encode(plain.encode(encoding, "replace")).decode() for encoding in ("utf-8", "latin-1")}
        found |= {login, plain, password, unquote(password)}
        short |= {f"//{login}@"} if len(login) <= _SHORT else set()
    return {secret for secret in found if len(secret) > _SHORT} | short


def _login(address: str) -> str:
    """The user name and the password in an address, as they are written there."""
    try:
        return urlsplit(address if "://" in address else f"//{address}").netloc.rpartition("@")[0]
    except ValueError:
        return ""


def _basic(encoded: str) -> set[str]:
    try:
        login = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return set()
    return {login, login.partition(":")[2]}


def is_telling(secret: str) -> bool:
    """Whether a string can only be a secret, so that it may be removed from code as well.

    ``EMPTY`` and ``not-needed`` are keys that people set for servers without a key. They are also words, and a
    program that contains them must stay unchanged.
    """
    mixed = re.search(r"\d", secret) is not None and re.search(r"[^\d]", secret) is not None
    return len(secret) >= 12 or (mixed and len(secret) >= 6)


class Redactor:
    """Replaces the known secrets by ``***``, the longest first."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        self._forms = sorted(forms, key=lambda form: (-len(form), form))
        written = sorted({_json(form).encode("utf-8", "surrogatepass") for form in self._forms})
        self._written = re.compile(b"|".join(map(re.escape, written))) if written else None

    def text(self, text: str) -> str:
        """The text without any known secret."""
        for form in self._forms:
            text = text.replace(form, MARK)
        return text

    def value(self, value: T) -> T:
        """A struct or other JSON value without known secrets in its strings; the same object if there were none."""
        if self._written is None or not self._written.search(msgspec.json.encode(value)):
            return value
        return msgspec.convert(self._cleaned(msgspec.to_builtins(value)), type(value), strict=False)

    def error(self, error: Exception) -> None:
        """Remove them from an error's own texts, in place, because a handler may print it."""
        for name, value in list(vars(error).items()):
            if isinstance(value, str | tuple):
                setattr(error, name, self._cleaned(value))
        error.args = self._cleaned(error.args)

    def _cleaned(self, value: Any) -> Any:
        match value:
            case str():
                return self.text(value)
            case dict():
                return {self._cleaned(key): self._cleaned(each) for key, each in value.items()}
            case list():
                return [self._cleaned(each) for each in value]
            case tuple():
                return tuple(self._cleaned(each) for each in value)
        return value


def _forms(secret: str) -> Iterator[str]:
    """A secret as it is, and as JSON, a URL, a form and HTML contain it."""
    yield secret
    yield _json(secret)
    for encoded in (quote(secret, safe=""), quote(secret), quote_plus(secret)):
        yield encoded
        yield re.sub("%..", lambda match: match[0].lower(), encoded)
    entities = html.escape(secret)
    yield from (html.escape(secret, quote=False), entities)
    yield from (entities.replace("&#x27;", each) for each in ("&#39;", "&#039;", "&apos;"))
    yield entities.replace("&quot;", "&#34;").replace("&#x27;", "&#39;")


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()[1:-1]
