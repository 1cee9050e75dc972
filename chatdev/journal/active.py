"""How long processes have worked on a run, from its log: without the time between attempts, and without sleep."""

from chatdev.journal import events
from chatdev.journal.store import Record


class Active:
    """Takes records in order; ``seconds`` is the working time up to the last one."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._last: float | None = None

    def add(self, record: Record) -> float:
        """The seconds of work up to and including this record. A new attempt's first record adds none."""
        resumed = isinstance(record.event, events.AttemptStarted) and record.event.number > 1
        if self._last is not None and not resumed:
            slept = record.event.seconds if isinstance(record.event, events.ClockJumped) else 0.0
            self.seconds += max(0.0, record.at - self._last - slept)
        self._last = record.at
        return self.seconds
