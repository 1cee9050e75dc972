"""The set that comes with the project: its references solve it, and nothing else does by accident."""

import re
from pathlib import Path

import pytest

from chatdev.errors import UserError
from chatdev.evaluation import answers, judging, own_tests, sets
from chatdev.evaluation.sets import EvalTask
from chatdev.sandbox import levels
from chatdev.sandbox.port import Sandbox

SET = sets.load(Path(__file__).parents[2] / "examples" / "eval")


@pytest.fixture(scope="module")
def sandbox() -> Sandbox:
    return levels.at(levels.UNSAFE)


def test_it_has_twelve_tasks_of_six_difficulties() -> None:
    assert len(SET.tasks) == 12 and SET.difficulties == (1, 2, 3, 4, 5, 6)
    assert sum(bool(task.tests) for task in SET.tasks) == 2


@pytest.mark.parametrize("task", SET.tasks, ids=lambda task: task.name)
async def test_its_reference_solves_each_task(sandbox: Sandbox, task: EvalTask) -> None:
    judged = await judging.judge(sandbox, "reference", task, 1, task.reference)
    assert judged.solved and judged.missed == () and judged.of >= 9
    assert judged.examples in (True, None)


@pytest.mark.parametrize("task", [task for task in SET.tasks if task.hidden], ids=lambda task: task.name)
def test_its_examples_stand_in_the_description_and_its_hidden_cases_do_not(task: EvalTask) -> None:
    assert len(task.cases) == 2
    for case in task.cases:
        assert answers.request(case.property, case.input).strip() in task.description
    shown = {answers.request(case.property, case.input) for case in task.cases}
    hidden = [answers.request(case.property, case.input) for case in task.hidden]
    assert not shown & set(hidden) and len(set(hidden)) == len(hidden)
    assert not any(text.strip() in task.description for text in hidden)


async def test_a_program_that_is_not_there_or_wrong_solves_nothing(sandbox: Sandbox) -> None:
    tasks = {task.name: task for task in SET.tasks}
    nothing = await judging.judge(sandbox, "none", tasks["parking-fee"], 1, {})
    assert (nothing.solved, nothing.held, nothing.of, nothing.examples) == (False, 0, 13, False)
    wrong = {"main.py": tasks["parking-fee"].reference["main.py"].replace(b"<= 30", b"< 30")}
    almost = await judging.judge(sandbox, "wrong", tasks["parking-fee"], 1, wrong)
    assert (almost.solved, almost.examples) == (False, True)
    assert almost.missed == (2, 10)  # 30 minutes, and a day and 30 minutes
    untested = await judging.judge(sandbox, "none", tasks["undo-ledger"], 1, {})
    assert not untested.solved and untested.held == 0


async def test_hidden_tests_take_the_place_of_the_product_s_own(sandbox: Sandbox) -> None:
    task = next(task for task in SET.tasks if task.name == "undo-ledger")
    wrong = task.reference["main.py"].replace(b"self._undone.clear()", b"pass")
    own = {f"tests/{path}": b"import unittest\n" for path in task.tests}
    judged = await judging.judge(sandbox, "wrong", task, 1, {"main.py": wrong, **own})
    assert not judged.solved and (judged.of, len(judged.missed)) == (10, 1)


async def test_a_manifest_that_a_model_spoilt_solves_nothing(sandbox: Sandbox) -> None:
    task = next(task for task in SET.tasks if task.name == "undo-ledger")
    judged = await judging.judge(sandbox, "wrong", task, 1, {**task.reference, "product.toml": b"language = 1"})
    assert (judged.solved, judged.of) == (False, 1)


async def test_tests_of_a_company_that_the_reference_fails_are_counted(sandbox: Sandbox) -> None:
    task = next(task for task in SET.tasks if task.name == "undo-ledger")
    text = task.tests["test_undo_ledger.py"].replace(b"45_000", b"46_000")
    product = {"main.py": b"", "tests/test_acceptance.py": text}
    judged = await judging.judge(sandbox, "default", task, 1, product, tested=True)
    assert (judged.own_tests, judged.own_failed) == (10, 1)
    assert await own_tests.against(sandbox, {"main.py": b""}, task.reference) == own_tests.NONE


def test_names_fit_their_folders() -> None:
    folder = Path(__file__).parents[2] / "examples" / "eval"
    names = {task.name for task in SET.tasks}
    assert {path.name for path in (folder / "refs").iterdir()} == names
    assert {path.name for path in (folder / "tests").iterdir()} <= names
    assert all(re.fullmatch(r"[a-z]+-[a-z]+", name) for name in names)


async def test_tests_in_a_language_that_is_not_here_are_no_verdict(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chatdev.product.toolchain.shutil.which", lambda name: None)
    task = EvalTask("name", "description", tests={"main.test.js": b"// a test"})
    with pytest.raises(UserError, match="The hidden tests of name need node, but it is not installed"):
        await judging.judge(sandbox, "once", task, 1, {"main.js": b"", "product.toml": b'language = "JavaScript"'})


async def test_a_product_that_ends_its_judge_solves_nothing_and_stops_no_one(sandbox: Sandbox) -> None:
    task = SET.tasks[0]
    files = {"main.py": b"import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n"}
    judged = await judging.judge(sandbox, "once", task, 1, files)
    assert (judged.solved, judged.held, judged.examples) == (False, 0, False)
