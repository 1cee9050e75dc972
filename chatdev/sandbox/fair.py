"""How long a program has worked, however busy the machine is: the clock that time limits go by.

Runs alone, on the standard library, beside and inside the sandbox.

A model server on the same cores makes a program five times slower, which says nothing about the program. So what counts
is its processor time, and the time in which it wanted none: it slept, or waited for its user. On a machine with nothing
else to do, both together are the time that passes. What does not count is the time in which it wanted a processor or a
disk and did not get it, and the time in which whoever looks was kept from looking.
"""

PATIENCE = 8.0
"""Times as long as it may work that a program may take by the wall, so that nothing hangs for ever."""
SETUP = 8.0
"""Seconds that are reckoned for the making of a sandbox, beside the program's own."""

USUAL_WORK, USUAL_START = 0.02, 0.05
"""Seconds in which the supervisor comes up, by its processor time and by the wall: on a machine of our own with nothing
else to do 0.014 and 0.02 (Python 3.11, AMD EPYC)."""
_MOST_WORK, _MOST_START = 4.0, 6.0
_SLACK, _LATE = 0.002, 1.25


def slowness(work: float, start: float | None = None) -> float:
    """How much slower this machine is now than a usual one, at least 1, by the processor time that a small program of
    ours took to come up. ``start`` is what it took by the wall: given where a program's own use cannot be seen."""
    by_work = min(work / USUAL_WORK, _MOST_WORK)
    by_start = 1.0 if start is None else min(start / USUAL_START, _MOST_START)
    return max(1.0, by_work, by_start)


def longest(seconds: float, patience: float) -> float:
    """The seconds after which a program is given up, by the wall, from the order to run it on."""
    return patience * (SETUP + seconds)


class Clock:
    """The time that a program has had since ``began``, in seconds; ``elapsed`` is what passed by the wall."""

    def __init__(self, began: float) -> None:
        self._began = self._last = began
        self._used = 0.0
        self._worked = self._idle = 0.0
        self._slept = False
        self.elapsed = 0.0

    @property
    def had(self) -> float:
        """The time that counts. It never runs faster than the wall's, however many processors are used at once."""
        return min(self.elapsed, self._worked + self._idle)

    @property
    def waited(self) -> float:
        """The seconds in which it had to wait for the machine."""
        return self.elapsed - self.had

    def look(self, now: float, asked: float, used: float, wants: bool) -> None:
        """Take what is seen ``now``, after a pause that was meant to last ``asked`` seconds: the processor time that
        all its processes have ``used``, and whether it ``wants`` more at this moment."""
        passed, self._last = now - self._last, now
        worked, self._used = max(0.0, used - self._used), used
        self.elapsed = now - self._began
        self._worked += worked
        if not wants:
            idle = max(0.0, passed - worked)
            asleep = self._slept and not worked  # at both looks, and nothing was used between them
            self._idle += idle if asleep else min(idle, _LATE * asked + _SLACK)
        self._slept = not wants
