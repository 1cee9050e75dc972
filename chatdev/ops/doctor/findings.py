"""The findings of doctor: one for each check, and all of them together."""

import textwrap
from collections.abc import Iterator
from typing import Literal

import msgspec

from chatdev.models.profile import Profile

Verdict = Literal["good", "warning", "bad", "not known"]


class Finding(msgspec.Struct, frozen=True):
    """One check: what was ``seen``, in a sentence or two, and what to ``do`` about it."""

    check: str
    verdict: Verdict
    seen: str
    do: str = ""


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """All findings about one endpoint. ``profile`` is what runs will use, ``kept`` the file that holds it."""

    endpoint: str
    model: str = ""
    engine: str = ""
    version: str = ""
    findings: tuple[Finding, ...] = ()
    profile: Profile | None = None
    kept: str = ""

    @property
    def exit_status(self) -> int:
        """0 if no check failed, 1 if one did, 2 if nothing answered."""
        bad = [finding.check for finding in self.findings if finding.verdict == "bad"]
        return 2 if bad == ["listens"] else int(bool(bad))

    @property
    def summary(self) -> str:
        """The last line: the overall result."""
        counts = dict.fromkeys(("bad", "warning"), 0)
        for finding in self.findings:
            if finding.verdict in counts:
                counts[finding.verdict] += 1
        if self.exit_status == 2:
            return "No server answered."
        if counts["bad"]:
            return f"{_count(counts['bad'], 'check')} failed, {_count(counts['warning'], 'warning')}."
        return (
            f"Good for a run, with {_count(counts['warning'], 'warning')}." if counts["warning"] else "Good for a run."
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def lines(finding: Finding, width: int = 100) -> Iterator[str]:
    """A finding as lines of a table: check, verdict, what was seen; below it the next step."""
    head = f"{finding.check:<18} {finding.verdict:<9} "
    indent = " " * len(head)
    wrap = textwrap.TextWrapper(width, initial_indent=head, subsequent_indent=indent, break_on_hyphens=False)
    yield from wrap.wrap(finding.seen)
    if finding.do:
        wrap.initial_indent, wrap.subsequent_indent = indent, indent + "  "
        yield from wrap.wrap(f"→ {finding.do}")
