"""Turns judged products into the figures of a report: names and numbers, but no text of a task."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec

import chatdev
from chatdev.evaluation.arms import ONCE, Arm, samples
from chatdev.evaluation.place import EvalStart
from chatdev.evaluation.work import Built, EvalRequest, Unit


class TaskOutcome(msgspec.Struct, frozen=True):
    """One task built by one arm. ``seconds`` is elapsed time; tokens and calls include every answer taken for it."""

    task: str
    repeat: int
    difficulty: int | None
    solved: bool
    held: int
    of: int
    verdict: str
    error: bool
    prompt_tokens: int
    completion_tokens: int
    calls: int
    seconds: float
    own_tests: int = 0
    own_failed: int = 0


class Solved(msgspec.Struct, frozen=True):
    """``solved`` of ``of`` runs of tasks with one ``difficulty`` (None: not given)."""

    difficulty: int | None
    solved: int
    of: int


class Spent(msgspec.Struct, frozen=True):
    """Means: tokens, calls and seconds of elapsed time."""

    prompt_tokens: float
    completion_tokens: float
    calls: float
    seconds: float


class Paired(msgspec.Struct, frozen=True):
    """An arm compared with ``once``, by pairs of the same task and repeat: the number that only the arm solved, and the
    number that only ``once`` solved. ``p`` is from the exact two-sided test in ``sign_flip_p``."""

    won: int
    lost: int
    p: float


class VerdictReliability(msgspec.Struct, frozen=True):
    """How reliable the verdict ``passed`` is: the share of runs with this verdict that are solved (``precision``), and
    the share of solved runs that have it (``recall``). None if there are no such runs."""

    passed: int
    precision: float | None
    recall: float | None


class OwnTests(msgspec.Struct, frozen=True):
    """The company's own acceptance tests that ran on reference solutions, and how many of them failed there."""

    ran: int
    failed: int
    share: float | None


class ArmFigures(msgspec.Struct, frozen=True):
    """One arm. ``cases`` is the share of hidden cases that pass, a mean over the runs. ``errors`` counts runs without a
    verdict. What does not apply is None: ``once`` compared with itself, verdicts of a company without tests."""

    name: str
    runs: int
    errors: int
    solved: int
    share: float
    cases: float
    by_difficulty: tuple[Solved, ...]
    per_task: Spent
    per_solved: Spent | None
    paired: Paired | None
    says: VerdictReliability | None
    own_tests: OwnTests | None


class Ceiling(msgspec.Struct, frozen=True):
    """Tasks that at least one of ``answers`` one-shot answers solves: the most that choosing among them can reach."""

    answers: int
    solved: int
    of: int
    by_difficulty: tuple[Solved, ...]


class EvalReport(msgspec.Struct, frozen=True):
    """A whole evaluation. ``solved`` has for each task and arm a string with one digit per repeat, 1 if solved."""

    version: str
    date: str
    model: str
    set: str
    set_digest: str
    tasks: int
    repeat: int
    arms: tuple[ArmFigures, ...]
    ceiling: Ceiling | None
    solved: dict[str, dict[str, str]]


def report(request: EvalRequest, built: Mapping[str, Mapping[Unit, Built]], start: EvalStart) -> EvalReport:
    """The figures of all arms whose batch is built, in their order."""
    outcomes = [(arm, _outcomes(request, arm, built[arm.folder])) for arm in request.arms if arm.folder in built]
    once = next((each for arm, each in outcomes if arm.name == ONCE), ())
    return EvalReport(
        version=chatdev.__version__,
        date=start.date,
        model=start.model,
        set=request.set.name,
        set_digest=request.set.digest,
        tasks=len(request.set.tasks),
        repeat=request.repeat,
        arms=tuple(_figures(request, arm, each, once) for arm, each in outcomes),
        ceiling=_ceiling(request, built[ONCE]) if request.most > 1 and ONCE in built else None,
        solved={
            task.name: {
                arm.name: "".join(str(int(one.solved)) for one in each if one.task == task.name)
                for arm, each in outcomes
            }
            for task in request.set.tasks
        },
    )


