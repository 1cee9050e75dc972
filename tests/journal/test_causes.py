"""Of all that a failed test says, the line that a person wants first."""

import pytest

from chatdev.journal.events import TestResult

COMPARED = "Traceback (most recent call last):\n  File \"t.py\", line 1\nAssertionError: '64' != '512'\n- 64\n+ 512"


@pytest.mark.parametrize(
    ("why", "cause"),
    [
        (COMPARED, "AssertionError: '64' != '512'"),
        ("KeyError: 'a'\n\nDuring handling of it:\n\npkg.OwnError: no", "pkg.OwnError: no"),
        ("  File x\nTimeoutError\n", "TimeoutError"),
        ("not ok 1 - adds\nexpected 3", "expected 3"),
        ("", ""),
    ],
)
def test_the_cause_is_the_line_that_names_the_error(why: str, cause: str) -> None:
    assert TestResult("t", "failed", why).cause == cause
