"""The acceptance tests of a Python product: found on the host without running anything, and run in the sandbox."""

import ast
import traceback
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import chain
from typing import cast

from chatdev.agents.filenames import is_test
from chatdev.journal.events import TestOutcome, TestResult, TestsRan
from chatdev.product import busy, python_layout, python_run, sockets
from chatdev.product.output import normalise
from chatdev.product.packages import distribution
from chatdev.sandbox.port import Sandbox

_LARGEST = 256 << 10  # bytes of a test file; real ones are smaller, and parsing more would block all else
_WHY = 1500
_REPORTED = ("passed", "failed", "error", "skipped")
_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


@lru_cache(maxsize=64)  # tests seldom change, and parsing them is the most expensive part of running them
def collect(path: str, content: bytes) -> tuple[str, ...]:
    """The ids of a file's tests (``file::Class::method``, ``file::function``), taken from its syntax.

    It is a lower bound that no product can reduce: inherited tests and tests made at run time are added when the file
    is loaded. Raises ValueError with the reason if the file cannot be parsed.
    """
    if len(content) > _LARGEST:
        raise ValueError(f"larger than {_LARGEST >> 10} kB, which no test file is")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            body = ast.parse(content, path).body
    except (SyntaxError, ValueError, RecursionError, MemoryError, SystemError) as error:  # the last in 3.11, if deep
        raise ValueError("".join(traceback.format_exception_only(error)).strip()) from None
    names: dict[str, list[str]] = {}
    for node in body:
        if isinstance(node, ast.ClassDef):
            names[node.name] = _methods(node, names)
        elif isinstance(node, _FUNCTION) and node.name.startswith("test_") and not _is_fixture(node):
            names[node.name] = [node.name]
        elif isinstance(node, ast.Delete):  # how a base class is kept from being run itself
            for target in node.targets:
                names.pop(getattr(target, "id", ""), None)
    return tuple(f"{path}::{name}" for found in names.values() for name in found)


def _methods(node: ast.ClassDef, methods_by_class: Mapping[str, list[str]]) -> list[str]:
    bases = [getattr(base, "attr", getattr(base, "id", "")) for base in node.bases]
    by_base = any(base.endswith("TestCase") or methods_by_class.get(base) for base in bases)
    if not by_base and (bases or not node.name.startswith("Test")):
        return []
    methods = dict.fromkeys(child.name for child in node.body if isinstance(child, _FUNCTION))
    if not by_base and "__init__" in methods:  # pytest skips these, too
        return []
    return [f"{node.name}::{method}" for method in methods if method.startswith("test")]


@lru_cache(maxsize=64)
def needs_pytest(content: bytes) -> bool:
    """Whether a test file that can be parsed relies on pytest's own features: fixtures, marks, or coroutine functions
    outside of a TestCase. Everything else needs no pytest, even if it is written for it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        body = ast.parse(content).body
    for node in body:
        if isinstance(node, _FUNCTION):
            if _is_fixture(node) or (node.name.startswith("test_") and _is_for_pytest(node, 0)):
                return True
        elif isinstance(node, ast.ClassDef):
            if any(map(_is_mark, node.decorator_list)):
                return True
            plain = node.name.startswith("Test") and not node.bases
            for each in node.body if plain else ():
                if isinstance(each, _FUNCTION) and (
                    _is_fixture(each) or (each.name.startswith("test") and _is_for_pytest(each, 1))
                ):
                    return True
        elif isinstance(node, ast.Assign) and any(getattr(each, "id", "") == "pytestmark" for each in node.targets):
            return True
    return False


def _is_for_pytest(node: ast.FunctionDef | ast.AsyncFunctionDef, given: int) -> bool:
    """Whether a test function is asynchronous, marked, or has parameters that no mock's decorator supplies."""
    if isinstance(node, ast.AsyncFunctionDef) or any(map(_is_mark, node.decorator_list)):
        return True
    given = 0 if any("staticmethod" in name for name in map(_dotted, node.decorator_list)) else given
    required = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults) - given
    patched = any("patch" in name for name in map(_dotted, node.decorator_list))
    return not patched and required > 0


