"""The cost limit of a run in US dollars, checked before each call against the most that the call could cost."""

import contextlib
from collections.abc import Iterator

from chatdev.models.errors import CostLimit, Overloaded, Unreachable


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
