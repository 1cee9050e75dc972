"""Small products to judge."""

import asyncio
import os

from chatdev.errors import UserError
from chatdev.product.hollow import hollowed
from chatdev.product.python_start import start_product
from chatdev.product.python_tests import run_tests
from chatdev.product.verdict import Verdict, judge, without_product
from chatdev.sandbox import levels
from chatdev.sandbox.port import Sandbox


def _sandbox() -> Sandbox:
    """The level that CHATDEV_TEST_LEVEL names, else the best here: what users' products run in."""
    if level := os.environ.get("CHATDEV_TEST_LEVEL"):
        return levels.at(level)
    try:
        return asyncio.run(levels.best())
    except UserError:
        return levels.at(levels.UNSAFE)


SANDBOX = _sandbox()
CALCULATOR = "def add(a, b):\n    return a + b\n"
CALCULATOR_TESTS = """
import unittest
from calculator import add

class Adding(unittest.TestCase):
    def test_small(self):
        self.assertEqual(add(1, 2), 3)

    def test_negative(self):
        self.assertEqual(add(-1, -2), -3)
"""


def product(main: str = "print('hello')\n", **files: str) -> dict[str, bytes]:
    """Files from texts; in a keyword, ``__`` stands for a slash, and ``.py`` is added."""
    texts = {"main.py": main, **{f"{name.replace('__', '/')}.py": text for name, text in files.items()}}
    return {path: text.encode() for path, text in texts.items()}


async def verdict_of(files: dict[str, bytes], *, seconds: float = 30, watch: float = 5) -> Verdict:
    """What the whole chain of evidence says."""
    baseline = await run_tests(SANDBOX, without_product(files), seconds=seconds)
    tests = await run_tests(SANDBOX, files, seconds=seconds)
    hollow = await run_tests(SANDBOX, hollowed(files), seconds=seconds)
    return judge(baseline, tests, await start_product(SANDBOX, files, watch=watch), hollow=hollow)
