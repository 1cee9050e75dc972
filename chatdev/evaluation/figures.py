"""From what was built and judged to the figures of a report: names and numbers, and no text of a task."""

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

import chatdev
from chatdev.evaluation.arms import ONCE, Arm, samples
from chatdev.evaluation.place import Begun
from chatdev.evaluation.work import Built, Unit, Wanted


class Outcome(msgspec.Struct, frozen=True):
    """One task built by one arm. ``seconds`` of wall time; tokens and calls of all that was asked for it."""

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
    """``solved`` of ``of`` runs of tasks of one ``difficulty`` (None: the tasks do not say)."""

    difficulty: int | None
    solved: int
    of: int


class Spent(msgspec.Struct, frozen=True):
    """Means: tokens, calls and seconds of wall time."""

    prompt_tokens: float
    completion_tokens: float
    calls: float
    seconds: float


class Paired(msgspec.Struct, frozen=True):
    """An arm against ``once``, pair by pair of the same task and repeat: those that it alone solved, and those that
    ``once`` alone did. ``p`` is of the exact two-sided McNemar test."""

    won: int
    lost: int
    p: float


class Says(msgspec.Struct, frozen=True):
    """What the verdict ``passed`` is worth: of the runs that say so, the share that solves (``precision``); of those
    that solve, the share that says so (``recall``). None where there is none to share."""

    passed: int
    precision: float | None
    recall: float | None


class OwnTests(msgspec.Struct, frozen=True):
    """The company's own acceptance tests that were run on references, and those that these failed."""

    ran: int
    failed: int
    share: float | None


class ArmFigures(msgspec.Struct, frozen=True):
    """One arm. ``cases`` is the share of the hidden cases that hold, a mean over the runs. ``errors`` are runs without
    a verdict. What does not apply is None: a pair with itself, verdicts of a company without tests."""

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
    says: Says | None
    own_tests: OwnTests | None


class Ceiling(msgspec.Struct, frozen=True):
    """Tasks that any of ``answers`` one-shot answers solves: what choosing among them could reach at most."""

    answers: int
    solved: int
    of: int
    by_difficulty: tuple[Solved, ...]


class Report(msgspec.Struct, frozen=True):
    """A whole evaluation. ``solved`` says task by task which arms solved it, a digit for each repeat: 1 if so."""

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


def report(wanted: Wanted, built: Mapping[str, Mapping[Unit, Built]], begun: Begun) -> Report:
    """The figures of all arms whose batch has been built, in their order."""
    outcomes = [(arm, _outcomes(wanted, arm, built[arm.folder])) for arm in wanted.arms if arm.folder in built]
    once = next((each for arm, each in outcomes if arm.name == ONCE), ())
    return Report(
        version=chatdev.__version__,
        date=begun.date,
        model=begun.model,
        set=wanted.set.name,
        set_digest=wanted.set.digest,
        tasks=len(wanted.set.tasks),
        repeat=wanted.repeat,
        arms=tuple(_figures(wanted, arm, each, once) for arm, each in outcomes),
        ceiling=_ceiling(wanted, built[ONCE]) if wanted.most > 1 and ONCE in built else None,
        solved={
            task.name: {
                arm.name: "".join(str(int(one.solved)) for one in each if one.task == task.name)
                for arm, each in outcomes
            }
            for task in wanted.set.tasks
        },
    )


