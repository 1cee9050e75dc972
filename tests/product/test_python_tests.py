"""Acceptance tests are found without running anything, run in one process, and each has a result."""

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from helpers.products import CALCULATOR, CALCULATOR_TESTS, SANDBOX, product
from hypothesis import given
from hypothesis import strategies as st

from chatdev.journal.events import TestResult
from chatdev.product.python_tests import collect, run_tests
from chatdev.sandbox.port import Job, Outcome, SandboxError


async def results_of(tests: str, **others: str) -> dict[str, TestResult]:
    """The results of a file of tests, by what stands after the file's name."""
    files = product(tests__test_it=tests, **{"calculator": CALCULATOR, **others})
    ran = await run_tests(SANDBOX, files)
    assert ran.trouble == ""
    return {result.id.partition("::")[2]: result for result in ran.results}


def test_collecting_reads_classes_functions_and_inheritance() -> None:
    source = b"""
import unittest
from unittest import TestCase, IsolatedAsyncioTestCase as Alias

class A(unittest.TestCase):
    def test_one(self): ...
    def test_one(self): ...
    def helper(self): ...
    async def test_two(self): ...
class B(A):
    def test_three(self): ...
class C(TestCase): ...
class TestPlain:
    def test_four(self): ...
class TestWithBase(Unknown):
    def test_no(self): ...
class Mixin:
    def test_no(self): ...
class TestBuilt:
    def __init__(self, x): ...
    def test_no(self): ...
class Gone(A):
    def test_no(self): ...
del Gone, Other.thing
def test_five(): ...
async def test_six(): ...
def testing(): ...
"""
    assert collect("t.py", source) == (
        "t.py::A::test_one",
        "t.py::A::test_two",
        "t.py::B::test_three",
        "t.py::TestPlain::test_four",
        "t.py::test_five",
        "t.py::test_six",
    )


@pytest.mark.parametrize(
    "source",
    [
        b"def (",
        b"\0",
        b"\xff\xfe",
        b"# coding: nonsense\n",
        b"(" * 100_000,
        b"-" * 100_000 + b"1",
        b"1" + b"+1" * 100_000,
        b"x" + b".a" * 100_000,
        b"lambda:" * 30_000 + b"1",
        b"x" + b"[0" * 10_000,
        b"#" * 300_000,
    ],
    ids=range(11),
)
def test_a_file_that_cannot_be_parsed_is_refused_and_nothing_worse(source: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        collect("test_a.py", source)


@given(st.binary(max_size=200) | st.text("def classT()=:\n test_x.[]{}'\"\\\x00@", max_size=200).map(str.encode))
def test_collecting_raises_nothing_else(source: bytes) -> None:
    with suppress(ValueError):
        collect("test_a.py", source)


async def test_a_file_that_cannot_be_parsed_is_an_error_beside_the_others() -> None:
    files = product(calculator=CALCULATOR, tests__test_a="def (:\n", tests__test_calculator=CALCULATOR_TESTS)
    ran = await run_tests(SANDBOX, files)
    assert [(one.id.partition("::")[0], one.outcome) for one in ran.results] == [
        ("tests/test_a.py", "error"),
        ("tests/test_calculator.py", "passed"),
        ("tests/test_calculator.py", "passed"),
    ]
    assert ran.results[0].why.splitlines()[-1] == "SyntaxError: invalid syntax"


async def test_every_outcome_is_reported_with_its_reason() -> None:
    results = await results_of("""
import unittest
from calculator import add

class T(unittest.TestCase):
    def test_passes(self):
        self.assertEqual(add(1, 1), 2)
    def test_fails(self):
        self.assertEqual(add(1, 1), 3)
    def test_errs(self):
        add(1, None)
    @unittest.skip("later")
    def test_skips(self): ...
    @unittest.expectedFailure
    def test_expected(self):
        self.assertEqual(add(1, 1), 3)
    @unittest.expectedFailure
    def test_unexpected(self):
        self.assertEqual(add(1, 1), 2)
    def test_parts(self):
        for n in (2, 5, 6):
            with self.subTest(n=n):
                self.assertEqual(add(1, 1), n)
    def test_broken_part(self):
        with self.subTest("of it"):
            add()
""")
    assert {name[3:]: result.outcome for name, result in results.items()} == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_errs": "error",
        "test_skips": "skipped",
        "test_expected": "skipped",
        "test_unexpected": "failed",
        "test_parts": "failed",
        "test_broken_part": "error",
    }
    assert results["T::test_passes"].why == ""
    assert results["T::test_skips"].why == "later"
    assert results["T::test_parts"].why.splitlines()[0].endswith("(n=5)")
    assert results["T::test_errs"].why == (
        "Traceback (most recent call last):\n"
        '  File "tests/test_it.py", line 11, in test_errs\n'
        "    add(1, None)\n"
        '  File "calculator.py", line 2, in add\n'
        "    return a + b\n"
        "TypeError: unsupported operand type(s) for +: 'int' and 'NoneType'"
    )


