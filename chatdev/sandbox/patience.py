"""Runs a program again if the machine was too busy to run it: load says nothing about a program."""

from collections.abc import Callable

from msgspec import structs

from chatdev.sandbox.port import Job, Outcome, Sandbox

TRIES = 3
"""The most runs of one program, each with twice the time of the one before."""


def _had_its_time(outcome: Outcome) -> bool:
    return True


async def run(sandbox: Sandbox, job: Job, is_conclusive: Callable[[Outcome], bool] = _had_its_time) -> Outcome:
    """Run the job, each time on a fresh copy of its files, until its outcome ``is_conclusive`` about the program.

    A starved run never is. If the last try is not either, its outcome is ``starved``, whatever else it was.
    Raises SandboxError.
    """
    tries = 1
    while True:
        outcome = await sandbox.run(job)
        if outcome.stopped != "starved" and is_conclusive(outcome):
            return outcome
        if tries == TRIES:
            return structs.replace(outcome, stopped="starved", exit_status=None, signal=None)
        tries += 1
        limits = job.limits
        longer = structs.replace(limits, seconds=2 * limits.seconds, patience=2 * limits.patience)
        job = structs.replace(job, limits=longer)
