"""Unusual products of good faith are judged right; ``honest_products.txt`` has the expected verdicts.

In that file, ``## NAME: VERDICT`` begins a product with its ``main.py``, and ``=== PATH`` another file of it; the file
``test`` may call ``run(*ARGUMENTS, stdin="", **ENVIRONMENT)``.
"""

import asyncio
import re
from pathlib import Path

import pytest
from helpers.products import SANDBOX

from chatdev.product.hollow import hollowed
from chatdev.product.python_start import start_product
from chatdev.product.python_tests import run_tests
from chatdev.product.verdict import judge

NEEDS = {
    "http.server": "landlock has no sockets",
    "multiprocessing": "landlock has no shared memory",
    "curses": "landlock has no terminals",
    "getpass": "landlock has no terminals",
}
"""Products that the weakest level cannot run, and why."""
RUN = """import os, subprocess, sys, unittest
def run(*arguments, stdin="", **environment):
    return subprocess.run([sys.executable, "main.py", *arguments], input=stdin, capture_output=True, text=True,
        env=os.environ | environment)
"""


def _read() -> dict[str, tuple[str, dict[str, bytes]]]:
    text = Path(__file__).with_name("honest_products.txt").read_text(encoding="utf-8")
    found = {}
    for section in re.split(r"^## ", text, flags=re.M)[1:]:
        heading, _, rest = section.partition("\n")
        name, _, verdict = heading.rpartition(": ")
        main, *others = re.split(r"^=== ", rest, flags=re.M)
        files = {"main.py": main.encode()} if main else {}
        for other in others:
            path, _, content = other.partition("\n")
            files["tests/test_it.py" if path == "test" else path] = (RUN * (path == "test") + content).encode()
        found[name] = (verdict, files)
    return found


PRODUCTS = _read()


def test_there_are_enough() -> None:
    assert sum(verdict == "passed" for verdict, _ in PRODUCTS.values()) >= 40


@pytest.mark.parametrize("name", PRODUCTS)
async def test_a_product_is_judged_right(name: str) -> None:
    if SANDBOX.level == "landlock" and name in NEEDS:
        pytest.skip(NEEDS[name])
    expected, files = PRODUCTS[name]
    hollow, tests, started = await asyncio.gather(
        run_tests(SANDBOX, hollowed(files)), run_tests(SANDBOX, files), start_product(SANDBOX, files, watch=1)
    )
    verdict = judge(hollow, tests, started, hollow=hollow)
    assert verdict.verdict == expected, (verdict.why, started, tests)
