"""Whether a file written by a model is complete: omitted code, stubs, tests under a program's name."""

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache

from chatdev.agents.elisions import elided

_TODO = re.compile(
    r"(?:#|//|/\*|<!--|--)\W{0,4}(?:"
    r"(?:TODO|FIXME)\b(?:\s*[:(\-]|\s+(?i:add|complete|fill|finish|fix|handle|implement|write)\b|\W{0,3}$)"
    r"|(?i:(?:your|add|insert|write) (?:\w+ ){0,2}(?:code|logic|implementation) (?:goes )?here\b"
    r"|implement (?:this|me|later)\b|(?:\w+ ){0,3}(?:logic|implementation) (?:goes )?here\b"
    r"|not (?:yet )?implemented\b|placeholder for\b))",
    re.M,
)
_STUBS = re.compile(
    r"^\s*(?:throw new (?:UnsupportedOperationException|NotImplementedException|Error\(\s*['\"]not implemented)"
    r"|(?:todo|unimplemented)!\(|panic\(\s*\"(?:not implemented|todo)|NotImplementedError\b)",
    re.I,
)
_MAX_LINE = 400
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@lru_cache(maxsize=32)  # a file is parsed once as an answer and once as part of the project
def parsed(text: str) -> ast.Module | None:
    """As ``parse``, but the tree is shared: its nodes must not be changed."""
    return parse(text)


def parse(text: str) -> ast.Module | None:
    """The Python text as a tree, or None if it is not Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def is_only_tests(text: str) -> bool:
    """Whether a Python text defines tests and nothing else."""
    if "unittest" not in text and "pytest" not in text and "def test_" not in text:
        return False
    tree = parsed(text)
    defined = [node for node in tree.body if isinstance(node, _Function | ast.ClassDef)] if tree else []
    return bool(defined) and all(_is_test(node) for node in defined)


def is_only_methods(text: str) -> bool:
    """Whether a Python text is an excerpt of a class: functions of ``self``, and neither a class nor an import."""
    tree = parsed(text) if "self" in text else None
    nodes = tree.body if tree else []
    if any(isinstance(node, ast.ClassDef | ast.Import | ast.ImportFrom) for node in nodes):
        return False
    return any(isinstance(node, _Function) and _is_method(node) for node in nodes)


def is_only_imports(text: str) -> bool:
    """Whether a Python text consists of imports alone."""
    tree = parsed(text) if "import" in text else None
    return tree is not None and all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)


def _is_method(node: _Function) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args]
    return bool(arguments) and arguments[0].arg == "self"


def unfinished(path: str, text: str) -> str | None:
    """Why the file is not complete, in a few words with a line number; None if it seems complete.

    A stub is a body of only ``pass``, ``...`` or ``raise NotImplementedError``, except in abstract methods; ``except:
    pass`` is not a stub. Comments that postpone work and omitted code count, too.
    """
    if left_out := elided(text):
        return f"code is left out ({left_out[:80]})"
    if path.casefold().endswith((".py", ".pyw")):
        tree = parsed(text)
        if tree is not None:
            return _stub(tree) or (_postponed(_comments(text)) if _TODO.search(text) else None)
        found = _stub_line(text.split("\n"))
        return found or _postponed(enumerate(text.split("\n"), 1))
    for number, line in enumerate(text.split("\n"), 1):
        if _STUBS.match(line[:_MAX_LINE]):
            return f"line {number} says that it is not implemented"
    return _postponed(enumerate(text.split("\n"), 1))


def _is_test(node: ast.AST) -> bool:
    if isinstance(node, ast.ClassDef):
        return node.name.startswith("Test") or any("TestCase" in ast.unparse(base) for base in node.bases)
    return isinstance(node, _Function) and node.name.startswith(("test_", "setUp", "tearDown", "suite"))


def _stub(tree: ast.Module) -> str | None:
    nodes = [node for node in ast.walk(tree) if isinstance(node, _Function | ast.ClassDef)]
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    inherited = {base.id for node in classes for base in node.bases if isinstance(base, ast.Name)}
    abstract: set[ast.AST] = set()
    for owner in classes:
        if owner.name in inherited or any(map(_is_abstract_base, _bases(owner))):
            abstract.update(owner.body)
        if not owner.bases and not owner.decorator_list and _is_stub(owner.body):
            return f'class "{owner.name}" (line {owner.lineno}) has no body'
    for node in nodes:
        if not isinstance(node, _Function) or node in abstract:
            continue
        if _is_stub(node.body) and not _is_declaration(node):
            return f'function "{node.name}" (line {node.lineno}) has no body'
    return None


def _bases(owner: ast.ClassDef) -> Iterator[ast.expr]:
    yield from owner.bases
    yield from (keyword.value for keyword in owner.keywords)


def _is_abstract_base(base: ast.expr) -> bool:
    base = base.value if isinstance(base, ast.Subscript) else base
    name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
    return name in ("ABC", "ABCMeta", "Protocol")


def _is_declaration(node: _Function) -> bool:
    """Whether a function needs no body: abstract, an overload, an empty constructor, or meant for subclasses."""
    decorators = " ".join(ast.unparse(decorator) for decorator in node.decorator_list)
    strings = " ".join(
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    ).casefold()
    return (
        "abstract" in decorators
        or "overload" in decorators
        or (node.name.startswith("__") and node.name.endswith("__"))
        or any(word in strings for word in ("subclass", "overrid", "abstract"))
    )


def _is_stub(body: Sequence[ast.stmt]) -> bool:
    return all(
        isinstance(statement, ast.Pass)
        or (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (isinstance(statement, ast.Raise) and statement.exc and "NotImplementedError" in ast.unparse(statement.exc))
        for statement in body
    )


def _comments(text: str) -> Iterator[tuple[int, str]]:
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string
    except (tokenize.TokenError, SyntaxError):
        return


def _postponed(lines: Iterator[tuple[int, str]]) -> str | None:
    for number, line in lines:
        if len(line) <= _MAX_LINE and (found := _TODO.search(line)):
            return f"line {number} postpones work ({line[found.start() :].strip()[:80]})"
    return None


def _stub_line(lines: Sequence[str]) -> str | None:
    """The stub of a Python text that does not parse: a ``def`` with only ``pass`` or ``...`` below it."""
    head = 0
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].strip()
        if words.startswith(("def ", "async def ")) and words.endswith(":"):
            head = number
        elif words in ("pass", "...", "raise NotImplementedError", "raise NotImplementedError()") and head:
            return f"the function at line {head} has no body"
        elif words:
            head = 0
    return None
