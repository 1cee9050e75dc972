"""What a machine had no time for: that says nothing about the product, and ends no run."""

import re

from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.sandbox.port import Outcome

BUSY = "processor time"
"""What a product lacks where it was given up before it had had its time."""
_WHY = "the machine was too busy to run it, several times"
_TIMED_OUT = re.compile(r"time(?:d|s)?[ -]?out", re.IGNORECASE)  # TimeoutExpired, "timed out after 5000ms"


def tests(place: str, digest: str, outcome: Outcome) -> TestsRan:
    """Tests of which nothing is known."""
    return TestsRan(place, digest, (), trouble=_WHY, lacks=BUSY, seconds=round(outcome.seconds, 3))


def start(place: str, digest: str, outcome: Outcome) -> ProductStarted:
    """A start of which nothing is known."""
    return ProductStarted(place, digest, "missing", why=_WHY, lacks=BUSY, seconds=round(outcome.seconds, 3))


def late(outcome: Outcome, why: str) -> bool:
    """Whether a failure, of which ``why`` tells, may be the machine's: a time limit of the tests' own ended it, and the
    program waited for a processor most of the time. One that waits for its user does not."""
    return outcome.waited > outcome.seconds / 2 and _TIMED_OUT.search(why) is not None
