"""Bookings that can be taken back."""


class Ledger:
    """A list of bookings."""

    def __init__(self):
        self._bookings = []
        self._undone = []

    def book(self, text, cents):
        """Add a booking."""
        if not text or cents == 0:
            raise ValueError("a booking has a text and an amount")
        self._bookings.append((text, cents))
        self._undone.clear()

    @property
    def balance(self):
        """The sum of all bookings."""
        return sum(cents for _, cents in self._bookings)

    def undo(self):
        """Take back the last booking."""
        return self._move(self._bookings, self._undone)

    def redo(self):
        """Add again what was taken back last."""
        return self._move(self._undone, self._bookings)

    @staticmethod
    def _move(source, target):
        if not source:
            return None
        target.append(source.pop())
        return target[-1][0]

    def lines(self):
        """A line for each booking."""
        return [
            f"{text}: {'-' if cents < 0 else '+'}{abs(cents) // 100}.{abs(cents) % 100:02}"
            for text, cents in self._bookings
        ]
