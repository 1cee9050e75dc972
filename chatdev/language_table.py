"""The languages besides Python, as data: one section of ``product/languages.toml`` for each.

Everything that depends on a language is a key of its section, so that another language is one more section.
"""

import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

Reads = Literal["tap", "libtest", "go"]


class Toolchain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A language; the file explains the fields."""

    tools: tuple[str, ...]
    main: str
    suffixes: tuple[str, ...]
    test_file: str
    test: tuple[str, ...]
    reads: Reads
    how: str
    arguments: str = ""
    start: tuple[str, ...] = ()
    build: tuple[tuple[str, ...], ...] = ()
    build_tests: tuple[tuple[str, ...], ...] = ()
    former_tests: tuple[tuple[str, ...], ...] = ()
    announces: str = ""
    crash: str = ""
    looks: str = ""
    fences: Mapping[str, str] = {}
    main_is_class: bool = False
    environment: Mapping[str, str] = {}


Table = Mapping[str, Toolchain]
"""Languages by the name that a company uses."""


def read(text: str) -> Table:
    """A table from its TOML. Raises tomllib.TOMLDecodeError and msgspec.ValidationError."""
    return msgspec.convert(tomllib.loads(text), dict[str, Toolchain])


@cache
def table() -> Table:
    """The languages that ChatDev builds products in."""
    return read((Path(__file__).parent / "product" / "languages.toml").read_text(encoding="utf-8"))


def suffixes(languages: Table) -> frozenset[str]:
    """The endings of source files, without a dot."""
    return frozenset(suffix for language in languages.values() for suffix in language.suffixes)


def interpreters(languages: Table) -> tuple[str, ...]:
    """The programs that start a product in these languages, such as ``node``; not a product that was built."""
    return tuple(dict.fromkeys(each.start[0] for each in languages.values() if each.start and "/" not in each.start[0]))


def fence_names(languages: Table) -> dict[str, str]:
    """The name of a fenced block in a prompt, by the ending of the file that it shows."""
    return dict(pair for language in languages.values() for pair in language.fences.items())


def tags(languages: Table) -> dict[str, str]:
    """The ending of a file by the names that a fenced block may give its language, in lower case."""
    return dict(_tags(languages))


def _tags(languages: Table) -> Iterator[tuple[str, str]]:
    for name, language in languages.items():
        ending = language.main.rpartition(".")[2]
        yield from ((tag, ending) for tag in (name.casefold(), ending.casefold()))
        yield from ((tag, shown) for shown, tag in language.fences.items())
