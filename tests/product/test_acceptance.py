"""Acceptance tests of both kinds, programs and rows, on real products in the sandbox."""

import shutil
from pathlib import Path

import pytest
from helpers.products import CALCULATOR, CALCULATOR_TESTS, SANDBOX, product

from chatdev import language_table
from chatdev.journal.events import TestsRan
from chatdev.product import languages, rows
from chatdev.product.acceptance import baseline, changing, names, rows_of, run, run_without, visible
from chatdev.product.languages import Product
from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import Invocation
from chatdev.product.verdict import judge, judge_folder, without_product

ADDS = """import sys

from calculator import add

try:
    print(add(*map(int, sys.argv[1:])))
except (TypeError, ValueError):
    print("Error: two numbers, please", file=sys.stderr)
    sys.exit(1)
"""
ROWS = """# From the task
$ python3 main.py 2 3
5

# From the tester
$ python3 main.py -1 -2
-3

$ python3 main.py two
Error
[exit 1]
"""
SUM = {**product(ADDS, calculator=CALCULATOR), rows.FILE: ROWS.encode()}


def way(language: str = "Python") -> Product:
    found = languages.find(language)
    assert found is not None
    return found


def row(*args: str, expected: str = "x", tier: rows.Tier = "doubtful") -> Row:
    return Row((RowStep(Invocation(args), expected),), tier)


def outcomes(ran: TestsRan) -> dict[str, str]:
    return {result.id.rpartition("::")[2]: result.outcome for result in ran.results}


async def test_programs_and_rows_are_run_together_and_each_has_a_result() -> None:
    files = SUM | product(ADDS, calculator=CALCULATOR, tests__test_calculator=CALCULATOR_TESTS)
    ran = await run(way(), SANDBOX, files, place="Test.1", version="v")
    assert (ran.place, ran.digest) == ("Test.1", "v")
    assert outcomes(ran) == {
        "test_small": "passed",
        "test_negative": "passed",
        "task: 2 3": "passed",
        "tester: -1 -2": "passed",
        "tester: two": "passed",
    }
    assert [result.tier for result in ran.results] == ["", "", "trusted", "doubtful", "doubtful"]


async def test_a_row_that_fails_says_what_was_expected_and_where_it_went_wrong() -> None:
    files = SUM | {"calculator.py": b"def add(a, b):\n    return a / 0 if a < 0 else a - b\n"}
    small, negative, _ = (await run(way(), SANDBOX, files)).results
    assert (small.outcome, small.why) == ("failed", 'expected "5", printed "-1"')
    assert negative.why.startswith('expected "-3", printed "", and on standard error: ZeroDivisionError')
    assert "calculator.py" in negative.why
    assert negative.cause.startswith("ZeroDivisionError")


async def test_rows_that_were_dropped_are_not_run() -> None:
    dropped = rows.render([row("2", "3", expected="5"), row("9", expected="10", tier="dropped")], "python3 main.py")
    ran = await run(way(), SANDBOX, SUM | {rows.FILE: dropped.encode()})
    assert outcomes(ran) == {"tester: 2 3": "passed"}


async def test_a_package_that_is_not_here_is_named_and_no_fault_of_the_program() -> None:
    files = {**product("import unheard_of\n"), rows.FILE: ROWS.encode()}
    assert all(not result.needs for result in (await run(way(), SANDBOX, files)).results)
    files = {**product("import pygame\n"), rows.FILE: ROWS.encode()}
    ran = await run(way(), SANDBOX, files)
    assert {result.needs for result in ran.results} == {"pygame"}
    assert judge(baseline(rows_of(files, way().command)), ran, None).verdict == "not run (needs pygame)"


async def test_without_rows_only_programs_are_run() -> None:
    files = product(calculator=CALCULATOR, tests__test_calculator=CALCULATOR_TESTS)
    assert set(outcomes(await run(way(), SANDBOX, files))) == {"test_small", "test_negative"}


def test_what_passes_on_a_product_that_prints_nothing_proves_nothing() -> None:
    found = (
        row("a"),
        Row((RowStep(Invocation(("b",)), status=0),)),
        Row((RowStep(Invocation(("c",)), status=1),), "trusted"),
    )
    ran = baseline(found, place="p", version="v")
    assert (ran.place, ran.digest) == ("p", "v")
    assert outcomes(ran) == {"tester: a": "failed", "tester: b": "passed", "task: c": "failed"}


