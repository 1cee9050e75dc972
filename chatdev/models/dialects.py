"""How servers and providers differ in speaking OpenAI's protocol: the rules of the file ``dialects.toml``.

The other modules ask here for the rules of all servers together, since a proxy may be in between, and an endpoint's
own name is not always known.
"""

import functools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

Finish = Literal["stop", "length", "content_filter", "tool_calls", "error"]


class VersionPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A page of a server with its version in ``field``; ``marker`` is another field that must be there too. ``last``:
    other servers may have this page as well."""

    path: str
    field: str
    marker: str = ""
    last: bool = False


class Dialect(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One section of the file, whose first lines say what each key means."""

    name: str
    owners: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    version_pages: tuple[VersionPage, ...] = ()
    window_fields: tuple[str, ...] = ()
    window_pages: tuple[str, ...] = ()
    window_option: str = ""
    slots_option: str = ""
    reasoning_fields: tuple[str, ...] = ()
    choices: str = ""
    thinking_off: dict[str, Any] = {}
    finish: dict[str, Finish] = {}
    overflow: tuple[str, ...] = ()
    window_in_refusal: tuple[str, ...] = ()
    prompt_in_refusal: tuple[str, ...] = ()
    no_such_model: tuple[str, ...] = ()
    key_refused: tuple[str, ...] = ()
    loading: tuple[str, ...] = ()
    out_of_memory: tuple[str, ...] = ()
    metrics: dict[str, tuple[str, ...]] = {}


class Dialects:
    """All sections, and the rules that follow from them. Patterns are compiled at their first use."""

    def __init__(self, servers: dict[str, Dialect]) -> None:
        self.servers = servers

    @functools.cached_property
    def ports(self) -> tuple[int, ...]:
        """The ports where servers listen by default: the first port of each, then the others."""
        first = (dialect.ports[0] for dialect in self.servers.values() if dialect.ports)
        return _distinct((*first, *self._each("ports")))

    @functools.cached_property
    def window_fields(self) -> tuple[str, ...]:
        """JSON fields with the context window, most reliable first."""
        return _distinct(self._each("window_fields"))

    @functools.cached_property
    def window_pages(self) -> tuple[str, ...]:
        """Paths of the servers' own pages with such a field."""
        return _distinct(self._each("window_pages"))

    @functools.cached_property
    def reasoning_fields(self) -> tuple[str, ...]:
        """Fields of a delta or message with the reasoning."""
        return _distinct(self._each("reasoning_fields"))

    @functools.cached_property
    def version_pages(self) -> tuple[tuple[str, VersionPage], ...]:
        """Engines by name, and the pages that identify them; those that others may have, too, last."""
        pages = [(dialect.name, page) for dialect in self.servers.values() for page in dialect.version_pages]
        return tuple(sorted(pages, key=lambda named: named[1].last))

    @functools.cached_property
    def thinking_off(self) -> tuple[dict[str, Any], ...]:
        """Request fields that may switch thinking off, most common first."""
        switches = [dialect.thinking_off for dialect in self.servers.values() if dialect.thinking_off]
        distinct = [switch for number, switch in enumerate(switches) if switch not in switches[:number]]
        return tuple(sorted(distinct, key=lambda switch: -switches.count(switch)))

    @functools.cached_property
    def finish(self) -> dict[str, Finish]:
        """Words for why an answer ended, in lower case, and what each means."""
        return {word.lower(): meaning for dialect in self.servers.values() for word, meaning in dialect.finish.items()}

    def of_owner(self, owner: str) -> Dialect | None:
        """The server that an owner in the model list names; None if it names the authors of the model."""
        return next((dialect for dialect in self.servers.values() if owner.lower() in dialect.owners), None)

    def options(self, name: Literal["window_option", "slots_option"]) -> str:
        """What a user sets, by server: ``vLLM: --max-model-len, llama.cpp: -c``."""
        named = ((dialect.name, getattr(dialect, name)) for dialect in self.servers.values())
        return ", ".join(f"{server}: {option}" for server, option in named if option)

    def matches(self, name: str, text: str) -> bool:
        """Whether a text matches any server's pattern under a key, such as ``overflow``."""
        return self._pattern(name).search(text) is not None

    def number(self, name: str, text: str) -> int | None:
        """The number in a text's first match of any server's pattern under a key, such as ``window_in_refusal``."""
        found = self._pattern(name).search(text)
        return next((int(group) for group in found.groups() if group), None) if found else None

    @functools.cache  # noqa: B019 - one instance lives as long as the process
    def _pattern(self, name: str) -> re.Pattern[str]:
        return re.compile("|".join(_distinct(self._each(name))), re.IGNORECASE | re.DOTALL)

    def _each(self, name: str) -> Iterator[Any]:
        for dialect in self.servers.values():
            yield from getattr(dialect, name)


def _distinct(values: Iterable[Any]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


@functools.cache
def load() -> Dialects:
    """The file that comes with ChatDev."""
    text = Path(__file__).with_name("dialects.toml").read_bytes()
    return Dialects(msgspec.toml.decode(text, type=dict[str, Dialect]))
