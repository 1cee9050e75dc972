"""Records unittest's results, and checks that nothing that they rely on was changed."""

import builtins
import contextlib
import importlib
import sys
import unittest

from .report import explain, missing_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import ModuleType, TracebackType

    from .report import Say

    Loaded = list[tuple[str, unittest.TestCase]]
    Note = tuple[str, str, str]  # outcome, why, missing module
    Raised = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]  # sys.exc_info()
    Seal = tuple[object, str, object, object]  # owner, name, value, code

_FOR_USERS = ("print", "input", "_", "help", "exit", "quit")  # programs may replace these; no result relies on them
_getters = (sys.gettrace, sys.getprofile)
_WRAPPED = 20
SEVERITY = ("", "passed", "skipped", "failed", "error")
"""The outcomes, the worst one last."""


class Recorder(unittest.TestResult):
    """A result object for unittest that reports each result as it comes."""

    def __init__(self, say: "Say", root: str, seals: "list[Seal]") -> None:
        super().__init__()
        self._say, self._root, self._seals = say, root, seals
        self._reported: set[str] = set()
        self._tampered = False
        self._traced = [get() for get in _getters]
        self._code: dict[str, object] = {}

    def seal(self, tests: "Loaded") -> None:
        """Remember the code of these tests, as they were loaded."""
        for name, test in tests:
            self._code[name] = _code_of_test(test)

    def begin(self, tests: "Loaded") -> None:
        """The tests of one file come next."""
        self._tests = tests
        self._names = {id(test): name for name, test in tests}
        self._fixtures: list[tuple[str, Note]] = []
        self._running = ""
        self._note: Note = ("", "", "")

    def settle(self, file: str, tests: "Loaded") -> None:
        """Report the tests that did not run because their class or module fixture failed, or that fixture alone."""
        for description, note in self._fixtures:
            name, _, owner = description.removesuffix(")").partition(" (")  # "setUpClass (module.Class)"
            kept = [test for test, case in tests if test not in self._reported and _belongs(case, owner)]
            for test in kept or [f"{file}::{name}"]:
                self._result(test, note)

    def startTest(self, test: object) -> None:  # noqa: N802 - unittest's names, here and below
        self._running, self._note = self._names[id(test)], ("", "", "")
        self._say("running", self._running)

    def stopTest(self, test: object) -> None:  # noqa: N802
        if self._note[0]:
            self._result(self._running, self._note)
        self._running = ""
        if not self._tampered and (why := self._tampering()):
            self._tampered = True
            self._say("trouble", why)

    def _tampering(self) -> str:
        """What this test or the product changed of that on which the results rely; empty if nothing."""
        if name := broken(self._seals):
            return f"{name} was replaced"
        for test in self._tests:
            if _code_of_test(test[1]) != self._code[test[0]]:
                return f"the code of {test[0]} was replaced"
        if any(get() is not before for get, before in zip(_getters, self._traced, strict=True)):
            return "a trace function was set"
        return ""

    def addSuccess(self, test: object) -> None:  # noqa: N802
        self._record("passed")

    def addFailure(self, test: object, raised: "Raised") -> None:  # noqa: N802
        self._record("failed", raised[1])

    def addError(self, test: "unittest.TestCase", raised: "Raised") -> None:  # noqa: N802
        if self._running:
            self._record("error", raised[1])
        else:
            self._fixtures.append((test.id(), self._explained("error", raised[1])))

    def addSkip(self, test: "unittest.TestCase", reason: str) -> None:  # noqa: N802
        if self._running:
            self._record("skipped", reason)
        else:
            self._fixtures.append((test.id(), ("skipped", str(reason), "")))

    def addExpectedFailure(self, test: object, raised: object) -> None:  # noqa: N802
        self._record("skipped", "fails, as the test expects")

    def addUnexpectedSuccess(self, test: object) -> None:  # noqa: N802
        self._record("failed", "passes, which the test does not expect")

    def addSubTest(self, test: object, subtest: "unittest.TestCase", raised: "Raised | None") -> None:  # noqa: N802
        if raised:
            self._record("failed" if isinstance(raised[1], AssertionError) else "error", raised[1], str(subtest))

    def _record(self, outcome: str, why: object = "", subtest: str = "") -> None:
        if SEVERITY.index(outcome) > SEVERITY.index(self._note[0]):
            outcome, text, missing = self._explained(outcome, why)
            self._note = (outcome, f"{subtest}\n{text}" if subtest else text, missing)

    def _explained(self, outcome: str, why: object) -> "Note":
        if isinstance(why, BaseException):
            return outcome, explain(why, self._root), missing_module(why)
        return outcome, str(why), ""

    def _result(self, test: str, note: "Note") -> None:
        self._reported.add(test)
        self._say("result", test, *note)


def _belongs(case: unittest.TestCase, owner: str) -> bool:
    kind = type(case)
    return owner in (kind.__module__, f"{kind.__module__}.{kind.__qualname__}")


def seal(*, asynchronous: bool, doctests: bool) -> "list[Seal]":
    """What the results rely on before the product is loaded: each function, class and method of unittest and of the
    modules that it uses, and its code; of doctest, too, if wanted."""
    modules: list[ModuleType] = [unittest, unittest.case, unittest.suite, unittest.result, unittest.loader]
    if asynchronous:  # it loads asyncio
        from unittest import async_case

        modules.append(async_case)
    if doctests:  # it loads pdb
        import doctest

        modules.append(doctest)
    owners: list[object] = [*modules, Recorder]
    for module in modules:
        owners += [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    used = [
        (module, name, value, code_of(value))
        for module in (builtins, contextlib, importlib)
        for name, value in vars(module).items()
        if callable(value) and name not in _FOR_USERS
    ]
    return used + _parts(owners)


def seal_modules(packages: "tuple[str, ...]", kind: type) -> "list[Seal]":
    """The same for every module of these packages that is loaded, and for the class ``kind``."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in packages]
    owners: list[object] = [kind, *modules]
    for module in modules:
        owners += [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    return _parts(owners)


def _parts(owners: "list[object]") -> "list[Seal]":
    return [
        (owner, name, value, code_of(value))
        for owner in owners
        if isinstance(owner, type | type(unittest))
        for name, value in vars(owner).items()
        if callable(value) or isinstance(value, (classmethod, staticmethod))
    ]


def broken(seals: "Iterable[Seal]") -> str:
    """The name of a sealed part that was changed; empty if none was."""
    for owner, name, value, code in seals:
        if vars(owner).get(name) is not value or code_of(value) is not code:
            return f"{getattr(owner, '__name__', 'unittest')}.{name}"
    return ""


def code_of(value: object) -> object:
    """The code of a function or method; None for anything else."""
    return getattr(getattr(value, "__func__", value), "__code__", None)


def _code_of_test(test: unittest.TestCase) -> object:
    """The code of a test's method, below its decorators, and the function that calls it."""
    function = getattr(type(test), test._testMethodName, None)
    called = vars(test).get(test._testMethodName)
    for _ in range(_WRAPPED):
        if (inner := getattr(function, "__wrapped__", None)) is None:
            break
        function = inner
    return code_of(function), called
