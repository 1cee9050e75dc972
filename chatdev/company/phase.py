"""A phase of a company: who asks whom, what becomes of the answer, and how many solve it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from chatdev.company.budget import Budget
from chatdev.company.parameters import Parameters

Kind = Literal["talk", "choice", "code", "complete", "rows", "tests", "amend", "document", "snippet", "sketch"]
"""What a phase does with its conclusion: keep the text, settle one of its options, write files to the product, finish
one unfinished file, write acceptance tests as rows or as programs, correct one that is wrong, write one named
document, take the first block of code in one answer for the program, find out by such a block whether the program
takes no input."""

MOST_CANDIDATES = 16
"""Programmers who solve one phase at once: each is a slot of the server's."""

COUNSELOR = "Counselor"
CHIEF = "Chief Executive Officer"
"""The two roles that reflect on a talk that did not conclude."""


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two roles and a question: ``user`` asks, ``assistant`` answers and may speak up to ``turns`` times.

    ``sets`` is the name under which later templates find the conclusion; ``otherwise`` is taken when nothing
    concludes; ``writes`` is the path of a ``document``; ``tries`` bounds the rounds that a ``complete`` phase spends on
    one file; ``budget`` bounds all takes of the phase together; ``context`` says whether ``context.md`` leads the
    question; a text that names the program itself does without. ``at`` gives other values of these keys for an effort.

    Of a ``code`` phase: ``candidates`` is how many solve it (None: as many as the company says), ``at_once`` how many
    of them work at the same time after the first (None: all), ``further_temperature`` that of all but the first (None:
    a little more for each). Where the only tests are examples of the task, ``agree`` candidates must give the same
    outputs for other inputs, too, and meet an example of the tester's. ``attempts`` is how often it asks until an
    answer can be used.

    Of a ``choice``: ``words`` name, for each option, what a task says that wants it; where that settles it, nobody is
    asked, and where it does not, only if ``ask``. Of a ``rows`` phase: with so many ``examples`` in the task itself,
    those of the assistant are no tests, but help to choose among the candidates (0: they are tests always).
    """

    assistant: str
    user: str
    kind: Kind = "talk"
    sets: str = ""
    options: tuple[str, ...] = ()
    otherwise: str = ""
    writes: str = ""
    turns: int = 1
    reflect: bool = False
    tries: int = 2
    model: Parameters = Parameters()
    budget: Budget = Budget()
    context: bool = True
    candidates: Annotated[int, msgspec.Meta(ge=1, le=MOST_CANDIDATES)] | None = None
    at_once: Annotated[int, msgspec.Meta(ge=1)] | None = None
    agree: Annotated[int, msgspec.Meta(ge=1)] = 1
    further_temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    attempts: Annotated[int, msgspec.Meta(ge=1)] = 3
    words: Mapping[str, tuple[str, ...]] = {}
    ask: bool = True
    examples: int = 0
    at: Mapping[Literal["low", "normal", "high"], dict[str, Any]] = {}
    name: str = ""
    question: str = ""

    def named_in(self, task: str) -> list[str]:
        """The options of which one of the ``words`` stands in a task, as whole words in any letter case."""
        text = " ".join(task.casefold().split())

        def stands(word: str) -> bool:
            return re.search(rf"(?<![\w+#]){re.escape(word.casefold())}s?(?![\w+#])", text) is not None

        return [option for option, known in self.words.items() if any(map(stands, known))]

    @property
    def speakers(self) -> tuple[str, ...]:
        """The roles that may be asked here."""
        return (self.assistant, self.user, *((COUNSELOR, CHIEF) if self.reflect else ()))
