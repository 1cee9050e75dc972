"""A Python product without its content: every function raises, and every program exits at once.

A test that imports the product and asserts nothing of it fails without the product and passes with it. On the hollow
product it passes, too, and so it proves nothing. Names stay, so that imports work: modules, functions and classes with
their bases. Values become None, since a test of a value does say something about the product.
"""

import ast
from collections.abc import Iterator, Mapping, Sequence

from chatdev.agents.completeness import parse
from chatdev.agents.filenames import belongs_to_tests

_KEPT_DECORATORS = frozenset(("staticmethod", "classmethod", "property", "setter", "getter", "deleter"))
_RAISES = ast.parse("raise NotImplementedError('hollow')").body


def hollowed(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files with every Python file of the program made hollow; a file that cannot be parsed stays as it is."""
    return {
        path: content if belongs_to_tests(path) or not path.endswith(".py") else _hollow(content)
        for path, content in files.items()
    }


def _hollow(content: bytes) -> bytes:
    tree = parse(content.decode(errors="replace"))  # not the shared tree, since its nodes are changed here
    if tree is None:
        return content
    body = [*_doctest(tree), *_module(tree.body)]
    return ast.unparse(ast.fix_missing_locations(ast.Module(body, []))).encode() + b"\n"


def _module(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """A module's statements; one that fails only leaves its names without a value."""
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield node
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield _function(node)
            case ast.ClassDef():
                empty = [ast.Assign([ast.Name(node.name, ast.Store())], ast.Constant(None))]
                handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), None, list[ast.stmt](empty))
                yield ast.Try([_class(node)], [handler], [], [])
            case ast.Assign() | ast.AnnAssign() | ast.AugAssign() | ast.For() | ast.With():
                yield from _names(node)
            case ast.If() | ast.Try() | ast.While():
                for part in ("body", "handlers", "orelse", "finalbody"):
                    for inner in getattr(node, part, []):
                        yield from _module(inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def _names(node: ast.stmt) -> Iterator[ast.stmt]:
    """The names that a statement sets, without their values; ``__all__`` stays."""
    stored = [each.id for each in ast.walk(node) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
    if "__all__" in stored:
        yield node
        return
    for name in dict.fromkeys(stored):
        yield ast.Assign([ast.Name(name, ast.Store())], ast.Constant(None))
    if isinstance(node, ast.With | ast.For):
        yield from _module([each for each in node.body if not isinstance(each, ast.Assign | ast.AnnAssign)])


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.stmt:
    """The function with the same parameters; calling it raises, and defaults are not computed."""
    node.body = [*_doctest(node), *_RAISES]
    node.decorator_list = [each for each in node.decorator_list if _last_name(each) in _KEPT_DECORATORS]
    node.returns = None
    for argument in ast.walk(node.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    node.args.defaults = [ast.Constant(None) for _ in node.args.defaults]
    node.args.kw_defaults = [each and ast.Constant(None) for each in node.args.kw_defaults]
    return node


def _doctest(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> list[ast.stmt]:
    """The docstring if it has examples: those that pass on the hollow product say nothing about it."""
    return [node.body[0]] if ">>>" in (ast.get_docstring(node, clean=False) or "") else []


def _class(node: ast.ClassDef) -> ast.stmt:
    body: list[ast.stmt] = _doctest(node)
    for each in node.body:
        match each:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                body.append(_function(each))
            case ast.ClassDef():
                body.append(_class(each))
            case ast.Assign(targets=[ast.Name(id=name)]) if name.startswith("__"):
                body.append(each)
            case ast.Assign() | ast.AnnAssign():
                body += _names(each)
    if not any(isinstance(each, ast.FunctionDef) and each.name == "__init__" for each in body):
        body += _constructor(node)
    node.body = body or [ast.Pass()]
    node.decorator_list = []
    return node


def _constructor(node: ast.ClassDef) -> list[ast.stmt]:
    """A constructor that raises, for a class whose own one was made by a decorator (a dataclass)."""
    if not node.decorator_list:
        return []
    return ast.parse("def __init__(self, *_, **__):\n    raise NotImplementedError('hollow')").body


def _last_name(node: ast.expr) -> str:
    return getattr(node, "attr", getattr(node, "id", ""))
