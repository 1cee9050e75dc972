"""Which distributions a product needs: by its imports, and by a module that it did not find."""

import ast
import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources

from chatdev.agents.completeness import parsed
from chatdev.agents.requirements import package_name

_LOOKED_UP = re.compile(r"\b(?:__import__|import_module|entry_points)\b")
_IMPORT = re.compile(r"^\s*(?:import|from)\s+(\w+)", re.M)


def distribution(module: str, files: Mapping[str, bytes]) -> str:
    """The distribution to install for ``module`` (dotted), or an empty string if none is vouched for.

    Modules of the product and of the standard library need none. ``packages.txt`` and the product's own
    ``requirements.txt`` vouch for a name; a traceback that mentions it does not.
    """
    if not module:
        return ""
    top = module.partition(".")[0]
    if not top or _at_hand(top, files):
        return ""
    if found := _packages_by_module().get(top, ""):
        return found
    listed = requirements(files.get("requirements.txt", b""))
    return next((name for name in listed if _canonical(name) == _canonical(top)), "")


def needed(files: Mapping[str, str]) -> tuple[str, ...] | None:
    """The distributions that the imports of a Python program need, sorted; empty if the standard library is enough.

    None if the imports do not determine them: a file that this interpreter cannot parse, a module that is looked up
    while the program runs, or one that ``packages.txt`` does not list.
    """
    found: set[str] = set()
    for path, text in files.items():
        if not path.endswith(".py"):
            continue
        tree = parsed(text)
        if tree is None or _LOOKED_UP.search(text):
            return None
        found |= {top for module in _modules(tree) if not _at_hand(top := module.partition(".")[0], files)}
    packages = _packages_by_module()
    return tuple(sorted({packages[top] for top in found}, key=str.lower)) if found <= packages.keys() else None


def _modules(tree: ast.Module) -> Iterator[str]:
    """The modules that a program imports. Only its statements are visited: a tenth of the nodes."""
    left: list[ast.AST] = [tree]
    while left:
        match node := left.pop():
            case ast.Import():
                yield from (alias.name for alias in node.names)
            case ast.ImportFrom(level=0, module=str(module)):
                yield module
            case _:
                for within in ("body", "orelse", "finalbody", "handlers", "cases"):
                    left += getattr(node, within, ())


def _at_hand(top: str, files: Iterable[str]) -> bool:
    """Whether a module belongs to the program or to the standard library."""
    return top in sys.stdlib_module_names or any(
        top == part.removesuffix(".py") for path in files for part in path.split("/")
    )


def vouched(requirement: str, files: Mapping[str, bytes]) -> bool:
    """Whether a line of requirements names a known package, or one that a file of the program imports."""
    name = _canonical(next(iter(requirements(requirement.encode())), ""))
    if name in _imported():
        return True
    source = b"\n".join(content for path, content in files.items() if path.endswith(".py")).decode(errors="replace")
    return name in {_canonical(module) for module in _IMPORT.findall(source)}


def is_listed(requirement: str) -> bool:
    """Whether a line of requirements names a package that ``packages.txt`` lists."""
    name = _canonical(next(iter(requirements(requirement.encode())), ""))
    return name in _names()


def similar(requirement: str) -> str:
    """The known package with nearly the same name, probably the intended one; empty if there is none."""
    name = _canonical(next(iter(requirements(requirement.encode())), ""))
    return next(iter(difflib.get_close_matches(name, _names(), 1, 0.8)), "")


def requirements(content: bytes) -> list[str]:
    """The names in a ``requirements.txt``, without versions; options, URLs and paths are skipped."""
    lines = content.decode("utf-8-sig", "replace").splitlines()
    return [name for line in lines if (name := package_name(line))]


def same(name: str, names: Iterable[str]) -> bool:
    """Whether ``names`` contains a name, in any spelling that PEP 503 treats as equal."""
    return _canonical(name) in map(_canonical, names)


@cache
def _packages_by_module() -> dict[str, str]:
    text = resources.files("chatdev.product").joinpath("packages.txt").read_text(encoding="utf-8")
    entries = (line.split() for line in text.splitlines() if not line.startswith("#"))
    return {entry[0]: entry[-1] for entry in entries if entry}


@cache
def _names() -> tuple[str, ...]:
    return tuple(sorted({_canonical(name) for name in _packages_by_module().values()}))


@cache
def _imported() -> frozenset[str]:
    return frozenset((*_names(), *map(_canonical, _packages_by_module())))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()  # PEP 503
