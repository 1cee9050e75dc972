"""The clock for time limits: how long a program has worked, however busy the machine is.

Runs standalone beside and inside the sandbox, with the standard library only.

A model server on the same cores makes a program five times slower. That says nothing about the program, so what counts
is its CPU time and the time in which it needed none: it slept, or waited for its user. On an idle machine, both
together are the wall time. Not counted is time in which it wanted a CPU or a disk and did not get it, or in which
the observer itself did not get to run.
"""

PATIENCE = 8.0
"""How many times its time limit a program may take in wall time, so that nothing hangs forever."""
SETUP = 8.0
"""Seconds allowed for setting up a sandbox, in addition to the program's own."""

USUAL_WORK, USUAL_START = 0.02, 0.05
"""Seconds in which the supervisor starts, in CPU time and wall time: on an idle machine of ours 0.014 and 0.02
(Python 3.11, AMD EPYC)."""
_MOST_WORK, _MOST_START = 4.0, 6.0
_SLACK, _LATE = 0.002, 1.25


def slowness(work: float, start: float | None = None) -> float:
    """How many times slower this machine is now than a usual one, at least 1, by the CPU time in which a small program
    of ours started. ``start`` is its wall time: given if the CPU time of a program cannot be observed."""
    by_work = min(work / USUAL_WORK, _MOST_WORK)
    by_start = 1.0 if start is None else min(start / USUAL_START, _MOST_START)
    return max(1.0, by_work, by_start)


def longest(seconds: float, patience: float) -> float:
    """The wall time in seconds after which a program is stopped, counted from the order to run it."""
    return patience * (SETUP + seconds)


class Clock:
    """The time that a program has had since ``began``, in seconds; ``elapsed`` is the wall time."""

    def __init__(self, began: float) -> None:
        self._began = self._last = began
        self._used = 0.0
        self._worked = self._idle = 0.0
        self._slept = False
        self.elapsed = 0.0

    @property
    def had(self) -> float:
        """The time that counts. It never exceeds the wall time, however many processors are used in parallel."""
        return min(self.elapsed, self._worked + self._idle)

    @property
    def waited(self) -> float:
        """The seconds in which it had to wait for the machine."""
        return self.elapsed - self.had

    def observe(self, now: float, pause: float, used: float, wants: bool) -> None:
        """Record an observation made ``now``, after a pause that was meant to last ``pause`` seconds: the CPU time that
        all its processes have ``used``, and whether it ``wants`` more at this moment."""
        passed, self._last = now - self._last, now
        worked, self._used = max(0.0, used - self._used), used
        self.elapsed = now - self._began
        self._worked += worked
        if not wants:
            idle = max(0.0, passed - worked)
            asleep = self._slept and not worked  # in both observations, and used nothing in between
            self._idle += idle if asleep else min(idle, _LATE * pause + _SLACK)
        self._slept = not wants
