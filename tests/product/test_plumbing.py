"""Which failing tests are themselves at fault, on results of the real runner."""

import json
from pathlib import Path

import pytest
from helpers.products import SANDBOX, product

from chatdev.agents import replies
from chatdev.journal.events import TestsRan
from chatdev.product import plumbing
from chatdev.product.busy import BUSY
from chatdev.product.python_tests import run_tests

ANSWERS = Path(__file__).parents[1] / "agents" / "real_runs" / "answers.jsonl"
PATH = "tests/test_acceptance.py"
MAIN = "def add(a, b):\n    return a + b\n\n\nif __name__ == '__main__':\n    print(3)\n"


def case(body: str, imports: str = "") -> str:
    lines = "\n".join(f"        {line}" for line in body.split("\n"))
    head = f"import os\nimport subprocess\nimport sys\nimport unittest\n{imports}\n\n\n"
    return f"{head}class TestIt(unittest.TestCase):\n    def test_it(self):\n{lines}\n"


async def ran(test: str, main: str = MAIN) -> TestsRan:
    found = await run_tests(SANDBOX, product(main, tests__test_acceptance=test), seconds=30)
    if found.lacks == BUSY:
        pytest.skip("the machine has no time for a program")
    return found


def real_tests(run: str) -> str:
    rows = map(json.loads, ANSWERS.read_text(encoding="utf-8").splitlines())
    answer = next(row["answer"] for row in rows if row["run"] == run and row["kind"] == "tests")
    return replies.files(answer, expected=[PATH])[0].text


@pytest.mark.parametrize(("run", "count"), [("Calculator", 5), ("HelloWorld", 5)])
async def test_all_tests_of_a_real_small_model_fail_by_their_own_plumbing(run: str, count: int) -> None:
    test = real_tests(run)
    found = plumbing.faults(await ran(test), {PATH: test}, ["main.py"])
    assert len(found) == count
    assert any("capture_output=True" in fault.why for fault in found)


RUN = 'subprocess.run([sys.executable, "main.py"], capture_output=True, text=True, timeout=9)'


@pytest.mark.parametrize(
    ("body", "imports", "why"),
    [
        ('ran = subprocess.run([sys.executable, "main.py"])\nself.assertEqual(ran.stdout, "3")', "", "not kept"),
        ('ran = subprocess.run([sys.executable, "main.py"])\nself.assertIn("3", ran.stdout)', "", "not kept"),
        ('ran = subprocess.run([sys.executable, "main.py"])\nout = ran.stdout\nout.strip()', "", "not kept"),
        ('ran = subprocess.run([sys.executable, "main.py"])\nran.stdout.strip()', "from main import add", "not kept"),
        (
            'ran = subprocess.run([sys.executable, "main.py"], capture_output=True)\nself.assertEqual(ran.stdout, "3")',
            "",
            "bytes",
        ),
        (
            'ran = subprocess.run([sys.executable, "main.py"], capture_output=True)\nself.assertIn("3", ran.stdout)',
            "",
            "bytes",
        ),
        ('subprocess.run([sys.executable, "main.py"], input="1 + 2", timeout=9)', "", "bytes"),
        (f'ran = {RUN}\nself.assertEqual(ran.stdout.decode(), "3")', "", "wrong way"),
        (f"ran = {RUN}\nself.assertEqual(ran.output, 3)", "", "attribute"),
        ('subprocess.run([sys.executable, "main.py", 100], timeout=9)', "", "strings"),
        ('subprocess.run([sys.executable, "main.py"], capture=True)', "", "keyword"),
        (
            'subprocess.run([sys.executable, "main.py"], capture_output=True, stdout=subprocess.PIPE)',
            "",
            "together",
        ),
        ('subprocess.run(["python9", "main.py"], capture_output=True)', "", "cannot be started"),
        ('subprocess.run(["./main.py"], capture_output=True)', "", "cannot be started"),
        (RUN.replace("main.py", "calculator.py") + ".check_returncode()", "", ""),
        (f'ran = {RUN.replace("main.py", "calculator.py")}\nself.assertEqual(ran.stdout, "3\\n")', "", "not there"),
        ("self.assertEqual(total(1, 2), 3)", "", "nothing defines"),
        ("self.assertEqual(self.calculator.add(1, 2), 3)", "", "own object"),
        ("self.assertEqual(sys.arguments, [])", "", "Python's own"),
        ("pass", "from unittest import TestCases", "Python's own"),
        ("pass", "from tests.helpers import run", "nobody wrote"),
        ("return 3", "", "returns a value"),
    ],
)
async def test_a_failure_of_the_tests_own_making_is_reported(body: str, imports: str, why: str) -> None:
    test = case(body, imports)
    found = plumbing.faults(await ran(test), {PATH: test}, ["main.py"])
    assert [why in fault.why for fault in found] == ([True] if why else [])


