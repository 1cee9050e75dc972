"""Whether a program that ended by itself has started: by its exit status and by what it printed."""

import re

_NOUN = r"(?:arguments?|args?|parameters?|options?|operands?|subcommands?|commands?)"
_WANTS = r"(?:missing|required|expected|expects|requires|needs|needed|too few|no|not enough|wrong number of|at least)"
_USAGE = re.compile(
    r"^\W*(?:\w+: )?usage\b|\busage: |--help\b"
    rf"|\b{_WANTS}\b[^.\n]{{0,60}}\b{_NOUN}\b|\b{_NOUN}\b[^.\n]{{0,60}}\b{_WANTS}\b"
    r"|\bplease (?:provide|specify|pass|supply|give|enter)\b"
    r"|\b(?:no|missing) [\w -]{1,30} (?:provided|specified|given)\b",
    re.I | re.M,
)
_TRACEBACK = "Traceback (most recent call last)"


def failure(status: int | None, output: str) -> str:
    """Why a start without arguments or input failed; empty if it has started.

    A status of 0 is a start, and so is a message that says how the program is used. A traceback, another message, or a
    status other than 0 without a word is none. ``status`` is minus the signal that ended it; None: it is running.
    """
    if not status:
        return ""
    if status < 0:
        return f"killed by signal {-status}"
    text = output.strip()
    if _TRACEBACK not in text and _USAGE.search(text):
        return ""
    return f"{text}\nexit status {status}" if text else f"exit status {status}, without any output"


def is_refusal(why: str) -> bool:
    """Whether a ``failure`` was a message of the program itself, such as one about its missing input."""
    return _TRACEBACK not in why and re.search(r"\nexit status \d+\Z", why) is not None
