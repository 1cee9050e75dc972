"""From judged products to figures."""

import json
import math
from itertools import product

import pytest

from chatdev.evaluation import arms, figures, picture, report
from chatdev.evaluation.arms import Arm
from chatdev.evaluation.figures import EvalReport, VerdictReliability
from chatdev.evaluation.judging import HiddenResult
from chatdev.evaluation.place import EvalStart
from chatdev.evaluation.sets import Case, EvalTask, TaskSet
from chatdev.evaluation.work import Built, EvalRequest, Unit
from chatdev.fleet.ledger import Result
from chatdev.fleet.plan import BatchPlan

CASE = Case("p", 1, 2)
SET = TaskSet(
    "mine", tuple(EvalTask(name, "d", level, (), (CASE, CASE)) for name, level in (("a", 1), ("b", 1), ("c", 2)))
)


def built(
    task: str,
    number: int,
    held: int,
    *,
    examples: bool | None = None,
    verdict: str = "failed (1 of 2)",
    error: str = "",
) -> Built:
    result = Result(
        name=task,
        verdict=verdict,
        status="error" if error else "passed" if verdict == "passed" else "failed",
        seconds=2.0,
        calls=1,
        prompt_tokens=100,
        completion_tokens=10,
        cost=0.0,
        folder="",
        error=error,
    )
    return Built(result, HiddenResult("", task, number, "", "", held, 2, (), examples, own_tests=4, own_failed=1))


def shots(*each: tuple[str, int, int, bool | None]) -> dict[Unit, Built]:
    return {(task, number): built(task, number, held, examples=examples) for task, number, held, examples in each}


def reported(wanted: EvalRequest, **batches: dict[Unit, Built]) -> EvalReport:
    return figures.report(wanted, batches, EvalStart("model", "2026-01-02"))


@pytest.mark.parametrize(
    ("won", "lost", "p"),
    [(0, 0, 1.0), (1, 0, 1.0), (5, 0, 0.0625), (0, 6, 0.03125), (8, 1, 0.0390625), (10, 2, 158 / 4096), (3, 3, 1.0)],
)
def test_with_one_repeat_p_is_mcnemar_s(won: int, lost: int, p: float) -> None:
    assert figures.sign_flip_p([1] * won + [0] * 7 + [-1] * lost) == pytest.approx(p, rel=1e-12)
    assert figures.sign_flip_p([-1] * won + [1] * lost) == pytest.approx(p, rel=1e-12)


@pytest.mark.parametrize("differences", [[3, 2, -1], [3, 3, 1, 1, -2], [2, -2, 1], [1, 2, 3, 3, 0], []])
def test_p_counts_the_signs_that_give_a_sum_as_far_from_zero(differences: list[int]) -> None:
    flipped = [
        sum(map(math.prod, zip(signs, differences, strict=True))) for signs in product((1, -1), repeat=len(differences))
    ]
    far = [abs(each) >= abs(sum(differences)) for each in flipped]
    assert figures.sign_flip_p(differences) == pytest.approx(sum(far) / len(far), rel=1e-12)


def test_repeats_of_a_task_are_one_piece_of_evidence() -> None:
    once = {(name, number): built(name, number, 0) for name in "abc" for number in (1,)}
    better = {(name, number): built(name, number, 2) for name in "abc" for number in (1, 2, 3)}
    wanted = EvalRequest(SET, (Arm("once", 1), Arm("default", plan=BatchPlan())), repeat=3)
    paired = reported(wanted, once=once, default=better).arms[1].paired
    assert paired is not None
    assert (paired.won, paired.lost, paired.p) == (9, 0, 0.25)


def test_p_of_many_tasks() -> None:
    assert 0 < figures.sign_flip_p([1] * 3_000 + [-1] * 2_000) < 1e-40


BEST = EvalRequest(SET, (Arm("once", 1), Arm("best-of-3", 3)))