async def test_a_test_file_that_is_not_python_is_at_fault() -> None:
    test = "import unittest\n\nclass Test(unittest.TestCase:\n    pass\n"
    (fault,) = plumbing.faults(await ran(test), {PATH: test}, ["main.py"])
    assert "not valid Python" in fault.why


async def test_a_fixture_that_no_one_gives_is_the_tests_own() -> None:
    test = "def test_it(nothing):\n    assert nothing\n"
    (fault,) = plumbing.faults(await ran(test), {PATH: test}, ["main.py"])
    assert "takes a fixture that nothing provides" in fault.why


@pytest.mark.parametrize(
    ("body", "imports", "main"),
    [
        ("self.assertEqual(add(1, 2), 3)", "from main import add", "def add(a, b):\n    return a - b\n"),
        ("self.assertEqual(add(1, 2), 3)", "from main import add", "def add(a, b):\n    return total\n"),
        ("self.assertEqual(add(1, 2), 3)", "from main import add", "def add(a):\n    return a\n"),
        ("self.assertEqual(add(1, 2), 3)", "from main import add", "def sum(a, b):\n    return a\n"),
        ("self.assertEqual(add(1, 2), 3)", "from calculator import add", MAIN),
        ("self.assertEqual(add(1, 2), 3)", "from main import add", "def add(:\n"),
        ("self.assertEqual(add(1, 2), 3)", "from main import *", "x = 1\n"),
        ("self.assertEqual(main.add(1, 2), 3)", "import main", "x = 1\n"),
        ("self.assertEqual(add('a').strip(), '')", "from main import add", "def add(a):\n    return None\n"),
        ("self.assertEqual(add('a'), 'a')", "from main import add", "def add(a):\n    return b'a'\n"),
        ("self.assertEqual(Adder().total, 0)", "from main import Adder", "class Adder:\n    pass\n"),
        (f'ran = {RUN}\nself.assertEqual(ran.stdout.strip(), "4")', "", MAIN),
        (f"ran = {RUN}\nself.assertEqual(ran.stdout.split()[1], '4')", "", MAIN),
        (f"ran = {RUN}\nself.assertEqual(int(ran.stdout), 4)", "", "print('Result: 4')\n"),
        (f"ran = {RUN}\nself.assertEqual(ran.returncode, 0)", "", "raise SystemError\n"),
        (f"{RUN}\nopen('out.txt').close()", "", MAIN),
        (f"{RUN.replace('timeout=9', 'timeout=9, check=True')}", "", "raise SystemError\n"),
    ],
)
async def test_a_failure_that_the_product_may_cause_is_not_blamed_on_the_test(
    body: str, imports: str, main: str
) -> None:
    test = case(body, imports)
    results = await ran(test, main)
    assert results.results[0].outcome != "passed"
    assert plumbing.faults(results, {PATH: test}, ["main.py"]) == ()


async def test_a_program_that_the_task_names_is_the_products_to_bring() -> None:
    test = case(f'ran = {RUN.replace("main.py", "sums.py")}\nself.assertEqual(ran.stdout, "3\\n")')
    results = await ran(test)
    assert plumbing.faults(results, {PATH: test}, ["main.py"], "Write sums.py, which adds.") == ()
    assert len(plumbing.faults(results, {PATH: test}, ["main.py"], "Add two numbers.")) == 1


async def test_faults_are_reported_once_for_each_cause() -> None:
    test = real_tests("Calculator")
    text = plumbing.text(plumbing.faults(await ran(test), {PATH: test}, ["main.py"]))
    assert text.count("The cause") == 1
    assert 'self.assertEqual(result.stdout.strip(), "3")' in text
    assert text.count("TestAcceptance::") == 5
