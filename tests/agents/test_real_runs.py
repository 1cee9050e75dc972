"""Three runs of a real small model, answer by answer: each block is taken for what a person says it is."""

import json
from pathlib import Path
from typing import Any

import pytest

from chatdev.agents import replies
from chatdev.agents.filenames import belongs_to_tests

RUNS = Path(__file__).parent / "real_runs" / "answers.jsonl"
ANSWERS = [json.loads(line) for line in RUNS.read_text(encoding="utf-8").splitlines()]
TESTS = "tests/test_acceptance.py"
EXAMPLES = frozenset(('"""The words of a greeting."""\n\nHELLO = "hello"',))


def read(answer: dict[str, Any], known: dict[str, str]) -> replies.ParsedReply:
    testing = answer["kind"] in ("tests", "amend")
    return replies.read(
        answer["answer"],
        finish_reason=answer["finish_reason"],
        expected=[TESTS if testing else "main.py"],
        present={path: text for path, text in known.items() if belongs_to_tests(path) == testing},
        examples=EXAMPLES,
    )


@pytest.mark.parametrize("run", ["HelloWorld", "TodoApp", "Calculator"])
def test_each_block_is_taken_for_what_it_is(run: str) -> None:
    known: dict[str, str] = {}
    for answer in ANSWERS:
        if answer["run"] != run or answer["kind"] == "document":
            continue
        reading = read(answer, known)
        testing = answer["kind"] in ("tests", "amend")
        taken = {
            file.path: file.text for file in reading.files if file.whole and belongs_to_tests(file.path) == testing
        }
        lines = answer["answer"].split("\n")
        ruled = {path: "\n".join([*lines[first:last], ""]) for path, (first, last) in answer["files"].items()}
        assert taken == ruled, (answer["place"], answer["ruling"])
        copied = [skipped.path for skipped in reading.skipped if skipped.why == replies.COPIED]
        assert bool(copied) == answer["copied"], answer["place"]
        known |= taken


def test_a_part_of_the_program_is_recognised_by_what_it_lacks() -> None:
    (part,) = [answer for answer in ANSWERS if "a part of" in answer["ruling"]]
    coding = next(answer for answer in ANSWERS if answer["run"] == part["run"] and answer["kind"] == "code")
    program = {file.path: file.text for file in read(coding, {}).files}["main.py"]
    reading = read(part, {"main.py": program})
    assert (reading.files, [(skipped.path, skipped.why) for skipped in reading.skipped]) == (
        (),
        [("main.py", "it is a part of main.py")],
    )
