"""The arms of an evaluation: ways to build a task, all with the same model."""

import re
import shlex
from collections.abc import Callable, Sequence
from functools import cached_property

import msgspec

from chatdev.company import classic_folder, config
from chatdev.errors import UserError
from chatdev.fleet import tasks
from chatdev.fleet.plan import BatchPlan
from chatdev.journal.effects import digest
from chatdev.models.choose import assignments
from chatdev.project.prompts import checked
from chatdev.runs import network_of

ONCE = "once"
DEFAULT = (ONCE, "best-of-5", "default")
STRIDE = 1_000
"""Sample numbers that belong to one repeat; no arm takes that many."""
_BEST_OF = re.compile(r"best-of-([1-9][0-9]?)")

Parse = Callable[[Sequence[str]], BatchPlan]
"""Turns the words of an arm, the company's name first, into the plan of its batch. Raises UserError."""


class Arm(msgspec.Struct, frozen=True, dict=True):
    """One way to build a task. ``best`` is the number of one-shot answers that it takes (with 1, there is no choice).
    It is 0 for a company; ``plan`` describes that."""

    name: str
    best: int = 0
    plan: BatchPlan = BatchPlan(config=ONCE)

    @property
    def folder(self) -> str:
        """The name of its batch's folder, below ``arms/``: all arms with one-shot answers share one batch."""
        if self.best:
            return ONCE
        name = tasks.folder_name(self.name, ())
        return name if name == self.name else f"{name}-{digest(self.name)[:6]}"

    @cached_property
    def company(self) -> config.Company:
        """The company, checked with all options of its arm. Raises CompanyError and UserError."""
        plan = self.plan
        loaded = classic_folder.load(config.find(plan.config), ignore_unsupported=plan.ignore_unsupported)
        company = checked(loaded.networking(network_of(plan)))
        return company.assigning(assignments(plan.role_models))

    @property
    def tests(self) -> bool:
        """Whether the company writes acceptance tests, so that its verdict means something."""
        return not self.best and self.company.tests


def parse(texts: Sequence[str], parse_words: Parse) -> tuple[Arm, ...]:
    """The arms as typed, each a name with options. Raises UserError for an invalid or repeated arm."""
    arms = [_arm(text, parse_words) for text in texts]
    for number, arm in enumerate(arms):
        if any(arm.name == other.name for other in arms[:number]):
            raise UserError(f"--arm {arm.name!r} is given twice.", do="Use --repeat to build each task several times.")
        assert arm.company  # an invalid company is reported before the first model call
    return tuple(arms)


def _arm(text: str, parse_words: Parse) -> Arm:
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UserError(f"--arm {text!r} cannot be parsed: {error}.", do="Close the quotation marks.") from error
    if not words:
        raise UserError("An --arm is empty.", do=f"Name {ONCE}, best-of-N, or a company.")
    best_of = _BEST_OF.fullmatch(words[0])
    if words[0] != ONCE and best_of is None:
        return Arm(shlex.join(words), plan=parse_words(words))
    if words[1:]:
        raise UserError(
            f"--arm {text!r}: one-shot answers take no options, since several arms share them.",
            do=f"Remove {shlex.join(words[1:])}.",
        )
    return Arm(words[0], best=int(best_of[1]) if best_of else 1)


def samples(repeat: int, count: int) -> tuple[int, ...]:
    """The sample numbers of the ``count`` one-shot answers in a repeat. Both start at 1.

    The first is drawn at temperature 0 and is the same in all repeats; each repeat draws the others again.
    """
    return (1, *((repeat - 1) * STRIDE + index for index in range(2, count + 1)))
