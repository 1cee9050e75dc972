"""Products that would look as if they passed. None of them does."""

import asyncio

import pytest
from helpers.products import CALCULATOR, CALCULATOR_TESTS, SANDBOX, product, verdict_of

from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.product.python_tests import run_tests
from chatdev.product.verdict import judge

WRONG = "def add(a, b):\n    return 0\n"
FAKE_REPORT = "print('..\\n' + '-' * 70 + '\\nRan 2 tests in 0.001s\\n\\nOK')\n"
PATCH = "import unittest\n" + WRONG

TRICKS = {
    "prints a report": FAKE_REPORT + WRONG,
    "prints a report and leaves at import": FAKE_REPORT + "import os; os._exit(0)",
    "exits at import": "import sys; sys.exit(0)",
    "leaves in a test": "import os\ndef add(a, b):\n    os._exit(0)",
    "exits in a test": "import sys\ndef add(a, b):\n    sys.exit(0)",
    "interrupts in a test": "def add(a, b):\n    raise KeyboardInterrupt",
    "skips": "import unittest\ndef add(a, b):\n    raise unittest.SkipTest('later')",
    "skips at import": "import unittest\nraise unittest.SkipTest('later')",
    "kills its process": "import os\ndef add(a, b):\n    os.kill(os.getpid(), 9)",
    "kills its group": "import os\ndef add(a, b):\n    os.killpg(0, 15)",
    "kills its parent": "import os, time\ndef add(a, b):\n    os.kill(os.getppid(), 9); time.sleep(60)",
    "ends by an alarm": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\n"
    + "def add(a, b):\n    while True: pass",
    "silences an assertion": PATCH + "unittest.TestCase.assertEqual = lambda *a: None",
    "silences an assertion's code": PATCH + "unittest.TestCase.assertEqual.__code__ = (lambda *a, **k: None).__code__",
    "runs no test": PATCH + "unittest.TestCase.run = lambda self, result: result.addSuccess(self)",
    "calls no test": PATCH + "unittest.TestCase.__call__ = lambda self, result: result.addSuccess(self)",
    "asserts with another exception": PATCH + "unittest.TestCase.failureException = unittest.SkipTest",
    "replaces the suite": PATCH
    + "class Suite(unittest.TestSuite):\n"
    + "    def run(self, result):\n"
    + "        for test in self: result.startTest(test); result.addSuccess(test); result.stopTest(test)\n"
    + "unittest.TestSuite = Suite",
    "reports through the result": PATCH
    + "import gc\n"
    + "for one in gc.get_objects():\n"
    + "    if isinstance(one, type) and one.__name__ == 'Recorder': one.addFailure = one.addSuccess",
    "loads no test": PATCH + "unittest.TestLoader.getTestCaseNames = lambda *a: []",
    "puts a unittest in its place": "import sys, types\n"
    + "fake = types.ModuleType('unittest'); fake.TestCase = object; sys.modules['unittest'] = fake\n"
    + WRONG,
    "takes a test away": "import sys\n"
    + "def add(a, b):\n    return 3\n"
    + "class Finder:\n"
    + "    def find_spec(self, *a): del sys.modules['tests.test_calculator'].__dict__['Adding']\n"
    + "sys.meta_path.insert(0, Finder())",
    "closes every descriptor": "import os\ndef add(a, b):\n    os.closerange(0, 4096); return a + b",
    "overwrites every descriptor": "import os\n"
    + "def add(a, b):\n"
    + "    for fd in range(3, 256):\n"
    + "        try: os.dup2(2, fd)\n"
    + "        except OSError: pass\n"
    + "    return a + b",
    "scribbles over every descriptor": "import os\n"
    + "for fd in range(1, 256):\n"
    + "    try: os.write(fd, b'\\nresult tests/test_calculator.py::Adding::test_small passed\\n')\n"
    + "    except OSError: pass\n"
    + WRONG,
    "replaces standard output": "import io, sys\nsys.stdout = sys.stderr = io.StringIO()\n" + WRONG,
    "speaks at exit": "import atexit, os\natexit.register(os._exit, 0)\n" + WRONG,
    "forks and lets the child pass": "import os\n"
    + "def add(a, b):\n"
    + "    if os.fork() == 0: return a + b\n"
    + "    os.wait(); return 0",
    "hangs": "import time\ndef add(a, b):\n    time.sleep(600)",
    "hangs in a thread that it waits for": "import threading, time\n"
    + "def add(a, b):\n"
    + "    thread = threading.Thread(target=time.sleep, args=(600,)); thread.start(); thread.join()",
    "recurses": "def add(a, b):\n    return add(a, b)",
    "writes its tests anew": "import glob\n"
    + "for path in glob.glob('tests/*.py'):\n"
    + "    open(path, 'w').write('import unittest\\nclass Adding(unittest.TestCase):\\n'\n"
    + "    '  def test_small(self): pass\\n  def test_negative(self): pass')\n"
    + WRONG,
    "leaves a golden file": "def add(a, b):\n    open('tests/golden.txt', 'w').write('3'); return a + b",
    "replaces a test's code": "import gc\n"
    + "def add(a, b):\n"
    + "    for one in gc.get_objects():\n"
    + "        if getattr(one, '__name__', '') == 'test_negative' and hasattr(one, '__code__'):\n"
    + "            one.__code__ = (lambda self: None).__code__\n"
    + "    return 3",
    "replaces a context manager": "import contextlib\n"
    + "contextlib.AbstractContextManager = contextlib.suppress = object\n"
    + "def add(a, b):\n    return a + b",
    "replaces a builtin": "import builtins\nbuiltins.isinstance = lambda *a: True\ndef add(a, b):\n    return a + b",
    "traces its tests": "import sys\nsys.settrace(lambda *a: None)\ndef add(a, b):\n    return a + b",
    "profiles its tests": "import sys\nsys.setprofile(lambda *a: None)\ndef add(a, b):\n    return a + b",
    "floods": "def add(a, b):\n    while True: print('x' * 65536)",
    "raises what cannot be shown": "class E(Exception):\n"
    + "    def __str__(self): raise SystemExit\n"
    + "def add(a, b):\n    raise E",
}


