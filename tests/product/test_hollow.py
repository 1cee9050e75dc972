"""A test that passes on a product without content proves nothing."""

from pathlib import Path

import pytest
from helpers.products import CALCULATOR, CALCULATOR_TESTS, SANDBOX, product

from chatdev.agents import replies
from chatdev.product.hollow import hollowed
from chatdev.product.verdict import judge_folder

TAUTOLOGY = """
import unittest
import calculator

class Adding(unittest.TestCase):
    def test_it_is_there(self):
        self.assertTrue(callable(calculator.add))

    def test_one_is_one(self):
        self.assertEqual(1, 1)

    def test_errors_are_ignored(self):
        try:
            calculator.add(1, 2)
        except Exception:
            pass
"""


async def verdict(folder: Path, files: dict[str, bytes]) -> tuple[str, tuple[str, ...]]:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    judged = await judge_folder(SANDBOX, folder)
    return judged.verdict, judged.vacuous


async def test_tautologies_that_import_the_product_do_not_pass(tmp_path: Path) -> None:
    files = product(calculator=CALCULATOR, tests__test_it=TAUTOLOGY)
    found, vacuous = await verdict(tmp_path, files)
    assert found == "not run (every test passes without the product)"
    names = ("test_errors_are_ignored", "test_it_is_there", "test_one_is_one")
    assert sorted(vacuous) == [f"tests/test_it.py::Adding::{name}" for name in names]


async def test_beside_tests_that_prove_something_they_are_only_noted(tmp_path: Path) -> None:
    files = product(calculator=CALCULATOR, tests__test_it=CALCULATOR_TESTS + TAUTOLOGY.replace("Adding", "Empty"))
    found, vacuous = await verdict(tmp_path, files)
    assert found == "passed"
    assert len(vacuous) == 3
    assert all("::Empty::" in test for test in vacuous)


@pytest.mark.parametrize(
    ("program", "assertion"),
    [
        ("LIMIT = 3\n", "program.LIMIT == 3"),
        ("from dataclasses import dataclass\n@dataclass\nclass P:\n    x: int = 1\n", "program.P(2).x == 2"),
        ("import enum\nclass C(enum.Enum):\n    A = 1\n    B = 2\n", "program.C.B.value == 2"),
        ("class P:\n    def __init__(self, x=[1]):\n        self.x = x\n", "program.P().x == [1]"),
        ("import contextlib\n@contextlib.contextmanager\ndef f():\n    yield 1\n", "program.f().__enter__() == 1"),
        ("class E(ValueError):\n    pass\ndef f():\n    raise E\n", "self.assertRaises(program.E, program.f) is None"),
        ("try:\n    import json\nexcept OSError:\n    pass\nclass B(json.JSONEncoder):\n    k = 1", "program.B.k == 1"),
        ("f = lambda x: x + 1\n", "program.f(1) == 2"),
        ("import math\nclass B:\n    size = math.pi\n    def f(self):\n        return 2\n", "program.B().f() == 2"),
    ],
)  # fmt: skip
async def test_a_test_of_any_content_fails_on_the_hollow_product(program: str, assertion: str, tmp_path: Path) -> None:
    tests = "import unittest\nimport program\nclass T(unittest.TestCase):\n    def test_it(self):\n"
    tests += f"        assert {assertion}\n"
    assert await verdict(tmp_path, product(program=program, test_it=tests)) == ("passed", ())


def test_hollow_programs_do_nothing_and_can_be_imported() -> None:
    text = b"import sys\nprint('loaded')\n\ndef main():\n    print('x')\n\nif __name__ == '__main__':\n    main()\n"
    (hollow,) = hollowed({"main.py": text}).values()
    names: dict[str, object] = {"__name__": "__main__"}
    exec(hollow, names)
    assert callable(names["main"])
    with pytest.raises(NotImplementedError):
        names["main"]()
    kept = {"broken.py": b"def (", "data.json": b"{}", "tests/test_a.py": b"x = 1\n"}
    assert hollowed(kept) == kept


SKIPS = """
    @unittest.skipUnless(sys.platform == "win32", "only on Windows")
    def test_on_windows(self):
        self.assertEqual(add(1, 1), 2)

    @unittest.expectedFailure
    def test_not_yet(self):
        self.assertEqual(add(0.1, 0.2), 0.3)
"""


async def test_a_skip_that_the_product_did_not_cause_does_not_spoil_the_others(tmp_path: Path) -> None:
    tests = "import sys\n" + CALCULATOR_TESTS + SKIPS
    assert await verdict(tmp_path, product(calculator=CALCULATOR, tests__test_it=tests)) == ("passed", ())


async def test_a_skip_that_the_product_causes_still_counts(tmp_path: Path) -> None:
    skips = (
        "import unittest\ndef add(a, b):\n    if a < 0:\n        raise unittest.SkipTest('later')\n    return a + b\n"
    )
    found, _ = await verdict(tmp_path, product(calculator=skips, tests__test_it=CALCULATOR_TESTS))
    assert found == "not run (1 of 2 tests skipped)"


async def test_a_program_may_ask_who_runs_it(tmp_path: Path) -> None:
    program = "import getpass\ndef who():\n    return getpass.getuser()\nprint(who())\n"
    tests = "import unittest, main\nclass T(unittest.TestCase):\n    def test_it(self):\n        assert main.who()\n"
    assert await verdict(tmp_path, product(program, test_it=tests)) == ("passed", ())


def test_a_program_made_hollow_is_still_read_as_it_is() -> None:
    assert replies.unfinished("calculator.py", CALCULATOR) is None
    hollowed({"calculator.py": CALCULATOR.encode()})
    assert replies.unfinished("calculator.py", CALCULATOR) is None
