"""Runs a program again where the machine had no time for it: load is no fact about a program."""

from collections.abc import Callable

from msgspec import structs

from chatdev.sandbox.port import Job, Outcome, Sandbox

TRIES = 3
"""Runs of one program at most, each with twice the limits of the one before."""


def _had_its_time(outcome: Outcome) -> bool:
    return True


async def run(sandbox: Sandbox, job: Job, tells: Callable[[Outcome], bool] = _had_its_time) -> Outcome:
    """Run the job, each time on a fresh copy of its files, until its outcome ``tells`` something of the program.

    One that was starved never does. Of the last try, what still tells nothing is ``starved``, whatever else it says.
    Raises SandboxError.
    """
    tries = 1
    while True:
        outcome = await sandbox.run(job)
        if outcome.stopped != "starved" and tells(outcome):
            return outcome
        if tries == TRIES:
            return structs.replace(outcome, stopped="starved", exit_status=None, signal=None)
        tries += 1
        limits = job.limits
        longer = structs.replace(limits, seconds=2 * limits.seconds, patience=2 * limits.patience)
        job = structs.replace(job, limits=longer)