def test_best_of_n_takes_the_first_that_holds_the_examples_else_the_first() -> None:
    taken = shots(
        ("a", 1, 0, False), ("a", 2, 2, True), ("a", 3, 0, True),
        ("b", 1, 2, False), ("b", 2, 0, True), ("b", 3, 2, False),
        ("c", 1, 1, False), ("c", 2, 2, False), ("c", 3, 1, False),
    )  # fmt: skip
    found = reported(BEST, once=taken)
    once, best = found.arms
    assert found.solved == {
        "a": {"once": "0", "best-of-3": "1"},
        "b": {"once": "1", "best-of-3": "0"},
        "c": {"once": "0", "best-of-3": "0"},
    }
    assert best.paired is not None
    assert (best.paired.won, best.paired.lost, best.paired.p) == (1, 1, 1.0)
    assert (once.cases, best.cases) == (0.5, 0.5)
    assert (once.per_task.prompt_tokens, best.per_task.prompt_tokens, best.per_task.seconds) == (100, 300, 6)
    assert best.per_solved is not None and best.per_solved.completion_tokens == 90
    assert found.ceiling is not None
    assert (found.ceiling.answers, found.ceiling.solved, found.ceiling.of) == (3, 3, 3)
    assert [(each.difficulty, each.solved, each.of) for each in best.by_difficulty] == [(1, 1, 2), (2, 0, 1)]


def test_without_examples_the_first_answer_is_taken() -> None:
    taken = shots(*((name, number, 2 * (number > 1), None) for name in "abc" for number in (1, 2, 3)))
    found = reported(BEST, once=taken)
    assert found.arms[1].solved == 0 and found.arms[1].per_solved is None
    assert found.ceiling is not None and found.ceiling.solved == 3


def test_repeats_have_the_first_answer_in_common() -> None:
    assert arms.samples(1, 3) == (1, 2, 3)
    assert arms.samples(2, 3) == (1, 1002, 1003)
    assert EvalRequest(SET, (Arm("once", 1),), repeat=3).units(Arm("once", 1)) == (("a", 1), ("b", 1), ("c", 1))


def test_what_a_verdict_is_worth() -> None:
    tested = {
        ("a", 1): built("a", 1, 2, verdict="passed"),
        ("b", 1): built("b", 1, 1, verdict="passed"),
        ("c", 1): built("c", 1, 2, error="the window is too small"),
    }
    found = reported(EvalRequest(SET, (Arm("default", plan=BatchPlan()),)), default=tested)
    (arm,) = found.arms
    assert arm.says == VerdictReliability(passed=2, precision=0.5, recall=0.5)
    assert arm.own_tests is not None and (arm.own_tests.ran, arm.own_tests.failed, arm.own_tests.share) == (12, 3, 0.25)
    assert (arm.errors, arm.paired, found.ceiling) == (1, None, None)
    text = report.markdown(found)
    assert "| `default`           | 2      | 50 %      | 50 %   | 3 of 12     |" in text
    assert "Runs with an error: `default` 1. They count as solved only if they delivered a solution." in text


def test_nothing_to_share_is_none() -> None:
    tested = {(name, 1): built(name, 1, 0) for name in "abc"}
    (arm,) = reported(EvalRequest(SET, (Arm("default", plan=BatchPlan()),)), default=tested).arms
    assert arm.says == VerdictReliability(0, None, None)


def test_the_report_is_the_same_each_time_and_holds_no_text_of_a_task() -> None:
    taken = shots(*((name, number, 2, None) for name in "abc" for number in (1, 2, 3)))
    found = reported(BEST, once=taken)
    text = report.as_json(found)
    assert text == report.as_json(found) and text.endswith("}\n")
    assert list(json.loads(text))[:4] == ["version", "date", "model", "set"]
    assert '"d"' not in text
    assert "| any of 3 answers | 3 of 3 | 100 % |" in report.markdown(found)


def test_the_picture_has_a_bar_for_each_arm_and_a_line_for_the_ceiling() -> None:
    taken = shots(*((name, number, 2, None) for name in "abc" for number in (1, 2, 3)))
    found = reported(BEST, once=taken)
    drawn = picture.svg(found)
    assert drawn.count('<rect class="solved"') == 3 and drawn.count('<line class="ceiling"') == 2  # with the legend
    assert "prefers-color-scheme: dark" in drawn and "3 of 3" in drawn


def test_a_long_name_is_cut_in_the_picture_and_marks_of_html_do_no_harm() -> None:
    arm = Arm("default --role-model 'Programmer=a<b>'", plan=BatchPlan())
    found = reported(EvalRequest(SET, (arm,)), **{arm.folder: {(name, 1): built(name, 1, 0) for name in "abc"}})
    drawn = picture.svg(found)
    assert "default --role-model" in drawn and "…</text>" in drawn
    assert "<b>" not in drawn
    assert "ceiling" not in drawn.partition("</style>")[2]
