"""Finds failing tests that are themselves at fault: their failure has nothing to do with the product.

A failure counts as the test's own only if every frame of its traceback lies in the tests and the error is one that no
product can cause: output that was never captured, bytes compared with text, an undefined name, a wrong keyword of the
standard library, a program or an interpreter that does not exist. In doubt the product is at fault. Python only.
"""

import ast
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property

import msgspec

from chatdev.agents import outline
from chatdev.agents.completeness import parsed
from chatdev.journal.events import TestResult, TestsRan

_FRAME = re.compile(r'^\s*File "([^"]+)", line (\d+)(?:, in (\S+))?\s*$', re.M)
_STARTERS = frozenset(("run", "Popen", "check_output", "call", "check_call"))
_OF_SUBPROCESS = ("'CompletedProcess' object", "'Popen' object")
_NO_FIXTURE = "_pytest.fixtures.FixtureLookupError"
_NOT_CAPTURED = "the output is not kept: subprocess.run needs capture_output=True, text=True"
_BYTES = "bytes are compared with text: subprocess.run needs text=True"
_VALUES = ("may not be used with capture_output", "may not both be used")


class Fault(msgspec.Struct, frozen=True):
    """A test that fails by itself: its id, the line of its source and the error that show it, and why in a phrase."""

    test: str
    line: str
    error: str
    why: str


def faults(ran: TestsRan, tests: Mapping[str, str], program: Collection[str] = (), task: str = "") -> tuple[Fault, ...]:
    """The tests at fault, in the order of the results. ``tests`` are the test files by path, ``program`` the paths of
    the product; a file that the ``task`` names may be started although it does not exist yet."""
    found: list[Fault] = []
    for result in ran.results:
        if result.outcome in ("failed", "error") and not result.needs:
            failure = _Failure(result, tests, program, task)
            if why := failure.why():
                found.append(Fault(result.id, failure.line, result.cause, why))
    return tuple(found)


