"""The options of a run, in one place. The command line sets them, a batch's plan and the log hold them."""

from typing import Any, Self

import msgspec


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is done, as typed; a field that was not typed has its default.

    ``role_models`` are other models for roles or phases: ``Programmer=NAME``. ``limits`` bound the run, by the names of
    ``Budget``, and win over the company's own. ``endpoints`` are those to use, in order; ``local_only``: never OpenAI;
    ``max_cost`` is in US dollars; ``second_opinion``: use another endpoint if answers stay unusable. ``candidates`` is
    how many programmers solve a phase in parallel (0: as the company says); ``network`` is a network of agents that
    writes the program instead, as JSON (``company.graph.Network``). ``effort`` is how much the company does (empty:
    chosen by the model); ``settings`` change its phases, each as ``PHASE.KEY=VALUE``. ``sample`` numbers the runs of
    one task from 1 on, each with its own seeds (0: the run is not a sample). ``ignore_unsupported`` leaves out what is
    not supported yet in a company's folder of ChatDev 1.0. ``wait`` is how many minutes the run waits at its start for
    a server that does not answer.

    The structs that hold the options inherit from this one: logs and saved plans have these names, so no name changes,
    and a new field needs a default.
    """

    role_models: tuple[str, ...] = ()
    limits: dict[str, float] = {}
    endpoints: tuple[str, ...] = ()
    local_only: bool = False
    max_cost: float | None = None
    second_opinion: bool = False
    candidates: int = 0
    network: str = ""
    effort: str = ""
    settings: tuple[str, ...] = ()
    sample: int = 0
    ignore_unsupported: bool = False
    wait: float = 0.0

    def as_fields(self) -> dict[str, Any]:
        """The options by name, to construct a struct that holds them."""
        return {name: getattr(self, name) for name in FIELDS}

    def over(self, previous: "RunOptions") -> Self:
        """These options, and those of ``previous`` that were not typed here. Limits are merged by name."""
        inherited = {name: getattr(previous, name) for name in FIELDS if getattr(self, name) == getattr(UNTYPED, name)}
        return msgspec.structs.replace(self, **{**inherited, "limits": previous.limits | self.limits})

    def resumed(self, typed: "RunOptions") -> "RunOptions":
        """The options of a run with these options that is resumed: ``typed`` over these, except what is decided when a
        run starts."""
        kept = {name: getattr(self, name) for name in AT_START}
        return RunOptions(**{**typed.over(self).as_fields(), **kept})


FIELDS = RunOptions.__struct_fields__
UNTYPED = RunOptions()
"""No option was typed."""

AT_START = ("network", "effort", "settings", "sample", "ignore_unsupported")
"""Options that a resume does not change: they decide what the recorded answers are."""

FOR_RESUME = tuple(name for name in FIELDS if name not in AT_START)
"""Options that can be typed again at a resume."""

OF_ENDPOINTS = ("endpoints", "local_only", "max_cost", "second_opinion", "wait")
"""Options that choose the endpoints."""

OF_COMPANY = tuple(name for name in FIELDS if name not in (*OF_ENDPOINTS, "sample"))
"""Options that say how a company works."""