def _outcomes(request: EvalRequest, arm: Arm, built: Mapping[Unit, Built]) -> tuple[TaskOutcome, ...]:
    """The outcome of each task in each repeat; of several answers, the chosen one is what the arm delivers."""
    outcomes = []
    for repeat in range(1, request.repeat + 1):
        for task in request.set.tasks:
            numbers = samples(repeat, arm.best) if arm.best else (repeat,)
            answers = [built[task.name, number] for number in numbers]
            chosen = next((one for one in answers if one.judged.examples), answers[0])
            outcomes.append(
                TaskOutcome(
                    task=task.name,
                    repeat=repeat,
                    difficulty=task.difficulty,
                    solved=chosen.judged.solved,
                    held=chosen.judged.held,
                    of=chosen.judged.of,
                    verdict=chosen.result.verdict,
                    error=chosen.result.status == "error",
                    prompt_tokens=sum(one.result.prompt_tokens for one in answers),
                    completion_tokens=sum(one.result.completion_tokens for one in answers),
                    calls=sum(one.result.calls for one in answers),
                    seconds=sum(one.result.seconds for one in answers),
                    own_tests=chosen.judged.own_tests,
                    own_failed=chosen.judged.own_failed,
                )
            )
    return tuple(outcomes)


def _figures(
    request: EvalRequest, arm: Arm, outcomes: Sequence[TaskOutcome], once: Sequence[TaskOutcome]
) -> ArmFigures:
    solved = sum(one.solved for one in outcomes)
    own = sum(one.own_tests for one in outcomes), sum(one.own_failed for one in outcomes)
    return ArmFigures(
        name=arm.name,
        runs=len(outcomes),
        errors=sum(one.error for one in outcomes),
        solved=solved,
        share=_rounded(solved / len(outcomes)),
        cases=_rounded(sum(one.held / one.of for one in outcomes) / len(outcomes)),
        by_difficulty=_by_difficulty(request, [(one.difficulty, one.solved) for one in outcomes]),
        per_task=_spent(outcomes, len(outcomes)),
        per_solved=_spent(outcomes, solved) if solved else None,
        paired=_paired(outcomes, once) if once and arm.name != ONCE else None,
        says=_says(outcomes) if arm.tests else None,
        own_tests=OwnTests(*own, _share(own[1], own[0])) if arm.tests else None,
    )


def _by_difficulty(request: EvalRequest, solved: Sequence[tuple[int | None, bool]]) -> tuple[Solved, ...]:
    groups = {each: [one for difficulty, one in solved if difficulty == each] for each in request.set.difficulties}
    return tuple(Solved(difficulty, sum(each), len(each)) for difficulty, each in groups.items())


def _spent(outcomes: Sequence[TaskOutcome], over: int) -> Spent:
    fields = ("prompt_tokens", "completion_tokens", "calls", "seconds")
    return Spent(*(round(sum(getattr(one, field) for one in outcomes) / over, 2) for field in fields))


def _paired(outcomes: Sequence[TaskOutcome], once: Sequence[TaskOutcome]) -> Paired:
    pairs = [(one.task, one.solved, other.solved) for one, other in zip(outcomes, once, strict=True)]
    by_task: Counter[str] = Counter()
    for task, solved, other in pairs:
        by_task[task] += solved - other
    won, lost = (sum((solved, other) == each for _, solved, other in pairs) for each in ((True, False), (False, True)))
    return Paired(won, lost, round(sign_flip_p(by_task.values()), 6))


def sign_flip_p(differences: Iterable[int]) -> float:
    """The exact two-sided p of the paired sign-flip test: how likely a sum at least this far from 0 is if each of the
    ``differences`` could equally have the other sign. There is one difference per task, so that its repeats count as
    one piece of evidence. If all are -1, 0 or 1, this is McNemar's exact test.
    """
    differences = [each for each in differences if each]
    sums = Counter({0: 1})
    for size, count in Counter(map(abs, differences)).items():
        combinations, earlier_sums, sums = 1, sums, Counter()
        for positive in range(count + 1):
            for total, weight in earlier_sums.items():
                sums[total + size * (2 * positive - count)] += weight * combinations
            combinations = combinations * (count - positive) // (positive + 1)
    observed = abs(sum(differences))
    return sum(weight for total, weight in sums.items() if abs(total) >= observed) / (1 << len(differences))


def _says(outcomes: Iterable[TaskOutcome]) -> VerdictReliability:
    pairs = [(one.verdict == "passed", one.solved) for one in outcomes]
    both = pairs.count((True, True))
    passed, solved = sum(passes for passes, _ in pairs), sum(solves for _, solves in pairs)
    return VerdictReliability(passed, _share(both, passed), _share(both, solved))


def _ceiling(request: EvalRequest, built: Mapping[Unit, Built]) -> Ceiling:
    solved = [
        (task.difficulty, any(built[task.name, number].judged.solved for number in samples(repeat, request.most)))
        for repeat in range(1, request.repeat + 1)
        for task in request.set.tasks
    ]
    return Ceiling(request.most, sum(each for _, each in solved), len(solved), _by_difficulty(request, solved))


def _share(part: int, whole: int) -> float | None:
    return _rounded(part / whole) if whole else None


def _rounded(share: float) -> float:
    return round(share, 4)