@pytest.fixture(scope="module")
def baseline() -> TestsRan:
    """The same tests without any product."""
    return asyncio.run(run_tests(SANDBOX, product(tests__test_calculator=CALCULATOR_TESTS)))


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_trick_does_not_pass(trick: str, baseline: TestsRan) -> None:
    files = product(calculator=TRICKS[trick], tests__test_calculator=CALCULATOR_TESTS)
    tests = await run_tests(SANDBOX, files, seconds=3)
    verdict = judge(baseline, tests, ProductStarted("", "", "exited", 0))
    assert verdict.verdict.startswith(("failed (", "not run (all tests skipped"))
    assert verdict.why
    assert {result.id.partition("::")[2] for result in tests.results} == {"Adding::test_small", "Adding::test_negative"}


async def test_tests_are_those_that_the_product_found_when_it_began() -> None:
    """A test file that the product writes while another one is loaded has no effect but to be noted."""
    second = "import unittest, calculator\nclass T(unittest.TestCase):\n"
    second += "    def test_it(self):\n        self.assertEqual(calculator.add(2, 2), 4)\n"
    rewrites = "open('tests/test_second.py', 'w').write('import unittest')\n" + WRONG
    files = product(calculator=rewrites, tests__test_first="import calculator\n" + VACUOUS, tests__test_second=second)
    tests = await run_tests(SANDBOX, files)
    assert {result.id.rpartition("/")[2]: result.outcome for result in tests.results} == {
        "test_first.py::T::test_a": "passed",
        "test_second.py::T::test_it": "failed",
    }
    assert tests.trouble == "the product changed its tests: tests/test_second.py"


