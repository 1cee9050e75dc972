"""What a Python text defines, what it needs from others, and what it does when run; from its syntax alone."""

import ast
import builtins
from collections.abc import Iterator, Mapping
from functools import lru_cache

from chatdev.agents.completeness import parsed

_KNOWN_NAMES = frozenset((*dir(builtins), "__file__"))
_Function = ast.FunctionDef | ast.AsyncFunctionDef
_Binder = ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar
_SAYS = frozenset(("print", "input", "exit", "main"))


@lru_cache(maxsize=64)
def definitions(text: str) -> frozenset[str]:
    """The functions and classes that a module defines at its top level."""
    tree = parsed(text)
    nodes = tree.body if tree else []
    return frozenset(node.name for node in nodes if isinstance(node, _Function | ast.ClassDef))


@lru_cache(maxsize=64)
def offered(text: str) -> frozenset[str]:
    """All names that a module binds at its top level, imports and names under an ``if`` included."""
    tree = parsed(text)
    return frozenset(name for node in _top(tree.body if tree else []) for name in _bound(node))


@lru_cache(maxsize=64)
def missing(text: str) -> frozenset[str]:
    """The names that a text uses without defining or importing them."""
    tree = parsed(text)
    nodes = list(ast.walk(tree)) if tree else []
    bound = {node.id for node in nodes if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    bound |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    bound |= {str(node.name) for node in nodes if isinstance(node, _Function | _Binder)}
    bound |= {name for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for name in _bound(node)}
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    return frozenset(used - bound - _KNOWN_NAMES)


def lacks_imports(text: str) -> bool:
    """Whether a text uses undefined names and has no imports at all."""
    return not imports(text) and bool(missing(text))


@lru_cache(maxsize=64)
def imports(text: str) -> Mapping[str, frozenset[str]]:
    """The modules that a text imports, by full name, each with the names imported from it; relative ones begin with a
    dot."""
    found: dict[str, set[str]] = {}
    tree = parsed(text) if "import" in text else None
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault(alias.name, set())
        elif isinstance(node, ast.ImportFrom):
            names = {alias.name for alias in node.names}
            found.setdefault("." * node.level + (node.module or ""), set()).update(names)
    return {module: frozenset(names) for module, names in found.items()}


@lru_cache(maxsize=64)
def is_started(text: str) -> bool:
    """Whether a module checks if it was started itself (``if __name__ == "__main__"``)."""
    tree = parsed(text) if "__main__" in text else None
    tests = [node.test for node in (tree.body if tree else []) if isinstance(node, ast.If)]
    return any(isinstance(part, ast.Name) and part.id == "__name__" for test in tests for part in ast.walk(test))


@lru_cache(maxsize=64)
def acts(text: str) -> bool:
    """Whether a module does something when run: it checks if it was started, or calls, loops or branches at its top
    level."""
    tree = parsed(text)
    return is_started(text) or any(
        isinstance(node, ast.For | ast.While | ast.With | ast.If | ast.Try)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))
        for node in (tree.body if tree else [])
    )


def is_code(text: str) -> bool:
    """Whether a text of unknown language is Python code: output such as ``Result: 3`` is valid Python by chance."""
    tree = parsed(text)
    return any(
        isinstance(node, _Function | ast.ClassDef | ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and _called(node.value) in _SAYS)
        for node in (tree.body if tree else [])
    )


@lru_cache(maxsize=64)
def cases(text: str) -> frozenset[str]:
    """The names of a text's tests: test functions, and test methods of test classes."""
    if "test" not in text:
        return frozenset()
    tree = parsed(text)
    classes = [node for node in (tree.body if tree else []) if isinstance(node, ast.ClassDef)]
    bodies = [tree.body if tree else [], *(node.body for node in classes if _holds_tests(node))]
    return frozenset(
        node.name for body in bodies for node in body if isinstance(node, _Function) and node.name.startswith("test")
    )


def strings(text: str) -> Iterator[str]:
    """The strings in a text, docstrings included."""
    tree = parsed(text)
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _holds_tests(node: ast.ClassDef) -> bool:
    names = (getattr(base, "attr", getattr(base, "id", "")) for base in node.bases)
    return node.name.startswith("Test") or any("TestCase" in name for name in names)


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run at a module's top level, including those under ``if``, ``try`` and the like."""
    left = list(body)
    while left:
        node = left.pop()
        yield node
        if isinstance(node, ast.If | ast.Try | ast.For | ast.While | ast.With):
            for within in ("body", "orelse", "finalbody"):
                left += getattr(node, within, ())
            for handler in getattr(node, "handlers", ()):
                left += handler.body


def _bound(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Import():
            yield from (alias.asname or alias.name.partition(".")[0] for alias in node.names)
        case ast.ImportFrom():
            yield from (alias.asname or alias.name for alias in node.names)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.For() | ast.With():
            yield from (inner.id for inner in _targets(node) if isinstance(inner, ast.Name))


def _targets(node: ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.With) -> Iterator[ast.AST]:
    match node:
        case ast.Assign():
            targets: list[ast.expr] = node.targets
        case ast.With():
            targets = [item.optional_vars for item in node.items if item.optional_vars]
        case _:
            targets = [node.target]
    for target in targets:
        yield from ast.walk(target)