async def test_a_reason_is_short_and_the_same_in_every_run() -> None:
    tests = "def test_a():\n    raise ValueError('x' * 5000 + f' {object()} after 0.123 seconds in {__file__}')\n"
    first, second = [(await results_of(tests))["test_a"].why for _ in range(2)]
    assert first == second
    assert first.endswith("x <object object at 0x…> after <time> in tests/test_it.py")
    assert len(first.encode()) <= 1500


async def test_causes_are_reported_too() -> None:
    why = (
        await results_of("""
def test_a():
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("bad") from error
""")
    )["test_a"].why
    assert "KeyError: 'key'\n\nThe above exception was the direct cause" in why
    assert why.endswith("ValueError: bad")


async def test_tests_for_pytest_without_pytest_are_run() -> None:
    results = await results_of(
        """
from calculator import add

def test_bare():
    assert add(1, 1) == 2

class TestPlain:
    @classmethod
    def setup_class(cls):
        cls.base = 1
    def setup_method(self, method):
        self.one = self.base
    def teardown_method(self):
        assert self.one == 1
    def test_method(self):
        assert add(self.one, 1) == 2

class TestBuilt:
    def __init__(self, x):
        pass
    def test_never(self):
        pass

class TestData:
    value = 1
"""
    )
    assert {name: result.outcome for name, result in results.items()} == {
        "test_bare": "passed",
        "TestPlain::test_method": "passed",
    }


async def test_fixtures_that_fail_take_their_tests_along() -> None:
    results = await results_of("""
import unittest

class Broken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError("no server")
    def test_a(self): ...
    def test_b(self): ...

class Absent(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise unittest.SkipTest("not here")
    def test_a(self): ...

class Dirty(unittest.TestCase):
    @classmethod
    def tearDownClass(cls):
        raise RuntimeError("left over")
    def test_a(self): ...
""")
    assert {name: (result.outcome, result.why.splitlines()[-1:]) for name, result in results.items()} == {
        "Broken::test_a": ("error", ["RuntimeError: no server"]),
        "Broken::test_b": ("error", ["RuntimeError: no server"]),
        "Absent::test_a": ("skipped", ["not here"]),
        "Dirty::test_a": ("passed", []),
        "tearDownClass": ("error", ["RuntimeError: left over"]),
    }


async def test_a_module_fixture_that_fails_takes_bare_functions_along() -> None:
    results = await results_of("def setUpModule():\n    raise OSError('no disk')\n\ndef test_a():\n    pass\n")
    assert results["test_a"].outcome == "error"


async def test_tests_are_found_that_only_exist_at_run_time() -> None:
    results = await results_of(
        """
import unittest
from tests.base import Base

class Inherits(Base):
    pass

for n in (1, 2):
    setattr(Inherits, f"test_made_{n}", lambda self: None)
""",
        tests__base="import unittest\nclass Base(unittest.TestCase):\n    def test_base(self): ...\n",
    )
    assert set(results) == {"Inherits::test_base", "Inherits::test_made_1", "Inherits::test_made_2"}


@pytest.mark.parametrize(
    "imports",
    [
        "from helper import three",
        "from tests.helper import three",
        "from .helper import three",
        "import os, sys; sys.path.insert(0, os.path.dirname(__file__)); from helper import three",
    ],
)
@pytest.mark.parametrize("package", [{}, {"tests____init__": ""}], ids=["folder", "package"])
async def test_helpers_are_found_however_they_are_imported(imports: str, package: dict[str, str]) -> None:
    tests = f"{imports}\nfrom calculator import add\n\ndef test_a():\n    assert add(1, 2) == three\n"
    assert (await results_of(tests, tests__helper="three = 3\n", **package))["test_a"].outcome == "passed"


async def test_a_folder_may_have_the_name_of_a_standard_package() -> None:
    files = product(
        calculator=CALCULATOR, test__test_a="import calculator\ndef test_a(): assert calculator.add(1, 1) == 2"
    )
    assert [result.outcome for result in (await run_tests(SANDBOX, files)).results] == ["passed"]


async def test_products_may_have_modules_of_any_name() -> None:
    tests = "import runner, report\n\ndef test_a():\n    assert runner.own and report.own\n"
    assert (await results_of(tests, runner="own = True\n", report="own = True\n"))["test_a"].outcome == "passed"


@pytest.mark.parametrize("command", ["sys.executable", "'python3'", "'python'"])
async def test_tests_may_start_the_program(command: str) -> None:
    if command != "sys.executable" and not Path(sys.executable).with_name(command[1:-1]).exists():
        pytest.skip("there is no such command beside this interpreter")
    results = await results_of(f"""
import subprocess, sys

def test_a():
    done = subprocess.run([{command}, "main.py"], capture_output=True, text=True)
    assert done.stdout == "hello\\n", done
""")
    assert results["test_a"].outcome == "passed"


