"""Tests that only pytest can run are run by it, in the sandbox, and are not judged where it is missing."""

import venv
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from helpers.products import CALCULATOR, SANDBOX, product, verdict_of

from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.product.python_tests import collect, needs_pytest, run_tests
from chatdev.product.verdict import judge

MIXED = """
import asyncio, pytest, unittest
from calculator import add

@pytest.fixture
def three():
    yield 3

@pytest.fixture
def test_data():
    return [1, 2]

@pytest.mark.parametrize(("a", "b", "c"), [(1, 2, 3), (0, 0, 0)])
def test_parts(a, b, c):
    assert add(a, b) == c

@pytest.mark.parametrize("a", [1, 2])
def test_one_part_fails(a):
    assert add(a, 1) == 2

def test_fixture(three, tmp_path, monkeypatch, capsys):
    print(add(1, 2))
    assert capsys.readouterr().out == f"{three}\\n" and tmp_path.is_dir()

def test_unknown_fixture(nothing):
    pass

async def test_coroutine(three):
    await asyncio.sleep(0)
    assert add(1, 2) == three

async def test_coroutine_fails():
    await asyncio.sleep(0)
    assert add(1, 2) == 4

@pytest.mark.skip(reason="later")
def test_skipped():
    assert False

@pytest.mark.xfail
def test_expected():
    assert add(1, 1) == 3

def test_returns():
    return add(1, 1) == 3

def test_errs():
    add(1, None)

class TestGroup:
    def test_method(self, three):
        assert add(three, 0) == 3

class TestUnit(unittest.TestCase):
    def test_unit(self):
        self.assertEqual(add(1, 1), 2)
"""
OUTCOMES = {
    "test_parts": "passed",
    "test_one_part_fails": "failed",
    "test_fixture": "passed",
    "test_unknown_fixture": "error",
    "test_coroutine": "passed",
    "test_coroutine_fails": "failed",
    "test_skipped": "skipped",
    "test_expected": "skipped",
    "test_returns": "error",
    "test_errs": "error",
    "TestGroup::test_method": "passed",
    "TestUnit::test_unit": "passed",
}
FIXTURE = "from calculator import add\n\ndef test_small(tmp_path):\n    assert add(1, 2) == 3\n"
COROUTINE = "from calculator import add\n\nasync def test_small():\n    assert add(1, 2) == 3\n"
DOCTESTS = """
import doctest, unittest, calculator

def load_tests(loader, tests, ignore):
    tests.addTests(doctest.DocTestSuite(calculator))
    return tests
"""
EXAMPLE = 'def add(a, b):\n    """\n    >>> {}\n    3\n    """\n    return a + b\n'


def outcomes(ran: TestsRan) -> Mapping[str, str]:
    return {result.id.partition("::")[2]: result.outcome for result in ran.results}


async def test_every_outcome_of_pytest_is_reported_once_for_each_function() -> None:
    ran = await run_tests(SANDBOX, product(calculator=CALCULATOR, tests__test_it=MIXED))
    assert (ran.trouble, outcomes(ran)) == ("", OUTCOMES)
    reasons = {result.id.partition("::")[2]: result.why for result in ran.results}
    assert reasons["test_skipped"].endswith("later")
    assert reasons["test_errs"].endswith("TypeError: unsupported operand type(s) for +: 'int' and 'NoneType'")


def test_which_files_need_pytest() -> None:
    plain = b"import pytest\nfrom unittest import mock\n\ndef test_a():\n    pass\n\ndef test_b(n=1):\n    pass\n"
    patched = b"\n@mock.patch('os.getcwd')\ndef test_c(getcwd):\n    pass\n"
    case = b"\nclass T(unittest.IsolatedAsyncioTestCase):\n    async def test_a(self):\n        pass\n"
    assert not needs_pytest(plain + patched + case)
    for text in (FIXTURE, COROUTINE, "import pytest\npytestmark = pytest.mark.slow\n"):
        assert needs_pytest(text.encode())
    assert needs_pytest(b"class TestA:\n    def test_a(self, tmp_path):\n        pass\n")
    assert needs_pytest(b"import pytest\n@pytest.mark.skipif(True, reason='')\ndef test_a():\n    pass\n")


def test_a_fixture_is_no_test_whatever_its_name() -> None:
    assert collect("t.py", b"import pytest\n@pytest.fixture()\ndef test_data():\n    return 1\n") == ()


@pytest.mark.parametrize("tests", [FIXTURE, COROUTINE], ids=["fixture", "coroutine"])
async def test_an_honest_product_passes_and_a_wrong_one_fails(tests: str) -> None:
    assert (await verdict_of(product(calculator=CALCULATOR, test_it=tests))).verdict == "passed"
    wrong = product(calculator="def add(a, b):\n    return 0\n", test_it=tests)
    assert (await verdict_of(wrong)).verdict == "failed (0 of 1)"


@pytest.mark.parametrize("tests", [FIXTURE, COROUTINE, MIXED], ids=["fixture", "coroutine", "mixed"])
async def test_without_pytest_the_verdict_is_not_failed(tests: str) -> None:
    files = product(calculator=CALCULATOR, test_it=tests)
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # the program may run as another user
        venv.create(folder, symlinks=True)
        ran = await run_tests(SANDBOX, files, python=f"{folder}/bin/python")
    verdict = judge(ran, ran, ProductStarted("", "", "exited", 0))
    assert verdict.verdict == "not run (needs pytest)"


WRONG = "def add(a, b):\n    return 0\n"
TRICKS = {
    "calls no test": "import _pytest.python\n_pytest.python.Function.runtest = lambda self: None\n",
    "asks no hook": "import pluggy\npluggy._hooks.HookCaller.__call__ = lambda *a, **k: True\n",
    "runs no coroutine": "import asyncio\nasyncio.run = asyncio.Runner.run = lambda *a, **k: None\n",
    "skips": "import pytest\n_ = pytest.skip\ndef add(a, b):\n    pytest.skip('later')\n#",
    "exits": "import pytest\ndef add(a, b):\n    pytest.exit('done', 0)\n#",
    "ends the process": "import os\ndef add(a, b):\n    os._exit(0)\n#",
    "rewrites its tests": "open('tests/test_it.py', 'w').write('async def test_small(): pass')\n",
}


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_trick_does_not_pass(trick: str) -> None:
    code = TRICKS[trick]
    files = product(calculator=code if code.endswith("#") else code + WRONG, tests__test_it=COROUTINE)
    assert (await verdict_of(files)).verdict.startswith(("failed (", "not run (all tests skipped"))


async def test_doctests_that_load_tests_adds_are_run() -> None:
    files = product(calculator=EXAMPLE.format("add(1, 2)"), test_it=DOCTESTS)
    assert (await verdict_of(files)).verdict == "passed"
    assert outcomes(await run_tests(SANDBOX, files)) == {"doctest::calculator.add": "passed"}
    files = product(calculator=EXAMPLE.format("add(1, 3)"), test_it=DOCTESTS)
    assert (await verdict_of(files)).verdict == "failed (0 of 1)"


async def test_doctests_that_do_not_use_the_product_prove_nothing() -> None:
    files = product(calculator=EXAMPLE.format("1 + 2"), test_it=DOCTESTS)
    assert (await verdict_of(files)).verdict == "not run (every test passes without the product)"
