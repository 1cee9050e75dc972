"""Reads a server's list of models in the forms that servers use for it.

The protocol's form is ``{"data": [{"id": …}, …]}``. Others have ``models`` in place of ``data``, a bare list, names in
place of objects, or an object with the names as keys; some begin with a byte-order mark or are in Latin-1.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Entry = Mapping[str, Any]


class Listing(NamedTuple):
    """The listed models by name, in the server's order; ``found`` says what came in place of a list, if none did."""

    models: dict[str, Entry]
    found: str = ""


def json_in(body: bytes) -> Any:
    """The JSON value in a body, in UTF-8 with or without a byte-order mark, else in Latin-1. Raises ValueError, and
    RecursionError if it is nested too deeply."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    return json.loads(text)


def read(body: bytes) -> Listing:
    """The models in the body of ``GET /models``."""
    try:
        answer = json_in(body)
    except (ValueError, RecursionError):
        is_html = body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        return Listing({}, "a web page" if is_html else "something that is not JSON")
    if isinstance(answer, list):
        return Listing(dict(_named(answer)))
    if not isinstance(answer, dict):
        return Listing({}, f"JSON without a list of models: {_quoted(answer)}")
    for key in ("data", "models", "model_list"):
        listed = answer.get(key)
        if isinstance(listed, list):
            return Listing(dict(_named(listed)))
        if isinstance(listed, dict):
            return Listing(dict(_named([listed])) or {name: _entry(entry) for name, entry in listed.items()})
    if "data" in answer or "models" in answer:
        return Listing({}, f"an empty list: {_quoted(answer)}")
    return Listing({}, f"JSON without a list of models: {_quoted(answer)}")


def _named(entries: Sequence[object]) -> Iterable[tuple[str, Entry]]:
    are_names = not any(isinstance(entry, Mapping) for entry in entries)
    for entry in entries:
        if are_names and isinstance(entry, str) and entry:
            yield entry, {}
        elif isinstance(entry, Mapping):
            names = (entry.get(key) for key in ("id", "name", "model", "key", "model_name"))
            if name := next((name for name in names if isinstance(name, str) and name), None):
                yield name, entry


def _entry(value: object) -> Entry:
    return value if isinstance(value, Mapping) else {}


def _quoted(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) <= 120 else f"{text[:120]}…"
