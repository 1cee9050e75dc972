"""What a run may pay: a limit in US dollars that is kept before each call, by what the call could cost at most."""

import contextlib
from collections.abc import Iterator

from chatdev.models.errors import CostLimit, Overloaded, Unreachable


class Bill:
    """What one call has cost, as far as it is known: at first all that it could."""

    def __init__(self, cost: float) -> None:
        self.cost = cost


class Purse:
    """``limit`` is None where nobody set one. ``spent`` is what was paid so far, in earlier attempts too."""

    def __init__(self, limit: float | None = None) -> None:
        self.limit = limit
        self.spent = 0.0
        self._held = 0.0

    @property
    def committed(self) -> float:
        """US dollars that are spent, or kept back for calls under way."""
        return self.spent + self._held

    def take_up(self, run: str, paid: float) -> None:
        """A run goes on that has paid so much before; this purse is its own."""
        self.spent = paid

    @contextlib.contextmanager
    def hold(self, most: float | None, model: str) -> Iterator[Bill]:
        """Keep back what a call could cost at ``most`` (None: its price is not known) while it lasts; the bill says in
        the end what it did cost. A call that broke off may have been charged whole. Raises CostLimit."""
        if self.limit is None:
            yield Bill(0.0)
            return
        if most is None:
            raise CostLimit(
                f"The price of {model} is not known here, so that a limit of ${self.limit:g} cannot be kept.",
                do="Choose another model with OPENAI_MODEL, or leave --max-cost out.",
            )
        if self.spent + self._held + most > self.limit:
            error = CostLimit(
                f"The next call to {model} could cost ${most:.4f}, and ${self.spent + self._held:.4f} of the "
                f"${self.limit:g} that this run may cost are spent.",
                do="Resume the run when your own server answers again, or with a higher --max-cost.",
            )
            error.limit, error.spent = self.limit, self.spent + self._held
            raise error
        bill = Bill(most)
        self._held += most
        try:
            yield bill
        except (Overloaded, Unreachable):
            bill.cost = 0.0
            raise
        finally:
            self._held -= most
            self.spent += bill.cost


class SharedPurse(Purse):
    """One purse for many runs at once. What it forbids is no run's own end: each may go on with a fuller one, so that
    none records the limit as reached."""

    def __init__(self, limit: float | None = None) -> None:
        super().__init__(limit)
        self._known: set[str] = set()

    def take_up(self, run: str, paid: float) -> None:
        """A run goes on; what it paid before this process counts once."""
        if run not in self._known:
            self._known.add(run)
            self.spent += paid

    @contextlib.contextmanager
    def hold(self, most: float | None, model: str) -> Iterator[Bill]:
        """See Purse."""
        try:
            with super().hold(most, model) as bill:
                yield bill
        except CostLimit as error:
            if error.limit is not None:
                error.limit, error.do = None, "Give the same command again with a higher --max-cost."
            raise