def _is_fixture(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    return any(name[-1:] == ["fixture"] for name in map(_dotted, node.decorator_list))


def _is_mark(decorator: ast.expr) -> bool:
    return "mark" in _dotted(decorator)[:-1]


def _dotted(node: ast.expr) -> list[str]:
    """The parts of a dotted name, of a call the called one's."""
    node = node.func if isinstance(node, ast.Call) else node
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.insert(0, node.attr)
        node = node.value
    return [node.id, *parts] if isinstance(node, ast.Name) else parts


async def run_tests(
    sandbox: Sandbox,
    files: Mapping[str, bytes],
    *,
    place: str = "",
    digest: str = "",
    seconds: float = 60,
    python: str = "",
) -> TestsRan:
    """Run every test of ``files`` (relative path to content) in one process, for at most ``seconds`` of its own.

    There is a result for each collected test, ``no result`` included. Raises SandboxError.
    """
    expected: dict[str, tuple[str, ...]] = {}
    others: list[str] = []
    broken: list[TestResult] = []
    for path in sorted(path for path in files if path.casefold().endswith(".py") and is_test(path)):
        try:
            expected[path] = collect(path, files[path])
            others += [path] if needs_pytest(files[path]) else []
        except ValueError as error:
            broken.append(TestResult(path, "error", normalise(str(error), limit=_WHY)))
    if not expected:
        return TestsRan(place, digest, tuple(broken))
    own = [path for path in expected if path not in others]
    words = ("tests", python_layout.source(files), *own, "--", *others)
    heard = await python_run.run(sandbox, files, *words, seconds=seconds, python=python, conclusive=_is_conclusive)
    if heard.starved:
        return busy.tests(place, digest, heard.outcome)
    trouble = _trouble(heard)
    ran = TestsRan(
        place,
        digest,
        results=(*broken, *_results(heard, expected, files, trouble)),
        trouble=trouble,
        output=heard.normalise(heard.outcome.stderr),
        seconds=round(heard.outcome.seconds, 3),
    )
    return sockets.of_tests(sandbox, ran)


def _is_conclusive(heard: python_run.RunnerReports) -> bool:
    """Whether a run is conclusive: not if a test reached its own time limit because the machine was busy."""
    failed = (why for _, outcome, why, *_ in heard.of("result") if outcome != "passed")
    return not any(busy.late(heard.outcome, why) for why in failed)


def _trouble(heard: python_run.RunnerReports) -> str:
    """Why the run as a whole cannot be trusted; empty if it can."""
    reported = [report[0] for report in heard.of("result")]
    if how := python_run.ending(heard.outcome):
        return how
    if not heard.of("end") or heard.outcome.exit_status != 0:
        return f"left early with exit status {heard.outcome.exit_status}"
    if len(reported) != len(set(reported)):
        return "a test reported twice"
    return next((text for (text,) in heard.of("trouble")), "")


def _results(
    heard: python_run.RunnerReports, expected: Mapping[str, tuple[str, ...]], files: Mapping[str, bytes], trouble: str
) -> Iterator[TestResult]:
    reports: dict[str, list[str]] = {}
    for file, *report in heard.of("file"):
        reports |= dict.fromkeys(expected.get(file) or (file,), report)
    for test, *report in heard.of("result"):
        reports.setdefault(test, report)
    running = [test for (test,) in heard.of("running")][-1:]
    for test in dict.fromkeys(chain(*expected.values(), *heard.of("collected"), reports)):
        outcome, why, missing = reports.get(test, ("no result", "", ""))
        if outcome not in _REPORTED:
            outcome = "no result"
            state = "was running when the tests ended" if [test] == running else "did not run"
            why = f"{state}: {trouble or 'it was not there when the file was loaded'}"
        yield TestResult(
            id=test,
            outcome=cast(TestOutcome, outcome),
            why="" if outcome == "passed" else heard.normalise(why, _WHY),
            needs=distribution(missing, files),
        )
