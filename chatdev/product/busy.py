"""Results for programs that a busy machine gave too little time: they say nothing about the product."""

import re

from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.sandbox.port import Outcome

BUSY = "processor time"
"""The ``lacks`` of a product that was stopped before it got its processor time."""
_WHY = "the machine was too busy to run it, several times"
_TIMED_OUT = re.compile(r"time(?:d|s)?[ -]?out", re.IGNORECASE)  # TimeoutExpired, "timed out after 5000ms"


def tests(place: str, digest: str, outcome: Outcome) -> TestsRan:
    """A run of the tests without any result."""
    return TestsRan(place, digest, (), trouble=_WHY, lacks=BUSY, seconds=round(outcome.seconds, 3))


def start(place: str, digest: str, outcome: Outcome) -> ProductStarted:
    """A start without any result."""
    return ProductStarted(place, digest, "missing", why=_WHY, lacks=BUSY, seconds=round(outcome.seconds, 3))


def late(outcome: Outcome, why: str) -> bool:
    """Whether the failure in ``why`` may be due to a busy machine: a time limit of the tests themselves ended it, and
    the program waited for a processor most of the time. Waiting for input does not count."""
    return outcome.waited > outcome.seconds / 2 and _TIMED_OUT.search(why) is not None
