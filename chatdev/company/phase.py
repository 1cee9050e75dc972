"""A phase of a company: its two roles, what is done with the answer, and how many candidates solve it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from chatdev.company.kinds import KINDS
from chatdev.company.parameters import Parameters
from chatdev.company.steps import Until
from chatdev.models.spending import Budget

MOST_CANDIDATES = 16
"""The most candidates for one phase: each takes a slot of the server."""

COUNSELOR = "Counselor"
CHIEF = "Chief Executive Officer"
"""The two roles that reflect on a conversation without a conclusion."""


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two roles and a question: ``user`` asks, ``assistant`` answers and may speak up to ``turns`` times.

    ``kind`` is one of ``kinds.KINDS``; ``sets`` is the name of the conclusion in later templates; ``default`` is used
    if there is no conclusion; ``writes`` is the path of a ``document``; ``tries`` limits the rounds that a ``complete``
    phase spends on one file; ``budget`` limits all executions of the phase together; ``context`` says whether
    ``context.md`` precedes the question (not for a text that includes the program itself). ``at`` overrides these keys
    for an effort.

    For a ``code`` phase: ``candidates`` is how many solve it (None: as many as the company says), ``at_once`` how many
    of them work at the same time after the first (None: all), ``further_temperature`` that of all but the first (None:
    a little more for each). If the only tests are examples of the task, ``agree`` candidates must also give the same
    outputs for other inputs and meet an example of the tester. ``plain``: if the task has examples, the last candidate
    gets the task alone and word for word, as a person would send it. ``attempts`` is the number of requests until an
    answer can be used. ``repairs`` is how often the first candidate, if its program ends with an error on an example of
    the task, gets a request with that error for a corrected program.

    For a ``document``: unless ``only_if`` holds, the model is not called, and the manual is built from passing tests.

    For a ``choice``: ``words`` lists, for each option, the words of a task that select it. If they decide, no model is
    called; if they do not, only if ``ask``. For a ``rows`` phase: with at least this number of ``examples`` in the
    task itself, the assistant's examples are not tests but help to choose among the candidates (0: they are always
    tests).
    """

    assistant: str
    user: str
    kind: str = "talk"
    sets: str = ""
    options: tuple[str, ...] = ()
    default: str = ""
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
    plain: bool = False
    attempts: Annotated[int, msgspec.Meta(ge=1)] = 3
    only_if: Until = ""
    repairs: Annotated[int, msgspec.Meta(ge=0)] = 0
    words: Mapping[str, tuple[str, ...]] = {}
    ask: bool = True
    examples: int = 0
    at: Mapping[Literal["low", "normal", "high"], dict[str, Any]] = {}
    name: str = ""
    question: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f'kind: expected one of {", ".join(KINDS)}, found "{self.kind}"')

    def named_in(self, task: str) -> list[str]:
        """The options with one of their ``words`` in the task, as a whole word in any letter case."""
        text = " ".join(task.casefold().split())

        def stands(word: str) -> bool:
            return re.search(rf"(?<![\w+#]){re.escape(word.casefold())}s?(?![\w+#])", text) is not None

        return [option for option, words in self.words.items() if any(map(stands, words))]

    @property
    def speakers(self) -> tuple[str, ...]:
        """The roles that may speak in this phase."""
        return (self.assistant, self.user, *((COUNSELOR, CHIEF) if self.reflect else ()))