async def test_files_that_tests_make_and_remove_change_nothing() -> None:
    tests = (
        "import os, unittest, calculator\n"
        "from unittest import mock\n"
        "class T(unittest.TestCase):\n"
        "    @mock.patch('builtins.open')\n"
        "    def test_a(self, opened):\n"
        "        self.assertEqual(calculator.add(1, 1), 2)\n"
        "    def test_b(self):\n"
        "        path = os.path.join(os.path.dirname(__file__), 'made.txt')\n"
        "        with open(path, 'w') as file: file.write('x')\n"
        "        os.remove(path)\n"
        "        open('left.txt', 'w').close()\n"
        "        self.assertEqual(calculator.add(1, 1), 2)\n"
    )
    files = {**product(calculator=CALCULATOR, tests__test_it=tests), "tests/data.txt": b"x"}
    ran = await run_tests(SANDBOX, files)
    assert (ran.trouble, [result.outcome for result in ran.results]) == ("", ["passed", "passed"])


async def test_asynchronous_tests_cannot_be_silenced_either() -> None:
    tests = (
        "import unittest, calculator\n"
        "class T(unittest.IsolatedAsyncioTestCase):\n"
        "    async def test_a(self):\n"
        "        self.assertEqual(calculator.add(1, 1), 2)\n"
    )
    silent = "import unittest\nunittest.IsolatedAsyncioTestCase._callTestMethod = lambda *a: None\n" + WRONG
    files = product(calculator=silent, test_it=tests)
    assert (await run_tests(SANDBOX, files)).trouble == "IsolatedAsyncioTestCase._callTestMethod was replaced"
    files = product(calculator=CALCULATOR, test_it=tests)
    assert [result.outcome for result in (await run_tests(SANDBOX, files)).results] == ["passed"]


async def test_the_honest_product_passes() -> None:
    verdict = await verdict_of(product(calculator=CALCULATOR, tests__test_calculator=CALCULATOR_TESTS))
    assert (verdict.verdict, verdict.vacuous) == ("passed", ())


@pytest.mark.parametrize(
    "calculator",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n",
        "import atexit\natexit.register(print, 'bye')\n",
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n",
        "import sys\nsys.stdout = None\n",
        "import unittest\nunittest.TestCase.maxDiff = None\n",
        "print('Traceback (most recent call last):\\nFAILED (failures=2)')\n",
    ],
    ids=["thread", "exit handler", "child", "no output", "option of unittest", "words"],
)
async def test_an_odd_but_honest_product_passes(calculator: str) -> None:
    files = product(calculator=calculator + CALCULATOR, tests__test_calculator=CALCULATOR_TESTS)
    assert (await verdict_of(files)).verdict == "passed"


VACUOUS = "import unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n        pass\n"


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ("", "not run (no tests)"),
        ("import unittest\nclass T(unittest.TestCase):\n    pass\n", "not run (no tests)"),
        (VACUOUS, "not run (every test passes without the product)"),
        (VACUOUS.replace("pass", "self.skipTest('no')"), "not run (all tests skipped)"),
        (VACUOUS.replace("def test", "async def test"), "failed (0 of 1)"),
        (VACUOUS.replace("pass", "yield"), "failed (0 of 1)"),
        (VACUOUS.replace("pass", "return 1 == 2"), "failed (0 of 1)"),
        (VACUOUS + "class T2(T):\n    def test_a(self, x):\n        pass\n", "failed (1 of 2)"),
        (
            VACUOUS + "    def setUp(self):\n        import calculator\n",
            "not run (every test passes without the product)",
        ),
        ("import calculator\n" + VACUOUS + "del T.test_a\n", "failed (0 of 1)"),
        ("import calculator\n" + VACUOUS + "del T\n", "not run (no tests)"),
        ("def (:\n", "failed (0 of 1)"),
        ("\0", "failed (0 of 1)"),
    ],
)
async def test_tests_that_say_nothing_do_not_pass(tests: str, expected: str) -> None:
    verdict = await verdict_of(product(calculator=CALCULATOR, tests__test_it=tests))
    assert verdict.verdict == expected
