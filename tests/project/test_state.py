"""What the company knows, and when a loop may end."""

import msgspec
import pytest
from helpers.events import ran_tests

from chatdev.journal.events import ProductStarted, TestOutcome, TestResult, TestsRan
from chatdev.project.state import State, merge

TESTED = State(task="t", name="n", files={"main.py": "print(1)\n", "tests/test_a.py": "def test(): pass\n"})


def ran(state: State, *outcomes: TestOutcome, trouble: str = "", needs: str = "") -> State:
    results = ran_tests(*outcomes, digest=state.digest, trouble=trouble, needs=needs)
    return msgspec.structs.replace(state, tests=results)


def started(state: State, how: str, needs: str = "") -> State:
    return msgspec.structs.replace(state, started=ProductStarted("p", state.digest, how, needs=needs))  # type: ignore[arg-type]


def test_documents_do_not_change_what_is_run() -> None:
    documented = TESTED.having({"manual.md": "# m\n", "requirements.txt": "x\n"})
    assert documented.digest == TESTED.digest
    assert TESTED.having({"main.py": "print(2)\n"}).digest != TESTED.digest
    assert set(documented.program) == {"main.py"}
    assert set(documented.acceptance_tests) == {"tests/test_a.py"}


def test_results_are_true_of_the_version_they_were_taken_on_alone() -> None:
    passing = ran(TESTED, "passed")
    assert passing.holds("passing")
    assert not passing.having({"main.py": "print(2)\n"}).holds("passing")


@pytest.mark.parametrize(
    ("state", "passing"),
    [
        (TESTED, False),
        (ran(TESTED, "passed", "failed"), False),
        (ran(TESTED, "passed", "no result"), False),
        (ran(TESTED, "passed", trouble="left early"), False),
        (ran(TESTED, "passed", "skipped"), True),
        (ran(TESTED, "error", needs="pygame"), True),  # no change of code brings a package
        (State(task="t", name="n", files={"main.py": ""}), True),  # no tests to mend for
        (State(task="t", name="n", files={"main.js": ""}, values={"language": "JavaScript"}), True),
    ],
)
def test_mending_goes_on_while_there_is_something_to_correct(state: State, passing: bool) -> None:
    assert state.holds("passing") is passing


@pytest.mark.parametrize(
    ("how", "needs", "healthy"),
    [("exited", "", True), ("alive", "", True), ("crashed", "", False), ("missing", "", False), ("crashed", "x", True)],
)
def test_a_product_is_healthy_if_it_passes_and_starts(how: str, needs: str, healthy: bool) -> None:
    assert started(ran(TESTED, "passed"), how, needs).holds("healthy") is healthy
    assert not started(ran(TESTED, "failed"), how, needs).holds("healthy")


def test_unfinished_files_are_found_until_given_up() -> None:
    state = TESTED.having({"main.py": "def run():\n    pass\n"})
    assert state.unfinished is not None
    assert state.unfinished[0] == "main.py"
    assert not state.holds("complete")
    assert msgspec.structs.replace(state, given_up=frozenset({"main.py"})).holds("complete")


def test_an_empty_condition_never_holds() -> None:
    assert not TESTED.holds("")


def test_branches_merge_in_declared_order() -> None:
    first = ran(TESTED.having({"a": "1", "b": "1"}).with_value("x", "1"), "passed")
    second = TESTED.having({"b": "2"}).with_value("y", "2")
    merged = merge(TESTED, [first, second])
    assert merged.files["a"] == "1"
    assert merged.files["b"] == "2"
    assert merged.values == {"x": "1", "y": "2"}
    assert merged.tests == first.tests


def test_tests_are_sound_once_they_were_run_and_none_fails_by_itself() -> None:
    assert msgspec.structs.replace(TESTED, files={"main.py": "x = 1\n"}).holds("sound tests")
    assert not TESTED.holds("sound tests")
    assert ran(TESTED, "passed", "failed").holds("sound tests")
    frame = 'Traceback (most recent call last):\n  File "tests/test_a.py", line 1, in test\n'
    why = f"{frame}NameError: name 'x' is not defined"
    results = (TestResult("tests/test_a.py::test", "error", why),)
    failing = msgspec.structs.replace(TESTED, tests=TestsRan("p", TESTED.digest, results))
    assert [fault.test for fault in failing.faulty_tests] == ["tests/test_a.py::test"]
    assert not failing.holds("sound tests")
    assert msgspec.structs.replace(failing, values={"language": "Go"}).holds("sound tests")
