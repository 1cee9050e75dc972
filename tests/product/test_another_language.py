"""Another language is one more section of a table: nothing else knows languages by name."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatdev import language_table
from chatdev.errors import UserError
from chatdev.product import languages
from chatdev.product.verdict import FolderVerdict, judge_folder
from chatdev.sandbox import levels

AWK = r"""
[AWK]
tools = ["awk"]
main = "main.awk"
suffixes = ["awk"]
arguments = "ARGV"
test_file = "tests/acceptance.awk"
start = ["awk", "-f", "main.awk", "--"]
test = ["awk", "-f", "{tests}"]
reads = "tap"
fences = { awk = "awk" }
looks = '^\s*(?:BEGIN|END)?\s*\{'
crash = '^awk: '
how = "The file is an AWK program that prints TAP."
"""
MAIN = "BEGIN { print ARGV[1] + ARGV[2] }\n"
TESTS = """
function check(words, expected, name,   got) {
    ("awk -f main.awk -- " words " 2>/dev/null") | getline got
    ok = got == expected
    failed = failed || !ok
    printf "%sok %d - %s\\n", ok ? "" : "not ", ++number, name
}
BEGIN { print "1..2"; check("1 2", 3, "adds"); check("-1 -2", -3, "adds negative ones"); exit failed }
"""
TABLE = language_table.read(AWK)


async def judged(folder: Path, main: str) -> FolderVerdict:
    try:
        sandbox = await levels.best()
    except UserError:
        sandbox = levels.at(levels.UNSAFE)
    (folder / "tests").mkdir()
    (folder / "main.awk").write_text(main)
    (folder / "tests/acceptance.awk").write_text(TESTS)
    (folder / languages.MANIFEST).write_text(languages.manifest("AWK", TABLE))
    return await judge_folder(sandbox, folder, table=TABLE)


@pytest.mark.parametrize(
    ("main", "verdict", "how"),
    [
        (MAIN, "passed", "exited"),
        (MAIN.replace("+", "-"), "failed (0 of 2)", "exited"),
        ("BEGIN {", "failed (0 of 2, does not start)", "crashed"),
    ],
)
async def test_a_product_in_a_language_of_another_table_is_built_started_and_judged(
    main: str, verdict: str, how: str, tmp_path: Path
) -> None:
    found = await judged(tmp_path, main)
    assert (found.verdict, found.started.how) == (verdict, how), found.text()


def test_the_built_in_table_does_not_have_that_language() -> None:
    assert languages.find("AWK") is None
    assert languages.find("awk", TABLE) is not None


def test_prompts_and_answers_follow_the_table() -> None:
    """In a process of its own, whose table has that language from the start."""
    code = f"""
from chatdev import language_table
own = {{**language_table.table(), **language_table.read({AWK!r})}}
language_table.table = lambda: own
from chatdev.agents import filenames, replies
from chatdev.product import examples, languages
from chatdev.project import early_stop, prompt_texts, row_writing

assert languages.find("awk").main == "main.awk"
assert prompt_texts.block("main.awk", "BEGIN {{ }}").startswith("```awk\\n")
assert filenames.ending("awk") == "awk" and filenames.is_source("main.awk")
assert [file.path for file in replies.files("main.awk\\n```awk\\nBEGIN {{ }}\\n```\\n")] == ["main.awk"]
assert early_stop._PATHS.findall("see tools/words.awk here") == ["tools/words.awk"]
session = "$ awk -f sum.awk 1 2\\n3\\n"
assert [row.steps[0].call.args for row in examples.of_task(session, "awk -f main.awk --")] == [("1", "2")]
assert row_writing._in_form("awk -f main.awk 1 2", "awk -f main.awk") == "$ awk -f main.awk 1 2"
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