def _outcomes(wanted: Wanted, arm: Arm, built: Mapping[Unit, Built]) -> tuple[Outcome, ...]:
    """What came of each task in each repeat; of several answers, the one that is chosen says what is delivered."""
    found = []
    for repeat in range(1, wanted.repeat + 1):
        for task in wanted.set.tasks:
            numbers = samples(repeat, arm.best) if arm.best else (repeat,)
            taken = [built[task.name, number] for number in numbers]
            chosen = next((one for one in taken if one.judged.examples), taken[0])
            found.append(
                Outcome(
                    task=task.name,
                    repeat=repeat,
                    difficulty=task.difficulty,
                    solved=chosen.judged.solved,
                    held=chosen.judged.held,
                    of=chosen.judged.of,
                    verdict=chosen.result.verdict,
                    error=chosen.result.status == "error",
                    prompt_tokens=sum(one.result.prompt_tokens for one in taken),
                    completion_tokens=sum(one.result.completion_tokens for one in taken),
                    calls=sum(one.result.calls for one in taken),
                    seconds=sum(one.result.seconds for one in taken),
                    own_tests=chosen.judged.own_tests,
                    own_failed=chosen.judged.own_failed,
                )
            )
    return tuple(found)


def _figures(wanted: Wanted, arm: Arm, outcomes: Sequence[Outcome], once: Sequence[Outcome]) -> ArmFigures:
    solved = sum(one.solved for one in outcomes)
    own = sum(one.own_tests for one in outcomes), sum(one.own_failed for one in outcomes)
    return ArmFigures(
        name=arm.name,
        runs=len(outcomes),
        errors=sum(one.error for one in outcomes),
        solved=solved,
        share=_rounded(solved / len(outcomes)),
        cases=_rounded(sum(one.held / one.of for one in outcomes) / len(outcomes)),
        by_difficulty=_by_difficulty(wanted, [(one.difficulty, one.solved) for one in outcomes]),
        per_task=_spent(outcomes, len(outcomes)),
        per_solved=_spent(outcomes, solved) if solved else None,
        paired=_paired(outcomes, once) if once and arm.name != ONCE else None,
        says=_says(outcomes) if arm.tests else None,
        own_tests=OwnTests(*own, _share(own[1], own[0])) if arm.tests else None,
    )


def _by_difficulty(wanted: Wanted, solved: Sequence[tuple[int | None, bool]]) -> tuple[Solved, ...]:
    by = {each: [one for difficulty, one in solved if difficulty == each] for each in wanted.set.difficulties}
    return tuple(Solved(difficulty, sum(each), len(each)) for difficulty, each in by.items())


def _spent(outcomes: Sequence[Outcome], over: int) -> Spent:
    fields = ("prompt_tokens", "completion_tokens", "calls", "seconds")
    return Spent(*(round(sum(getattr(one, field) for one in outcomes) / over, 2) for field in fields))


def _paired(outcomes: Iterable[Outcome], once: Iterable[Outcome]) -> Paired:
    pairs = [(one.solved, other.solved) for one, other in zip(outcomes, once, strict=True)]
    won, lost = pairs.count((True, False)), pairs.count((False, True))
    return Paired(won, lost, round(mcnemar(won, lost), 6))


def mcnemar(won: int, lost: int) -> float:
    """The exact two-sided p of McNemar's test: how likely a split at least so uneven is, if each side is as likely."""
    count = won + lost
    tail = sum(math.comb(count, each) for each in range(min(won, lost) + 1))
    return min(1.0, 2 * tail / (1 << count))


def _says(outcomes: Iterable[Outcome]) -> Says:
    said = [(one.verdict == "passed", one.solved) for one in outcomes]
    both = said.count((True, True))
    passed, solved = sum(passes for passes, _ in said), sum(solves for _, solves in said)
    return Says(passed, _share(both, passed), _share(both, solved))


def _ceiling(wanted: Wanted, built: Mapping[Unit, Built]) -> Ceiling:
    solved = [
        (task.difficulty, any(built[task.name, number].judged.solved for number in samples(repeat, wanted.most)))
        for repeat in range(1, wanted.repeat + 1)
        for task in wanted.set.tasks
    ]
    return Ceiling(wanted.most, sum(each for _, each in solved), len(solved), _by_difficulty(wanted, solved))


def _share(part: int, whole: int) -> float | None:
    return _rounded(part / whole) if whole else None


def _rounded(share: float) -> float:
    return round(share, 4)
