"""The steps of a chain and their order."""

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from chatdev.company.graph import Network

Until = Literal["", "finished", "complete", "passing", "starts", "healthy", "sound tests"]
"""When a loop ends early: a role says ``<INFO> Finished``; no file is unfinished; all acceptance tests pass; the
product starts; they pass and it starts; no test is itself broken."""


class ChainStep(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One step of the chain; exactly one of its first four fields is set.

    ``phase`` names a phase; ``run`` runs the acceptance tests or starts the product; ``loop`` repeats ``steps`` up to
    ``cycles`` times or ``until`` a condition holds; ``parallel`` runs its steps in parallel. A step ``with_previous``
    starts together with the step before it, with what was known then, and keeps the place that it would have after it.
    A phase that writes the program may be solved by a ``network`` of agents. A step with an ``effort`` is skipped at
    any lower one.
    """

    phase: str = ""
    run: Literal["", "tests", "start"] = ""
    loop: str = ""
    parallel: tuple["ChainStep", ...] = ()
    steps: tuple["ChainStep", ...] = ()
    cycles: int = 1
    until: Until = ""
    with_previous: bool = False
    effort: Literal["", "low", "normal", "high"] = ""
    network: Network | None = None

    @property
    def name(self) -> str:
        """The step's name in places and errors."""
        return self.phase or self.loop or self.run or "parallel"


def walk(steps: tuple[ChainStep, ...]) -> Iterator[ChainStep]:
    """Every step of a chain, outer before inner."""
    for step in steps:
        yield step
        yield from walk(step.parallel)
        yield from walk(step.steps)


def groups(steps: Sequence[ChainStep]) -> Iterator[tuple[ChainStep, ...]]:
    """The steps in order, those that start together in one group."""
    group: list[ChainStep] = []
    for step in steps:
        if group and not step.with_previous:
            yield tuple(group)
            group = []
        group.append(step)
    if group:
        yield tuple(group)
