"""A company's own tests are tried on a program that is known to be right."""

import pytest

from chatdev.evaluation import own_tests
from chatdev.product import rows
from chatdev.sandbox import levels
from chatdev.sandbox.port import Sandbox

REFERENCE = {"main.py": b"import sys\nprint(sum(map(int, sys.argv[1:])))\n"}
ROWS = b"""# From the task
$ python3 main.py 1 1
3

# From the tester
$ python3 main.py 1 2
3

$ python3 main.py 2 2
5

# From the tester, met by hardly any draft: not judged
$ python3 main.py 9 9
0
"""


@pytest.fixture
async def sandbox() -> Sandbox:
    return await levels.chosen(unsafe=False)


async def test_rows_that_a_model_wrote_count_and_those_of_the_task_do_not(sandbox: Sandbox) -> None:
    product = {"main.py": b"print(0)\n", rows.FILE: ROWS}
    assert await own_tests.against(sandbox, product, REFERENCE) == own_tests.Count(ran=2, failed=1)


async def test_a_product_without_rows_has_none(sandbox: Sandbox) -> None:
    assert await own_tests.against(sandbox, {"main.py": b"print(0)\n"}, REFERENCE) == own_tests.NONE
