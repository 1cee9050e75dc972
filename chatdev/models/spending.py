"""Everything about limits on spending: how much may be spent, what was spent, and whether one more call is allowed.

``Budget`` is the limits of a run or a phase, ``Counter`` counts answers against them (``project/spending.py`` feeds it
from the log), and ``CostBudget`` is the limit of ``--max-cost`` in US dollars, checked before each call against the
most that the call could cost. What fits into a context window is another matter: see ``fitting``.
"""

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, NamedTuple, get_args

import msgspec

from chatdev.models.errors import CostLimit, Overloaded, Unreachable

Limit = Literal["calls", "tokens", "minutes", "cost"]
LIMITS: tuple[Limit, ...] = get_args(Limit)

_Count = Annotated[int, msgspec.Meta(ge=1)]
_Amount = Annotated[float, msgspec.Meta(gt=0)]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Limits; None for none. ``calls`` counts answers, ``tokens`` prompts and answers together, ``minutes`` the working
    time (of a phase: the time of its calls), ``cost`` US dollars for answers with a known price.
    """

    calls: _Count | None = None
    tokens: _Count | None = None
    minutes: _Amount | None = None
    cost: _Amount | None = None

    @property
    def stated(self) -> dict[str, float]:
        """The limits that are set, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}

    def but(self, limits: Mapping[str, float]) -> "Budget":
        """This budget with other limits for some names."""
        return msgspec.convert({**self.stated, **limits}, Budget, strict=False)


class Reached(NamedTuple):
    """A limit that was reached: its name and value, what was spent, and its phase (empty: the run's own limit)."""

    name: Limit
    value: float
    spent: float
    phase: str


class Counter:
    """What a run and each of its phases have spent. ``budget`` is the run's, ``phases`` are the phases' by name."""

    def __init__(self, budget: Budget, phases: Mapping[str, Budget]) -> None:
        self._budget, self._phases = budget, phases
        self._spent: dict[str, dict[Limit, float]] = defaultdict(lambda: defaultdict(float))

    def add(self, phase: str, amounts: Mapping[Limit, float]) -> None:
        """Count amounts of a phase (empty: of none), for the run and for that phase; they may be negative."""
        for owner in {"", phase}:
            for name, amount in amounts.items():
                self._spent[owner][name] += amount

    def reached(self, phase: str, minutes: float) -> Reached | None:
        """The limit that forbids one more call in a phase: one of the run's, else one of the phase's own. ``minutes``
        is the run's working time."""
        for owner, budget in (("", self._budget), (phase, self._phases.get(phase, Budget()))):
            for name in LIMITS:
                limit: float | None = getattr(budget, name)
                spent = minutes if name == "minutes" and not owner else self._spent[owner][name]
                if limit is not None and spent >= limit:
                    return Reached(name, limit, round(spent, 6), owner)
        return None


class Reservation:
    """The cost of one call: the most that it could cost, until the real cost is known."""

    def __init__(self, cost: float) -> None:
        self.cost = cost


class CostBudget:
    """``limit`` is None if none is set. ``spent`` is what was paid so far, including earlier attempts."""

    def __init__(self, limit: float | None = None) -> None:
        self.limit = limit
        self.spent = 0.0
        self._held = 0.0

    @property
    def committed(self) -> float:
        """US dollars that are spent, or reserved for calls in flight."""
        return self.spent + self._held

    def continue_run(self, run: str, paid: float) -> None:
        """Continue a run that has ``paid`` before; this budget belongs to that run alone."""
        self.spent = paid

    @contextlib.contextmanager
    def hold(self, most: float | None, model: str) -> Iterator[Reservation]:
        """Reserve the ``most`` that a call could cost (None: its price is not known) while it lasts; the caller sets
        the real cost on the bill. A call that broke off may have been charged in full. Raises CostLimit."""
        if self.limit is None:
            yield Reservation(0.0)
            return
        if most is None:
            raise CostLimit(
                f"The price of {model} is not known, so the limit of ${self.limit:g} cannot be enforced.",
                do="Choose another model with OPENAI_MODEL, or remove --max-cost.",
            )
        if self.spent + self._held + most > self.limit:
            error = CostLimit(
                f"The next call to {model} could cost ${most:.4f}, and ${self.spent + self._held:.4f} of the "
                f"${self.limit:g} limit are already spent or reserved.",
                do="Resume the run when your own server answers again, or with a higher --max-cost.",
            )
            error.limit, error.spent = self.limit, self.spent + self._held
            raise error
        bill = Reservation(most)
        self._held += most
        try:
            yield bill
        except (Overloaded, Unreachable):
            bill.cost = 0.0
            raise
        finally:
            self._held -= most
            self.spent += bill.cost


class SharedCostBudget(CostBudget):
    """One budget for several concurrent runs. Its limit is not a run's own: each run may continue under a higher one,
    so none records the limit as reached."""

    def __init__(self, limit: float | None = None) -> None:
        super().__init__(limit)
        self._runs: set[str] = set()

    def continue_run(self, run: str, paid: float) -> None:
        """Continue a run; what it paid before this process counts once."""
        if run not in self._runs:
            self._runs.add(run)
            self.spent += paid

    @contextlib.contextmanager
    def hold(self, most: float | None, model: str) -> Iterator[Reservation]:
        """See ``CostBudget``."""
        try:
            with super().hold(most, model) as bill:
                yield bill
        except CostLimit as error:
            if error.limit is not None:
                error.limit, error.do = None, "Run the same command again with a higher --max-cost."
            raise
