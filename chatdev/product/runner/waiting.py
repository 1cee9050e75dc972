"""Waits for a program that a runner has started, for as long as the sandbox would."""

import subprocess
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Waitable(Protocol):
        """A process as ``subprocess`` waits for it."""

        @property
        def pid(self) -> int:
            """Its id."""
            ...

        def wait(self, timeout: float) -> int:
            """Its exit status, or minus its signal. Raises TimeoutExpired."""
            ...

    from chatdev.sandbox import fair, proc
else:  # the sandbox's folder is on the path; its parent cannot be read at every level
    import fair
    import proc

_FIRST, _LONGEST = 0.005, 0.05


def wait(program: "Waitable", seconds: float) -> int | None:
    """The program's exit status, or minus its signal; None if it still runs after ``seconds`` of its own time.

    See ``fair.Clock``. If the program's usage cannot be seen (level landlock), elapsed time counts, except while this
    process could not look.
    """
    clock, pause = fair.Clock(time.monotonic()), _FIRST
    while clock.had < seconds:
        try:
            return program.wait(pause)
        except subprocess.TimeoutExpired:
            members = [program.pid, *proc.descendants(program.pid)]
            clock.observe(time.monotonic(), pause, *proc.usage(members))
        pause = min(1.5 * pause, _LONGEST)
    return None