class _Failure:
    """One failing test, with the places in the test files that its traceback names."""

    def __init__(self, result: TestResult, tests: Mapping[str, str], program: Collection[str], task: str) -> None:
        self.error = result.cause
        self.frames = [(path, int(line), name) for path, line, name in _FRAME.findall(result.why)]
        if not self.frames and self.error.startswith(("TypeError", _NO_FIXTURE)):  # where a runner calls the test
            self.frames = [(result.id.partition("::")[0], 0, "")]
        self.in_tests = bool(self.frames) and all(path in tests for path, _, _ in self.frames)
        self.whole = result.why.startswith(("Traceback", "File ", "TypeError", _NO_FIXTURE))
        self.path = self.frames[-1][0] if self.frames else ""
        self.text = tests.get(self.path, "")
        self.program = program
        self.task = task

    @property
    def line(self) -> str:
        """The line of the test's source where it failed."""
        lines = self.text.splitlines()
        number = self.frames[-1][1] if self.frames else 0
        return lines[number - 1].strip() if 0 < number <= len(lines) else ""

    def why(self) -> str:
        """Why the test itself is at fault; empty if it is not known to be."""
        if not (self.in_tests and self.whole):
            return ""
        kind, _, message = self.error.partition(":")
        match kind.rpartition(".")[2]:
            case "SyntaxError" | "IndentationError" | "TabError":
                return "the test file is not valid Python"
            case "NameError" | "UnboundLocalError":
                return "" if self._imports_all else "it uses a name that nothing defines"
            case "ImportError" | "ModuleNotFoundError":
                return self._import(message)
            case "AttributeError":
                return self._attribute(message) or self._started()
            case "FixtureLookupError":
                return "it takes a fixture that nothing provides"
            case "TypeError":
                return self._type(message) or self._started()
            case "ValueError" if any(words in message for words in _VALUES):
                return "subprocess.run does not take these arguments together"
            case "FileNotFoundError" | "PermissionError":
                return self._interpreter(message)
            case "AssertionError":
                return self._assertion(message) or self._started()
        return ""

    @cached_property
    def _nodes(self) -> list[ast.AST]:
        tree = parsed(self.text)
        return list(ast.walk(tree)) if tree else []

    @cached_property
    def _modules(self) -> frozenset[str]:
        return frozenset(module.partition(".")[0] for module in outline.imports(self.text))

    @property
    def _reaches_in(self) -> bool:
        """Whether the test imports anything of the product: then a value may be the product's."""
        return any(each not in sys.stdlib_module_names or each in ("importlib", "runpy") for each in self._modules)

    @property
    def _imports_all(self) -> bool:
        return any(
            "*" in names and module.partition(".")[0] not in sys.stdlib_module_names
            for module, names in outline.imports(self.text).items()
        )

    @cached_property
    def _statement(self) -> list[ast.AST]:
        """The nodes of the innermost statement at the line of the failure."""
        number = self.frames[-1][1]
        around = [
            node
            for node in self._nodes
            if isinstance(node, ast.stmt) and node.lineno <= number <= (node.end_lineno or node.lineno)
        ]
        return list(ast.walk(max(around, key=lambda node: node.lineno))) if around else []

    @property
    def _reads_output(self) -> bool:
        return any(
            isinstance(node, ast.Attribute)
            and node.attr in ("stdout", "stderr")
            and getattr(node.value, "id", "") != "sys"
            for node in self._statement
        )

    @property
    def _on_output(self) -> bool:
        """Whether the value that failed can only be a started program's output."""
        return self._reads_output or not self._reaches_in

    def _calls(self, nodes: Sequence[ast.AST]) -> Iterator[ast.Call]:
        """The calls that start a program."""
        for node in nodes:
            if isinstance(node, ast.Call) and "subprocess" in self._modules:
                function = node.func
                owner = function.value if isinstance(function, ast.Attribute) else None
                name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
                if name in _STARTERS and (owner is None or getattr(owner, "id", "") == "subprocess"):
                    yield node

    @cached_property
    def _own_calls(self) -> list[ast.Call]:
        """The calls in the functions of the traceback, else in the whole file."""
        names = {name for _, _, name in self.frames}
        functions = [node for node in self._nodes if isinstance(node, ast.FunctionDef) and node.name in names]
        own = [call for function in functions for call in self._calls(list(ast.walk(function)))]
        return own or list(self._calls(self._nodes))

    @property
    def _uncaptured(self) -> bool:
        """Whether a program is started here without capturing its output."""
        for call in self._own_calls:
            words = {keyword.arg for keyword in call.keywords}
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            if name in ("run", "Popen") and not words & {None, "capture_output", "stdout", "stderr"}:
                return True
        return False

    def _import(self, message: str) -> str:
        taken = re.search(r"cannot import name '[^']+' from '([^']+)'", message)
        absent = re.search(r"No module named '([^']+)'", message)
        module = taken[1] if taken else absent[1] if absent else ""
        top = module.partition(".")[0]
        if top == "tests":
            return f"it imports {module}, which nobody wrote"
        if top in sys.stdlib_module_names and f"{top}.py" not in self.program:
            return f"Python's own {module} has no such thing"
        return ""

    def _attribute(self, message: str) -> str:
        owner = message.partition(" has no attribute")[0].strip()
        if "'NoneType' object" in owner:
            return _NOT_CAPTURED if self._on_output and self._uncaptured else ""
        classes = {node.name for node in self._nodes if isinstance(node, ast.ClassDef)}
        if owner.startswith(_OF_SUBPROCESS) or owner.partition(" object")[0].strip("'") in classes:
            return "it uses an attribute that its own object does not have"
        module = re.match(r"module '([\w.]+)'$", owner)
        top = module[1].partition(".")[0] if module else ""
        if top in sys.stdlib_module_names and f"{top}.py" not in self.program:
            return f"Python's own {top} has no such thing"
        if self._on_output and re.search(r"'str' object has no attribute 'decode'|'bytes' object.* 'encode'", message):
            return "the output is text already, or bytes: it is converted the wrong way"
        return ""

    def _type(self, message: str) -> str:
        starts = any(self._calls(self._statement))
        if "NoneType" in message and self._on_output and self._uncaptured and not starts:
            return _NOT_CAPTURED
        if starts and "unexpected keyword argument" in message:
            return "subprocess.run has no such keyword"
        if starts and "PathLike object, not" in message:
            return "the arguments of a program must be strings"
        if "bytes-like object is required, not 'str'" in message and (starts or self._on_output):
            return _BYTES
        if message.strip().startswith("the test returned a"):
            return "it returns a value instead of asserting something"
        defined = {node.name for node in self._nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
        called = re.match(r"\s*([\w.]+)\(\) (?:missing|takes|got)", message)
        if called and called[1].partition(".")[0] in defined:
            return "it calls its own function with other arguments than that takes"
        return ""

    def _interpreter(self, message: str) -> str:
        absent = re.search(r": '([^']+)'\s*$", message)
        for call in self._calls(self._statement) if absent else ():
            first = call.args[0] if call.args else None
            words = first.elts if isinstance(first, ast.List | ast.Tuple) else [first]
            if words and isinstance(words[0], ast.Constant) and absent and words[0].value == absent[1]:
                return f"{absent[1]} cannot be started here: use [sys.executable, FILE, ...]"
        return ""

    def _assertion(self, message: str) -> str:
        message = message.strip()
        if self._on_output and re.match(r"b(['\"]).* != (?!b['\"])['\"]|(['\"]).* != b['\"]", message):
            return _BYTES
        absent = message.startswith(("None != ", "unexpectedly None")) or " != None" in message
        return _NOT_CAPTURED if absent and self._on_output and self._uncaptured else ""

    def _started(self) -> str:
        """Why the started program cannot be the product: it is a Python file that does not exist."""
        if not self.program:
            return ""
        for call in self._own_calls:
            first = call.args[0] if call.args else None
            words = first.elts if isinstance(first, ast.List | ast.Tuple) else []
            for word in words[:3]:
                path = word.value if isinstance(word, ast.Constant) and isinstance(word.value, str) else ""
                name = path.removeprefix("./")
                if name.endswith(".py") and name not in self.program and name.rpartition("/")[2] not in self.task:
                    return f"it starts {path}, which is not there"
        return ""


def text(found: Sequence[Fault]) -> str:
    """Faults as text for the tester: each reason once, with the first place that shows it and all of its tests."""
    reasons: dict[str, list[Fault]] = {}
    for fault in found:
        reasons.setdefault(fault.why, []).append(fault)
    paragraphs = []
    for why, same in reasons.items():
        names = "\n".join(fault.test for fault in same)
        paragraphs.append(f"{names}\n  {same[0].line}\n  {same[0].error}\n  The cause: {why}.")
    return "\n\n".join(paragraphs)