async def test_what_the_product_prints_is_kept_and_normalised() -> None:
    tests = (
        "import sys, os\n\ndef test_a():\n    print('out', os.getcwd())\n    print('err in 0.5 s', file=sys.stderr)\n"
    )
    ran = await run_tests(SANDBOX, product(test_it=tests), place="p", digest="d")
    assert (ran.output, ran.place, ran.digest) == ("out .\nerr in <time>", "p", "d")
    assert ran.seconds > 0


async def test_the_test_that_hangs_is_named() -> None:
    tests = "import time\n\ndef test_a():\n    pass\n\ndef test_b():\n    time.sleep(600)\n\ndef test_c():\n    pass\n"
    ran = await run_tests(SANDBOX, product(test_it=tests), seconds=1.5)
    assert ran.trouble == "stopped by the time limit"
    assert [(result.outcome, result.why) for result in ran.results] == [
        ("passed", ""),
        ("no result", "was running when the tests ended: stopped by the time limit"),
        ("no result", "did not run: stopped by the time limit"),
    ]


@pytest.mark.parametrize(
    ("code", "requirements", "needs"),
    [
        ("import pygame_menu.widgets", "", "pygame-menu"),
        ("import no_such_thing", "", ""),
        (
            "import no_such_thing",
            "# ours\n-r other.txt\nNo.Such-Thing[extra]>=1 ; python_version > '3'\n",
            "No.Such-Thing",
        ),
        ("import helpers.gone", "", ""),
        ("import json.gone", "", ""),
        ("try:\n    import pygame_menu\nexcept ImportError:\n    raise SystemExit('install it')", "", "pygame-menu"),
    ],
    ids=["known", "unknown", "listed", "own", "standard", "said politely"],
)
async def test_a_package_that_is_not_installed_is_named(code: str, requirements: str, needs: str) -> None:
    files = product(calculator=code, helpers____init__="", test_it="import calculator\n\ndef test_a():\n    pass\n")
    files["requirements.txt"] = requirements.encode()
    (result,) = (await run_tests(SANDBOX, files)).results
    assert (result.outcome, result.needs) == ("error", needs)


async def test_a_package_that_the_product_does_without_is_not_needed() -> None:
    code = "try:\n    import pygame_menu\nexcept ImportError:\n    pass\n" + CALCULATOR
    files = product(calculator=code, test_it=CALCULATOR_TESTS)
    assert {(result.outcome, result.needs) for result in (await run_tests(SANDBOX, files)).results} == {("passed", "")}


class Scripted:
    """A sandbox that answers what it is told to; ``NONCE`` in it becomes the nonce."""

    level = "scripted"

    def __init__(self, *lines: str, exit_status: int = 0) -> None:
        self._lines, self._exit_status = lines, exit_status

    async def run(self, job: Job) -> Outcome:
        text = "\n".join(self._lines).replace("NONCE", job.stdin.decode()).replace("|", "\x1f")
        return Outcome(self._exit_status, stdout=text, stderr="bad interpreter")


BEGIN, END = "NONCE|begin|/f|/h|/t", "NONCE|end"


@pytest.mark.parametrize(
    ("lines", "outcome", "trouble"),
    [
        (["NONCE|result|test_a.py::test_a|passed||", END], "passed", ""),
        (["result|test_a.py::test_a|passed||", END], "no result", ""),
        (["NONCE result test_a.py::test_a passed", END], "no result", ""),
        (["NONCE|result|test_a.py::test_a|passed", END], "no result", ""),
        (["xNONCE|result|test_a.py::test_a|passed||", END], "no result", ""),
        (["NONCE|result|test_a.py::test_a|great||", END], "no result", ""),
        (["NONCE|result|test_a.py::test_a|passed||"] * 2 + [END], "passed", "a test reported twice"),
        (["NONCE|result|test_a.py::test_a|passed||"], "passed", "left early with exit status 0"),
    ],
)
async def test_only_whole_reports_under_the_nonce_count(lines: list[str], outcome: str, trouble: str) -> None:
    ran = await run_tests(Scripted(BEGIN, *lines), {"test_a.py": b"def test_a(): pass"})
    assert (ran.results[0].outcome, ran.trouble) == (outcome, trouble)


async def test_a_bad_exit_status_is_not_believed() -> None:
    ran = await run_tests(Scripted(BEGIN, END, exit_status=1), {"test_a.py": b"def test_a(): pass"})
    assert ran.trouble == "left early with exit status 1"


async def test_an_interpreter_that_does_not_come_up_is_this_machines_trouble() -> None:
    with pytest.raises(SandboxError, match=r"did not start in the sandbox \(exit status 1\)"):
        await run_tests(Scripted(exit_status=1), {"test_a.py": b"def test_a(): pass"})
