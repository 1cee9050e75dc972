"""Loads the product's tests and runs them."""

# ruff: noqa: PTH113, PTH120, PTH123 - pathlib is large
import importlib.util
import os
import sys
import unittest
from functools import wraps

from .kept import remember
from .path import import_also
from .recorder import Recorder, broken, seal
from .report import explain, missing_module
from .with_pytest import prepare

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, ModuleType

    from .recorder import Loaded
    from .report import Say

_CO_COROUTINE = 0x80  # inspect.CO_COROUTINE


def run_tests(say: "Say", root: str, source: str, files: list[str], leave: "Callable[[int], object]") -> None:
    """Load every test file, run the tests of each, and exit immediately: threads and exit handlers cannot interfere.
    Those after ``--`` are run by pytest. Packages are imported from the folder ``source``, too, if it is not empty.

    The files are compiled before anything of the product runs, and compared afterwards: what the product writes into
    its tests, or beside them, changes nothing and is reported.
    """
    files, others = _divided(files)
    changed = remember(root, [*files, *others])
    pytest_files = prepare(say, root, others)
    code = {file: _compiled(root, file) for file in files}
    asynchronous, doctests = (
        any(word in _content(root, file) for file in files) for word in (b"IsolatedAsyncio", b"load_tests")
    )
    seals = seal(asynchronous=asynchronous, doctests=doctests)
    recorder = Recorder(say, root, seals)
    sys.argv = ["unittest"]
    sys.path[:0] = dict.fromkeys([root, *(os.path.dirname(f"{root}/{file}") for file in [*files, *others])])
    if source:
        import_also(f"{root}/{source}")
    loaded: dict[str, Loaded] = {}
    for file in files:
        try:
            loaded[file] = _load(root, file, code[file])
        except BaseException as error:
            outcome = "skipped" if isinstance(error, unittest.SkipTest) else "error"
            say("file", file, outcome, explain(error, root), missing_module(error))
        else:
            say("collected", *(name for name, _ in loaded[file]))
            recorder.seal(loaded[file])
    for file, tests in loaded.items():
        recorder.begin(tests)
        try:
            unittest.TestSuite(test for _, test in tests).run(recorder)
        except BaseException as error:  # such as a KeyboardInterrupt; unittest does not catch it
            say("trouble", f"{type(error).__name__} broke off the tests")
        recorder.settle(file, tests)
    if pytest_files:
        pytest_files.run()
    if name := broken(seals):
        say("trouble", f"{name} was replaced")
    if path := changed():
        say("trouble", f"the product changed its tests: {path}")
    say("end")
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S112 - the product's stream may be anything by now
            continue
    leave(0)


def _divided(files: list[str]) -> "tuple[list[str], list[str]]":
    """The files before and after ``--``."""
    at = files.index("--")
    return files[:at], files[at + 1 :]


def _content(root: str, file: str) -> bytes:
    with open(f"{root}/{file}", "rb") as opened:
        return opened.read()


def _compiled(root: str, file: str) -> "CodeType | BaseException":
    try:
        return compile(_content(root, file), f"{root}/{file}", "exec", dont_inherit=True)
    except BaseException as error:
        return error


def _load(root: str, file: str, code: "CodeType | BaseException") -> "Loaded":
    """The tests of one file by id: TestCases, bare ``test_`` functions, and ``Test`` classes without a base."""
    module = _import_file(root, file, code)
    tests: dict[str, unittest.TestCase] = {}
    for name, value in list(vars(module).items()):
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if isinstance(value, type):
            if case := _as_case(name, value):
                for method in unittest.defaultTestLoader.getTestCaseNames(case):
                    tests[f"{file}::{name}::{method}"] = _instance(case, method)
        elif name.startswith("test_") and callable(value):
            body = {"__module__": module.__name__, "runTest": staticmethod(value)}
            tests[f"{file}::{name}"] = _instance(type(name, (unittest.TestCase,), body), "runTest")
    return [*tests.items(), *_made(file, module)]


def _made(file: str, module: "ModuleType") -> "Loaded":
    """The doctests that ``load_tests`` adds."""
    make = vars(module).get("load_tests")
    if not callable(make):
        return []
    import doctest

    loader = unittest.TestLoader()
    found: Loaded = []
    suites = [make(loader, unittest.TestSuite(), None)]
    while suites:
        suite = suites.pop(0)
        if isinstance(suite, unittest.TestSuite):
            suites[:0] = list(suite)
        elif isinstance(suite, doctest.DocTestCase):
            found.append((f"{file}::doctest::{suite.id()}", suite))
    return found


def _import_file(root: str, file: str, code: "CodeType | BaseException") -> "ModuleType":
    if isinstance(code, BaseException):
        raise code
    name = file.removesuffix(".py").replace("/", ".")
    folder = os.path.dirname(file)
    if folder and os.path.isfile(f"{root}/{folder}/__init__.py"):
        importlib.import_module(folder.replace("/", "."))
    spec = importlib.util.spec_from_file_location(name, f"{root}/{file}")
    assert spec
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    exec(code, module.__dict__)  # noqa: S102 - what the file was before the product could change it
    return module


def _as_case(name: str, value: type) -> "type[unittest.TestCase] | None":
    """A class as a TestCase; a pytest class's hooks are called under unittest's names."""
    if issubclass(value, unittest.TestCase):
        return value
    if not (name.startswith("Test") and any(attribute.startswith("test") for attribute in dir(value))):
        return None
    if value.__init__ is not object.__init__:  # pytest skips these, too
        return None
    hooks: dict[str, object] = {"__module__": value.__module__, "__qualname__": value.__qualname__}
    for ours, theirs in (("setUp", "setup_method"), ("tearDown", "teardown_method")):
        if hasattr(value, theirs):
            hooks[ours] = _hook(theirs)
    for ours, theirs in (("setUpClass", "setup_class"), ("tearDownClass", "teardown_class")):
        if hasattr(value, theirs):
            hooks[ours] = classmethod(lambda cls, theirs=theirs: getattr(cls, theirs)())
    return type(name, (value, unittest.TestCase), hooks)


def _hook(name: str) -> "Callable[[object], None]":
    def call(self: object) -> None:
        hook = getattr(self, name)
        hook(*[None] * (hook.__code__.co_argcount - 1))  # pytest passes the test's method to hooks that take it

    return call


def _instance(case: "type[unittest.TestCase]", method: str) -> "unittest.TestCase":
    test = case(method)
    function = getattr(test, method)
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if not (hasattr(case, "asyncSetUp") and flags & _CO_COROUTINE):
        setattr(test, method, _checked(function))
    return test


def _checked(test: "Callable[..., object]") -> "Callable[..., None]":
    """The test, failing if it returns something: a coroutine or a generator never ran, and a value was not asserted."""

    @wraps(test)
    def checked(*arguments: object) -> None:
        returned = test(*arguments)
        if returned is not None:
            kind = type(returned).__name__
            if kind == "coroutine":
                returned.close()  # type: ignore[attr-defined]  # else Python warns that it was never awaited
            raise TypeError(f"the test returned a {kind} instead of asserting something")

    return checked
