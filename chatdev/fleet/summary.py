"""What came of a batch: ``summary.md`` and its pictures, out of the results alone."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from chatdev.fleet import picture
from chatdev.fleet.display import clock
from chatdev.fleet.ledger import Result, Status

STATUSES: tuple[Status, ...] = ("passed", "failed", "error")
_SHOWN = 50


def write(folder: Path, results: Iterable[Result], asked: int) -> Path:
    """Write the summary and its pictures into a batch's folder, of which ``asked`` projects were asked for."""
    results = sorted(results, key=lambda each: each.folder)
    pictures = {}
    if results:
        by_category = [(name, [counts[status] for status in STATUSES]) for name, counts in _categories(results)]
        pictures = {
            "verdicts.svg": picture.stacked("Projects by category", STATUSES, by_category),
            "tokens.svg": picture.histogram("Projects by tokens", [each.tokens for each in results], "tokens"),
            "seconds.svg": picture.histogram("Projects by wall time", [each.seconds for each in results], "seconds"),
        }
    for name, drawn in pictures.items():
        (folder / name).write_text(drawn, encoding="utf-8")
    path = folder / "summary.md"
    path.write_text("\n".join(_lines(results, asked, pictures)), encoding="utf-8", errors="replace")
    return path


def _categories(results: Sequence[Result]) -> list[tuple[str, Counter[str]]]:
    """How many ended in which way, by category, the largest first."""
    counts: dict[str, Counter[str]] = {}
    for each in results:
        counts.setdefault(each.category or "(none)", Counter())[each.status] += 1
    return sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))


def headline(results: Sequence[Result], asked: int) -> str:
    """The counts in a sentence."""
    counts = Counter(each.status for each in results)
    return f"{len(results)} of {asked} projects have ended: {', '.join(f'{counts[each]} {each}' for each in STATUSES)}."


def _lines(results: Sequence[Result], asked: int, pictures: Iterable[str]) -> Iterable[str]:
    yield from ("# Batch", "", headline(results, asked), "")
    if not results:
        return
    tokens, seconds = [each.tokens for each in results], [each.seconds for each in results]
    yield from ("| | in all | median | most |", "| --- | ---: | ---: | ---: |")
    yield f"| tokens | {sum(tokens):,} | {statistics.median(tokens):,.0f} | {max(tokens):,} |"
    yield f"| wall time | {clock(sum(seconds))} | {clock(statistics.median(seconds))} | {clock(max(seconds))} |"
    calls = [each.calls for each in results]
    yield f"| calls | {sum(calls):,} | {statistics.median(calls):,.0f} | {max(calls):,} |"
    yield f"| cost ($) | {sum(each.cost for each in results):.2f} | | |"
    yield from ("", *(f"![{name}]({name})" for name in pictures), "")
    yield from ("| category | projects | passed | failed | error |", "| --- | ---: | ---: | ---: | ---: |")
    for name, counts in _categories(results):
        yield f"| {_cell(name)} | {counts.total()} | {' | '.join(str(counts[status]) for status in STATUSES)} |"
    yield from ("", "## What did not pass", "")
    others = [each for each in results if each.status != "passed"]
    if not others:
        yield "Everything passed."
    for each in others[:_SHOWN]:
        yield f"- [{_cell(each.name)}](<{each.folder}/REPORT.md>): {_cell(each.verdict or each.error)}"
    if len(others) > _SHOWN:
        yield f"- and {len(others) - _SHOWN} more in results.csv"
    yield ""


def _cell(text: str) -> str:
    for mark in "|[]<>`":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())[:300]
