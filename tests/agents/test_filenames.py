"""One rule says which files are tests: for the programmer, the tester, the runners and the baseline."""

import pytest

from chatdev.agents.filenames import belongs_to_tests, is_test


@pytest.mark.parametrize(
    ("path", "test", "belongs"),
    [
        ("test_main.py", True, True),
        ("src/test_x.py", True, True),
        ("a/b/main_test.py", True, True),
        ("Test_x.py", True, True),
        ("tests/acceptance.txt", True, True),
        ("tests/acceptance.test.js", True, True),
        ("Tests/test_a.py", True, True),
        ("tests/helper.py", False, True),
        ("Tests/a.py", False, True),
        ("a/tests/data.json", True, True),
        ("tests\\helper.py", False, True),
        ("test/foo.py", False, True),
        ("tests.py", False, False),
        ("test_gui.pyw", False, False),
        ("main.py", False, False),
        ("testing.py", False, False),
        ("test_data.json", False, False),
        ("latest.py", False, False),
    ],
)
def test_tests_and_what_belongs_to_them_are_known_by_their_path(path: str, test: bool, belongs: bool) -> None:
    assert (is_test(path), belongs_to_tests(path)) == (test, belongs)
