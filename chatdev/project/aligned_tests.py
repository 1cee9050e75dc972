"""Imports in tests that differ from the program only in letter case, folder or naming style."""

import ast
import re
import sys
from collections.abc import Iterator, Mapping

from chatdev.agents import outline
from chatdev.agents.completeness import parsed
from chatdev.product.packages import is_listed


def module_of(path: str) -> str:
    """The name by which a Python file is imported."""
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def named_by(task: str, module: str) -> bool:
    """Whether a task names the module itself, not only the word that the module is named after."""
    word = re.escape(module)
    pattern = rf"\b{word}\.py\b|`{word}`|\b(?:module|package|import|from) {word}\b|\b{word} (?:module|package)\b"
    return re.search(pattern, task, re.I) is not None


def modules(text: str, program: Mapping[str, str], task: str) -> tuple[str, list[str]]:
    """The test with each import of a missing module changed to the intended one, and what was changed.

    Intended is the module whose name differs only in letter case or folder, else the only one that has all the names.
    """
    there = {module_of(path): path for path in program}
    edits: list[tuple[ast.stmt, str]] = []
    changes: list[str] = []
    tree = parsed(text)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            meant = _meant(node.module, {alias.name for alias in node.names}, there, program)
            if meant and _is_safe(text, node.module, task):
                changed = ast.ImportFrom(meant, node.names, 0)
                edits.append((node, ast.unparse(changed)))
                changes.append(f"import of {node.module} changed to {meant}")
        elif isinstance(node, ast.Import) and len(node.names) == 1 and "." not in node.names[0].name:
            alias = node.names[0]
            meant = _meant(alias.name, set(), there, program)
            if meant and _is_safe(text, alias.name, task):
                edits.append((node, f"import {meant} as {alias.asname or alias.name}"))
                changes.append(f"import of {alias.name} changed to {meant}")
    changed_text = _edited(text, edits)
    return (changed_text, changes) if edits and parsed(changed_text) is not None else (text, [])


def names(text: str, program: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Names that a test uses and the module defines in another case or style: path, name, defined name."""
    there = {module_of(path): path for path in program}
    given: set[tuple[str, str]] = set()
    for module, name in sorted(_used_names(text)):
        path = there.get(module, "")
        offered = outline.offered(program[path]) if path else frozenset()
        alike = [each for each in outline.definitions(program[path]) if _key(each) == _key(name)] if path else []
        if path and name not in offered and len(alike) == 1 and (path, name) not in given:
            given.add((path, name))
            yield path, name, alike[0]


def _used_names(text: str) -> set[tuple[str, str]]:
    """The names that a test uses from modules: imported, or as an attribute."""
    taken = {(module, name) for module, found in outline.imports(text).items() for name in found}
    tree = parsed(text)
    nodes = list(ast.walk(tree)) if tree else []
    aliases = {
        alias.asname or alias.name: alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
    }
    for node in nodes:
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            taken.add((aliases[node.value.id], node.attr))
    return taken


def _meant(module: str, taken: set[str], there: Mapping[str, str], program: Mapping[str, str]) -> str:
    top = module.partition(".")[0]
    if module in there or any(each.startswith(f"{module}.") for each in there):
        return ""
    if top in sys.stdlib_module_names or top == "tests" or is_listed(top):
        return ""
    last = module.rpartition(".")[2].casefold()
    alike = [each for each in there if each.casefold() == module.casefold()]
    alike = alike or [each for each in there if each.rpartition(".")[2].casefold() == last]
    if not alike and taken and "*" not in taken:
        alike = [each for each, path in there.items() if taken <= outline.definitions(program[path])]
    return alike[0] if len(alike) == 1 else ""


def _is_safe(text: str, module: str, task: str) -> bool:
    """Whether an import can be changed: neither the task nor a string of the test names the module."""
    return not named_by(task, module) and not any(
        literal == module or literal.startswith((f"{module}.", f"{module}/")) for literal in outline.strings(text)
    )


def _edited(text: str, edits: list[tuple[ast.stmt, str]]) -> str:
    """The text with statements replaced, from the last to the first; columns count bytes."""
    lines = text.encode().split(b"\n")
    for node, new in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset), reverse=True):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        before, after = lines[first][: node.col_offset], lines[last][node.end_col_offset or 0 :]
        lines[first : last + 1] = [before + new.encode() + after]
    return b"\n".join(lines).decode()


def _key(name: str) -> str:
    return name.replace("_", "").casefold()
