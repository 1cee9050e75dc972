"""The signatures of a source file: they replace it in a prompt that has no space for the whole file."""

import ast
import copy
from collections.abc import Iterator, Sequence
from functools import lru_cache

from chatdev.agents.completeness import parsed

MARK = "Only the signatures of this file fit here; the file itself is whole. Leave it as it is."
FIRST_LINES = 12
"""Lines shown of a file in a language that is not parsed here: enough for imports and a first declaration."""

_VALUE = 100
"""Characters of the longest assignment that is kept: a constant, not a table."""


@lru_cache(maxsize=256)
def signatures(path: str, text: str) -> str:
    """For Python, the imports, constants, classes and functions, with each docstring's first line; for other languages
    the first lines. A mark says so in both."""
    if path.endswith(".py") and (module := parsed(text)) is not None:
        return f"# {MARK}\n{ast.unparse(ast.Module(list(_bare(module.body)), []))}"
    lines = text.splitlines()
    left_out = len(lines) - FIRST_LINES
    return "\n".join([*lines[:FIRST_LINES], f"[… {left_out} more lines. {MARK}]"]) if left_out > 0 else text


def _bare(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements without their bodies. The tree is shared, so changed nodes are copied."""
    for node in body:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield node
            case ast.Assign() | ast.AnnAssign() if len(ast.unparse(node)) <= _VALUE:
                yield node
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                bare = copy.copy(node)
                within = list(_bare(node.body)) if isinstance(node, ast.ClassDef) else []
                bare.body = [*_first_line(node), *(within or [ast.Expr(ast.Constant(...))])]
                yield bare


def _first_line(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[ast.stmt]:
    if docstring := ast.get_docstring(node):
        yield ast.Expr(ast.Constant(docstring.splitlines()[0]))
