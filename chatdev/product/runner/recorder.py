"""Records unittest's results, and checks that unittest was not changed."""

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

_SEVERITY = ("", "passed", "skipped", "failed", "error")


class Recorder(unittest.TestResult):
    """A result object for unittest that reports each result as it comes."""

    def __init__(self, say: "Say", root: str, seals: "list[Seal]") -> None:
        super().__init__()
        self._say, self._root, self._seals = say, root, seals
        self._told: set[str] = set()
        self._tampered = False

    def begin(self, tests: "Loaded") -> None:
        """The tests of one file come next."""
        self._names = {id(test): name for name, test in tests}
        self._fixtures: list[tuple[str, Note]] = []
        self._running = ""
        self._note: Note = ("", "", "")

    def settle(self, file: str, tests: "Loaded") -> None:
        """Report the tests that did not run because their class or module fixture failed, or that fixture alone."""
        for description, note in self._fixtures:
            name, _, owner = description.removesuffix(")").partition(" (")  # "setUpClass (module.Class)"
            kept = [test for test, case in tests if test not in self._told and _belongs(case, owner)]
            for test in kept or [f"{file}::{name}"]:
                self._result(test, note)

    def startTest(self, test: object) -> None:  # noqa: N802 - unittest's names, here and below
        self._running, self._note = self._names[id(test)], ("", "", "")
        self._say("running", self._running)

    def stopTest(self, test: object) -> None:  # noqa: N802
        if self._note[0]:
            self._result(self._running, self._note)
        self._running = ""
        if not self._tampered and (name := broken(self._seals)):
            self._tampered = True
            self._say("trouble", f"{name} was replaced")

    def addSuccess(self, test: object) -> None:  # noqa: N802
        self._take("passed")

    def addFailure(self, test: object, raised: "Raised") -> None:  # noqa: N802
        self._take("failed", raised[1])

    def addError(self, test: "unittest.TestCase", raised: "Raised") -> None:  # noqa: N802
        if self._running:
            self._take("error", raised[1])
        else:
            self._fixtures.append((test.id(), self._explained("error", raised[1])))

    def addSkip(self, test: "unittest.TestCase", reason: str) -> None:  # noqa: N802
        if self._running:
            self._take("skipped", reason)
        else:
            self._fixtures.append((test.id(), ("skipped", str(reason), "")))

    def addExpectedFailure(self, test: object, raised: object) -> None:  # noqa: N802
        self._take("skipped", "fails, as the test expects")

    def addUnexpectedSuccess(self, test: object) -> None:  # noqa: N802
        self._take("failed", "passes, which the test does not expect")

    def addSubTest(self, test: object, subtest: "unittest.TestCase", raised: "Raised | None") -> None:  # noqa: N802
        if raised:
            self._take("failed" if isinstance(raised[1], AssertionError) else "error", raised[1], str(subtest))

    def _take(self, outcome: str, why: object = "", subtest: str = "") -> None:
        if _SEVERITY.index(outcome) > _SEVERITY.index(self._note[0]):
            outcome, told, missing = self._explained(outcome, why)
            self._note = (outcome, f"{subtest}\n{told}" if subtest else told, missing)

    def _explained(self, outcome: str, why: object) -> "Note":
        if isinstance(why, BaseException):
            return outcome, explain(why, self._root), missing_module(why)
        return outcome, str(why), ""

    def _result(self, test: str, note: "Note") -> None:
        self._told.add(test)
        self._say("result", test, *note)


def _belongs(case: unittest.TestCase, owner: str) -> bool:
    kind = type(case)
    return owner in (kind.__module__, f"{kind.__module__}.{kind.__qualname__}")


def seal(*, asynchronous: bool) -> "list[Seal]":
    """What unittest consists of before the product is loaded: each function, class and method, and its code."""
    modules: list[ModuleType] = [unittest, unittest.case, unittest.suite, unittest.result, unittest.loader]
    if asynchronous:  # it loads asyncio
        from unittest import async_case

        modules.append(async_case)
    owners: list[object] = [*modules, Recorder]
    for module in modules:
        owners += [value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__]
    return [
        (owner, name, value, _code(value))
        for owner in owners
        if isinstance(owner, type | type(unittest))
        for name, value in vars(owner).items()
        if callable(value) or isinstance(value, (classmethod, staticmethod))
    ]


def broken(seals: "Iterable[Seal]") -> str:
    """The name of a sealed part that was changed; empty if none was."""
    for owner, name, value, code in seals:
        if vars(owner).get(name) is not value or _code(value) is not code:
            return f"{getattr(owner, '__name__', 'unittest')}.{name}"
    return ""


def _code(value: object) -> object:
    return getattr(getattr(value, "__func__", value), "__code__", None)
