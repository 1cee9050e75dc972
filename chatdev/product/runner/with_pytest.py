"""Runs test files that need pytest, and reports each test function once, however many parameters it is called with."""

import os
import sys
from collections import Counter

from .recorder import SEVERITY, broken, code_of, seal_modules
from .report import explain, missing_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Any

    from .recorder import Note, Seal
    from .report import Say

_OPTIONS = (
    "-s -q --assert=plain --import-mode=importlib --continue-on-collection-errors -p no:cacheprovider -o addopts="
).split()
_DONE = (0, 1, 2, 5)  # pytest.ExitCode: all passed, some failed, some files not loaded, no tests

_REPLACED_BY_PYTEST = ("_getini_unknown_type",)


def prepare(say: "Say", root: str, files: list[str]) -> "PytestFiles | None":
    """Load pytest before anything of the product. If there are files and no pytest, each file is an error.

    Returns None if there is nothing to run.
    """
    if not files:
        return None
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        import asyncio

        import pytest
    except ImportError as error:
        for file in files:
            say("file", file, "error", explain(error, root), missing_module(error))
        return None
    return PytestFiles(say, root, files, pytest, asyncio)


class PytestFiles:
    """Some files of tests, and a plugin of pytest that reports their results."""

    def __init__(self, say: "Say", root: str, files: list[str], pytest: "Any", asyncio: "Any") -> None:
        self._say, self._root, self._files, self._pytest, self._asyncio = say, root, files, pytest, asyncio
        self._left: Counter[str] = Counter()
        self._notes: dict[str, Note] = {}
        self._code: dict[str, object] = {}
        self._ended: set[str] = set()
        self._trouble = ""
        for name in ("pytest_pyfunc_call", "pytest_runtest_makereport", "pytest_make_collect_report"):
            options = {"tryfirst": True} if name == "pytest_pyfunc_call" else {"hookwrapper": True}
            pytest.hookimpl(**options)(vars(type(self))[name])
        seals = seal_modules(("_pytest", "pluggy", "asyncio"), PytestFiles)
        self._seals: list[Seal] = [seal for seal in seals if seal[1] not in _REPLACED_BY_PYTEST]
        self._traced = (sys.gettrace(), sys.getprofile())

    def run(self) -> None:
        """Run the tests of all files. Only a ``conftest.py`` in a folder of tests is loaded."""
        folders = {file.partition("/")[0] for file in self._files}
        apart = len(folders) == 1 and folders <= {"tests", "test"}
        own = [f"--confcutdir={self._root}/{folders.pop()}"] if apart else ["--noconftest"]
        paths = [f"{self._root}/{file}" for file in self._files]
        status = self._pytest.main([*_OPTIONS, f"--rootdir={self._root}", *own, *paths], plugins=[self])
        if status not in _DONE:
            self._say("trouble", f"pytest ended with status {int(status)}")

    def pytest_collection_finish(self, session: "Any") -> None:
        """Remember all tests, and their code."""
        for item in session.items:
            name = _name(item)
            self._left[name] += 1
            self._code[name] = code_of(getattr(item, "function", None))
        self._say("collected", *self._left)

    def pytest_make_collect_report(self, collector: "Any") -> "Generator[None, Any, None]":
        """Report a file that cannot be loaded."""
        report = (yield).get_result()
        if report.outcome != "passed" and (error := getattr(getattr(report, "call", None), "excinfo", None)):
            file = collector.nodeid.partition("::")[0]
            self._say("file", file, *self._note_of("skipped" if report.skipped else "error", error.value))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Report which test is running."""
        self._say("running", nodeid.partition("[")[0])

    def pytest_pyfunc_call(self, pyfuncitem: "Any") -> bool:
        """Call the test, also a coroutine function, and remember that it came to its end."""
        wanted = pyfuncitem._fixtureinfo.argnames
        returned = pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in wanted})
        if self._asyncio.iscoroutine(returned):
            ended: list[object] = []

            async def whole() -> None:
                ended.append(await returned)

            self._asyncio.run(whole())
            if not ended:
                raise TypeError("the coroutine of the test was not run to its end")
            returned = ended[0]
        if returned is not None:
            raise TypeError(f"the test returned a {type(returned).__name__} instead of asserting something")
        self._ended.add(pyfuncitem.nodeid)
        return True

    def pytest_runtest_makereport(self, item: "Any", call: "Any") -> "Generator[None, Any, None]":
        """Keep the worst outcome of a test over its phases and parameters."""
        report = (yield).get_result()
        error = call.excinfo.value if call.excinfo else None
        expected = hasattr(report, "wasxfail")
        if report.skipped:
            self._record(item, "skipped", "fails, as the test expects" if expected else str(error))
        elif report.failed:
            outcome = "failed" if report.when == "call" and isinstance(error, AssertionError | type(None)) else "error"
            self._record(item, outcome, error or report.longreprtext)
        elif report.when == "call":
            apart = item.nodeid not in self._ended and not hasattr(item, "_testcase")
            self._record(item, "error" if apart else "passed", "the test did not come to its end" if apart else "")

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """Report a test after its last call, and what was changed of that on which the results rely."""
        name = nodeid.partition("[")[0]
        self._left[name] -= 1
        if not self._left[name]:
            self._say("result", name, *self._notes.get(name, ("", "", "")))
        if not self._trouble and (why := self._tampering()):
            self._trouble = why
            self._say("trouble", why)

    def _tampering(self) -> str:
        if name := broken(self._seals):
            return f"{name} was replaced"
        return "a trace function was set" if (sys.gettrace(), sys.getprofile()) != self._traced else ""

    def _record(self, item: "Any", outcome: str, why: object) -> None:
        name = _name(item)
        if code_of(getattr(item, "function", None)) is not self._code[name] and not self._trouble:
            self._trouble = f"the code of {name} was replaced"
            self._say("trouble", self._trouble)
        before = self._notes.get(name, ("", "", ""))
        if SEVERITY.index(outcome) > SEVERITY.index(before[0]):
            self._notes[name] = self._note_of(outcome, why)

    def _note_of(self, outcome: str, why: object) -> "Note":
        if isinstance(why, BaseException) and outcome != "skipped":
            return outcome, explain(why, self._root), missing_module(why)
        return outcome, str(why), ""


def _name(item: "Any") -> str:
    return str(item.nodeid).partition("[")[0]
