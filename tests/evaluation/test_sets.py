"""Sets of tasks: what is read, and what is said of lines that cannot be used."""

import json
from pathlib import Path

import evaluated
import pytest

from chatdev.errors import UserError
from chatdev.evaluation import sets

CASE = '{"property": "p", "input": 1, "expected": 2}'


def refused(folder: Path, *lines: str) -> str:
    (folder / "tasks.jsonl").write_text("\n".join(lines))
    with pytest.raises(UserError) as caught:
        sets.load(folder)
    return str(caught.value)


def test_a_set_is_read_with_what_judges_it_and_its_references(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    found = sets.load(evaluated.folder(tmp_path / "mine"))
    assert found == sets.load(tmp_path / "mine" / "tasks.jsonl")
    assert (found.name, [task.name for task in found.tasks]) == ("mine", ["double", "twice", "shout"])
    double, _, shout = found.tasks
    assert (double.difficulty, len(double.cases), len(double.hidden)) == (1, 1, 2)
    assert list(shout.tests) == ["test_shout.py"] and list(shout.reference) == ["main.py"]
    assert found.difficulties == (1, 2)


def test_another_hidden_case_is_another_judge_and_another_set(tmp_path: Path) -> None:
    before = sets.load(evaluated.folder(tmp_path))
    tasks = evaluated.tasks()
    tasks[0]["hidden"] = [json.loads(CASE)]
    (tmp_path / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks))
    (tmp_path / "tests" / "shout" / "test_shout.py").write_text("import main\n")
    after = sets.load(tmp_path)
    same = [one.judge == other.judge for one, other in zip(before.tasks, after.tasks, strict=True)]
    assert same == [False, True, False]
    assert before.digest != after.digest


def test_tasks_without_a_difficulty_come_last(tmp_path: Path) -> None:
    lines = [f'{{"name": "{name}", "description": "d", "hidden": [{CASE}]{more}}}' for name, more in _NAMED]
    (tmp_path / "tasks.jsonl").write_text("\n".join(lines))
    assert sets.load(tmp_path).difficulties == (1, 4, None)


_NAMED = (("a", ""), ("b", ', "difficulty": 4'), ("c", ', "difficulty": 1'))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"name": "b"', "line 2: Input data was truncated"),
        ('{"name": "b", "hidden": []}', "line 2: Object missing required field `description`"),
        ('{"description": "d"}', "line 2: Object missing required field `name`"),
        ('{"name": "b", "description": "d", "hidden": [{"property": "p", "input": 1}]}', "`expected`"),
        ('{"name": "b", "description": "d", "difficulty": "hard"}', "Expected `int | null`, got `str`"),
        (f'{{"name": "A", "description": "d", "hidden": [{CASE}]}}', "line 2: the name 'A' is already used in line 1"),
        (f'{{"name": "../b", "description": "d", "hidden": [{CASE}]}}', "line 2: the name '../b' is not a valid"),
        (f'{{"name": "b", "description": " ", "hidden": [{CASE}]}}', "line 2: b: the description is empty"),
        ('{"name": "b", "description": "d"}', "line 2: b: no hidden cases, and no files in tests/b"),
    ],
)
def test_a_line_that_cannot_be_used_is_named(tmp_path: Path, line: str, expected: str) -> None:
    message = refused(tmp_path, f'{{"name": "a", "description": "d", "hidden": [{CASE}]}}', line)
    assert expected in message and "tasks.jsonl has invalid lines" in message


def test_cases_and_tests_for_one_task_are_too_much(tmp_path: Path) -> None:
    evaluated.folder(tmp_path)
    message = refused(tmp_path, "", f'{{"name": "shout", "description": "d", "hidden": [{CASE}]}}')
    assert "line 2: shout: both hidden cases and tests/shout" in message


def test_many_faults_are_counted(tmp_path: Path) -> None:
    assert "and 2 more" in refused(tmp_path, *["{}"] * 10)


def test_an_empty_set_is_none(tmp_path: Path) -> None:
    assert "contains no tasks" in refused(tmp_path, "")


def test_a_set_that_is_not_there_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tasks\.jsonl cannot be read \(No such file"):
        sets.load(tmp_path)