async def test_a_product_that_does_nothing_has_no_verdict_by_rows_that_any_product_meets() -> None:
    text = "$ python3 main.py\n[exit 0]\n"
    files = {**product("pass\n"), rows.FILE: text.encode()}
    ran = await run(way(), SANDBOX, files)
    assert outcomes(ran) == {"tester: (no input)": "passed"}
    judged = judge(await run_without(way(), SANDBOX, without_product(files)), ran, None)
    assert judged.verdict == "not run (every test passes without the product)"


def test_a_row_keeps_its_id_when_others_come_or_go() -> None:
    long = [row(*["add"] * 50, name) for name in "abc"]
    found = [
        *long,
        row("x"),
        row("y"),
        row("x y"),
        Row((RowStep(Invocation(stdin="x y\n"), "x"),)),
        row("x", tier="trusted"),
    ]
    all_names = names(found)
    assert len(set(all_names)) == len(found)
    for number in range(len(found)):
        assert names(found[:number] + found[number + 1 :]) == all_names[:number] + all_names[number + 1 :]


def test_dropped_rows_move_to_a_section_of_their_own_and_changes_no_other() -> None:
    found = [row("a", tier="trusted"), row("b"), row("c")]
    files = {rows.FILE: rows.render(found, "python3 main.py")}
    text = changing(files, "python3 main.py", names(found)[1:2], {})[rows.FILE]
    assert [(each.title, each.tier) for each in rows.parse(text, "python3 main.py").rows] == [
        ("a", "trusted"),
        ("c", "doubtful"),
        ("b", "dropped"),
    ]
    assert names(rows_of({rows.FILE: text.encode()}, "python3 main.py")) == [names(found)[0], names(found)[2]]


C = """#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    printf("%d\\n", atoi(argv[1]) + atoi(argv[2]));
    return 0;
}
"""


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
async def test_a_product_in_c_is_built_once_and_started_for_each_row() -> None:
    text = "$ build/main 2 3\n5\n\n$ build/main\n[exit 2]\n"
    files = {"main.c": C.encode(), rows.FILE: text.encode()}
    assert outcomes(await run(way("C"), SANDBOX, files)) == {"tester: 2 3": "passed", "tester: (no input)": "passed"}
    broken = await run(way("C"), SANDBOX, files | {"main.c": C.replace(";", "", 1).encode()})
    assert set(outcomes(broken).values()) == {"error"}
    assert all("it cannot be built" in result.why and "error" in result.why for result in broken.results)


async def test_a_language_without_its_tools_here_is_not_judged() -> None:
    here = [name for name in language_table.table() if name not in ("HTML", "JavaScript")]
    absent = next((name for name in here if way(name).launch({}).lacks), None)
    if absent is None:
        pytest.skip("every language has its tools here")
    found = way(absent)
    ran = await run(found, SANDBOX, {found.main: b"x", rows.FILE: f"$ {found.command}\nx\n".encode()})
    assert ran.lacks and not ran.results


LOOKS = """import os, sys

found = [os.path.join(place, name) for place, _, names in os.walk(".") for name in sorted(names)]
print(" ".join(sorted(found)))
"""


async def test_a_product_finds_neither_its_rows_nor_the_report_on_them(tmp_path: Path) -> None:
    files = {**product(LOOKS), rows.FILE: b"$ python3 main.py\nnothing\n", "REPORT.md": b"x", "data.txt": b"x"}
    assert set(visible(files)) == {"main.py", "data.txt"}
    (looked,) = (await run(way(), SANDBOX, files)).results
    assert looked.why == 'expected "nothing", printed "./data.txt ./main.py"'
    for path, data in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    judged = await judge_folder(SANDBOX, tmp_path)
    assert judged.tests.results[0].why == looked.why
    assert judged.started.output.strip() == "./data.txt ./main.py"


async def test_programs_that_are_tests_find_no_rows_either() -> None:
    looking = (
        "import os, unittest\nclass T(unittest.TestCase):\n    def test_a(self):\n"
        "        self.assertEqual(os.listdir('tests'), ['test_a.py'])\n"
    )
    files = {**product(tests__test_a=looking), rows.FILE: ROWS.encode()}
    assert outcomes(await run(way(), SANDBOX, files))["test_a"] == "passed"


def test_a_product_without_rows_keeps_all_its_files() -> None:
    assert visible({"REPORT.md": b"", "main.py": b""}) == {"REPORT.md": b"", "main.py": b""}
