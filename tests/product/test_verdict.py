"""The verdict follows from the evidence, by rules that can be listed."""

from pathlib import Path

import msgspec
import pytest
from helpers.events import ran_tests
from helpers.products import CALCULATOR, CALCULATOR_TESTS, SANDBOX, product

from chatdev.errors import UserError
from chatdev.journal.events import ProductStarted, TestOutcome, TestsRan
from chatdev.product import verdict
from chatdev.product.verdict import files_digest, judge, judge_folder, read_folder, without_product

RUNS = ProductStarted("", "", "exited", 0)
WAITS = ProductStarted("", "", "alive")
CRASHES = ProductStarted("", "", "crashed", why="Traceback:\nZeroDivisionError: division by zero")
MISSING = ProductStarted("", "", "missing", why="there is no main.py to start")
BLIND = ProductStarted("", "", "crashed", lacks="display")
LACKS = ProductStarted("", "", "crashed", needs="pygame")

OUTCOMES: dict[str, TestOutcome] = {".": "passed", "F": "failed", "E": "error", "s": "skipped", "?": "no result"}


def ran(outcomes: str, trouble: str = "", needs: str = "") -> TestsRan:
    """Tests ``t0``, ``t1``, … by a character each."""
    return ran_tests(*(OUTCOMES[each] for each in outcomes), trouble=trouble, needs=needs)


@pytest.mark.parametrize(
    ("baseline", "tests", "started", "expected"),
    [
        ("EE", ran(".."), RUNS, "passed"),
        ("EE", ran(".."), WAITS, "passed"),
        ("?s", ran(".."), RUNS, "passed"),
        (".E", ran(".."), RUNS, "passed"),
        ("..", ran(".."), RUNS, "not run (every test passes without the product)"),
        (None, ran(".."), RUNS, "not run (tests not tried without the product)"),
        ("", ran(".."), RUNS, "not run (tests not tried without the product)"),
        ("EE", ran(".."), None, "not run (not started)"),
        ("EE", ran(".."), CRASHES, "failed (2 of 2, does not start)"),
        ("EE", ran(".."), MISSING, "failed (2 of 2, does not start)"),
        ("EE", ran(".."), LACKS, "not run (needs pygame)"),
        ("EE", ran(".."), BLIND, "not run (no display)"),
        ("EE", ran(".F"), BLIND, "failed (1 of 2)"),
        ("EE", ran("EE", needs="numpy"), LACKS, "not run (needs numpy, pygame)"),
        ("EE", ran(".F"), RUNS, "failed (1 of 2)"),
        ("EE", ran(".?"), RUNS, "failed (1 of 2)"),
        ("EE", ran(".F"), CRASHES, "failed (1 of 2, does not start)"),
        ("EE", ran("..", "left early"), RUNS, "failed (2 of 2, left early)"),
        ("EE", ran("ss"), RUNS, "not run (all tests skipped)"),
        ("EE", ran(".s"), RUNS, "not run (1 of 2 tests skipped)"),
        ("EE", ran("Fs"), RUNS, "failed (0 of 2)"),
        ("EE", ran("ss"), CRASHES, "failed (0 of 2, does not start)"),
        ("", ran(""), RUNS, "not run (no tests)"),
        ("EE", None, RUNS, "not run (no tests)"),
        (None, None, None, "not run (no tests)"),
    ],
)
def test_the_verdict(
    baseline: str | None, tests: TestsRan | None, started: ProductStarted | None, expected: str
) -> None:
    found = judge(ran(baseline) if baseline is not None else None, tests, started)
    assert found.verdict == expected
    assert found.why


def test_tests_that_pass_without_the_product_are_listed() -> None:
    assert judge(ran(".E."), ran("..F"), RUNS).vacuous == ("t0",)


def test_the_reason_names_the_start_the_trouble_and_the_first_failures() -> None:
    found = judge(ran("EEEEEE"), ran("?FFEF.", "stopped by the time limit"), CRASHES)
    assert found.why == (
        "the start: ZeroDivisionError: division by zero; the tests' run: stopped by the time limit; "
        "t1: why 1; t2: why 2; t3: why 3; and 1 more"
    )


def test_the_empty_project_is_the_tests_and_their_helpers() -> None:
    paths = [
        "main.py",
        "app/x.py",
        "test_a.py",
        "tests/helper.py",
        "tests/data/in.txt",
        "x_test.py",
        "test/b",
        "tests.py",
    ]
    kept = without_product(dict.fromkeys(paths, b""))
    assert list(kept) == ["test_a.py", "tests/helper.py", "tests/data/in.txt", "x_test.py", "test/b"]


def test_a_digest_names_paths_and_contents_whatever_their_order() -> None:
    files = {"a": b"1", "b": b"2"}
    assert files_digest(files) == files_digest(dict(reversed(files.items())))
    others: list[dict[str, bytes]] = [{}, {"a": b"1"}, {"a": b"2", "b": b"1"}, {"a1": b"", "b": b"2"}]
    assert len({files_digest(other) for other in [files, *others]}) == 5


def write(folder: Path, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


async def test_a_folder_is_judged_on_a_copy(tmp_path: Path) -> None:
    files = product("open('left', 'w')\n", calculator=CALCULATOR, tests__test_calculator=CALCULATOR_TESTS)
    write(tmp_path, files)
    judged = await judge_folder(SANDBOX, tmp_path)
    assert judged.verdict == "passed"
    assert read_folder(tmp_path) == files
    assert judged.text().splitlines() == [
        "passed: All 2 tests pass, all of them only with the product, and it starts.",
        "  passed    tests/test_calculator.py::Adding::test_small",
        "  passed    tests/test_calculator.py::Adding::test_negative",
        "  start     exited with status 0",
    ]


async def test_a_judged_folder_can_be_printed_as_json(tmp_path: Path) -> None:
    vacuous = "def test_a():\n    pass\n"
    write(tmp_path, product("1 / 0", calculator="def add(a, b): return 3\n", test_a=vacuous, test_b=CALCULATOR_TESTS))
    judged = await judge_folder(SANDBOX, tmp_path)
    data = msgspec.json.decode(msgspec.json.encode(judged.as_dict()))
    assert data["verdict"] == "failed (2 of 3, does not start)"
    assert data["vacuous"] == ["test_a.py::test_a"]
    assert [test["outcome"] for test in data["tests"]] == ["passed", "passed", "failed"]
    assert data["tests"][2]["why"].endswith("AssertionError: 3 != -3")
    assert (data["start"]["how"], data["start"]["exit_status"]) == ("crashed", 1)
    assert "  passed    test_a.py::test_a  (passes without the product too)" in judged.text()
    assert judged.text().endswith("            ZeroDivisionError: division by zero")


def test_only_the_product_is_read(tmp_path: Path) -> None:
    kept = {"main.py": b"1", ".env": b"2", "src/a b.py": b"3", "é.txt": b"4"}
    beside = [".git/x", ".chatdev/x", ".venv/x", "venv/x", "a/__pycache__/x", "node_modules/x"]
    write(tmp_path, {**kept, **dict.fromkeys(beside, b"no")})
    (tmp_path / "link.py").symlink_to(tmp_path / "main.py")
    (tmp_path / "linked").symlink_to(tmp_path / "src")
    assert read_folder(tmp_path) == kept


def test_a_folder_that_is_no_product_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="There is no folder"):
        read_folder(tmp_path / "absent")
    monkeypatch.setattr(verdict, "MOST_BYTES", 10)
    write(tmp_path, {"big": b"x" * 11})
    with pytest.raises(UserError, match="more than"):
        read_folder(tmp_path)
