"""The steps of a chain, and in which order they come."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from chatdev.company.graph import Network

Until = Literal["", "finished", "complete", "passing", "starts", "healthy", "sound tests"]
"""When a loop ends early: somebody says ``<INFO> Finished``; no file is unfinished; all acceptance tests pass; the
product starts; they pass and it starts; no test fails by a fault of its own."""


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of the chain; exactly one of its first four fields is set.

    ``phase`` names a phase; ``run`` runs the acceptance tests or starts the product; ``loop`` repeats ``steps`` up to
    ``cycles`` times or ``until`` something holds; ``together`` runs its steps side by side. A step that is ``beside``
    begins with the one before it, as what was known then, and keeps the name that it would have after it. A phase that
    writes the program may be solved by a ``network`` of agents. A step with an ``effort`` is left out at any lower one.
    """

    phase: str = ""
    run: Literal["", "tests", "start"] = ""
    loop: str = ""
    together: tuple["Step", ...] = ()
    steps: tuple["Step", ...] = ()
    cycles: int = 1
    until: Until = ""
    beside: bool = False
    effort: Literal["", "low", "normal", "high"] = ""
    network: Network | None = None

    @property
    def name(self) -> str:
        """What the step is called in places and errors."""
        return self.phase or self.loop or self.run or "together"


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step of a chain, outer before inner."""
    for step in steps:
        yield step
        yield from walk(step.together)
        yield from walk(step.steps)


def groups(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """The steps in order, those that begin at the same time in one group."""
    group: list[Step] = []
    for step in steps:
        if group and not step.beside:
            yield tuple(group)
            group = []
        group.append(step)
    if group:
        yield tuple(group)
