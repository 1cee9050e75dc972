"""The summary of a batch: ``summary.md`` and its charts, made from the results alone."""

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from chatdev import ownfile
from chatdev.fleet import picture
from chatdev.fleet.display import clock
from chatdev.fleet.ledger import Result, Status

STATUSES: tuple[Status, ...] = ("passed", "failed", "error")
_SHOWN = 50


def write(folder: Path, results: Iterable[Result], total: int) -> Path:
    """Write the summary and its charts into a batch's folder; ``total`` is the number of projects in the batch."""
    results = sorted(results, key=lambda each: each.folder)
    pictures = {}
    if results:
        by_category = [(name, [counts[status] for status in STATUSES]) for name, counts in _categories(results)]
        pictures = {
            "verdicts.svg": picture.stacked("Projects by category", STATUSES, by_category),
            "tokens.svg": picture.histogram("Projects by tokens", [each.tokens for each in results], "tokens"),
            "seconds.svg": picture.histogram("Projects by elapsed time", [each.seconds for each in results], "seconds"),
        }
    for name, drawn in pictures.items():
        ownfile.write(folder / name, drawn.encode())
    path = folder / "summary.md"
    ownfile.write(path, "\n".join(_lines(results, total, pictures)).encode("utf-8", "replace"))
    return path


def _categories(results: Sequence[Result]) -> list[tuple[str, Counter[str]]]:
    """The number of projects with each status, by category, the largest category first."""
    counts: dict[str, Counter[str]] = {}
    for each in results:
        counts.setdefault(each.category or "(none)", Counter())[each.status] += 1
    return sorted(counts.items(), key=lambda item: (-item[1].total(), item[0]))


def headline(results: Sequence[Result], total: int) -> str:
    """The counts in one sentence."""
    counts = Counter(each.status for each in results)
    return f"{len(results)} of {total} projects finished: {', '.join(f'{each} {counts[each]}' for each in STATUSES)}."


def _lines(results: Sequence[Result], total: int, pictures: Iterable[str]) -> Iterable[str]:
    yield from ("# Batch summary", "", headline(results, total), "")
    if not results:
        return
    tokens, seconds = [each.tokens for each in results], [each.seconds for each in results]
    yield from ("| | total | median | maximum |", "| --- | ---: | ---: | ---: |")
    yield f"| tokens | {sum(tokens):,} | {statistics.median(tokens):,.0f} | {max(tokens):,} |"
    yield f"| elapsed time | {clock(sum(seconds))} | {clock(statistics.median(seconds))} | {clock(max(seconds))} |"
    calls = [each.calls for each in results]
    yield f"| calls | {sum(calls):,} | {statistics.median(calls):,.0f} | {max(calls):,} |"
    yield f"| cost ($) | {sum(each.cost for each in results):.2f} | | |"
    yield from ("", *(f"![{name}]({name})" for name in pictures), "")
    yield from ("| category | projects | passed | failed | error |", "| --- | ---: | ---: | ---: | ---: |")
    for name, counts in _categories(results):
        yield f"| {_cell(name)} | {counts.total()} | {' | '.join(str(counts[status]) for status in STATUSES)} |"
    yield from ("", "## Projects that did not pass", "")
    others = [each for each in results if each.status != "passed"]
    if not others:
        yield "Every finished project passed."
    for each in others[:_SHOWN]:
        yield f"- [{_cell(each.name)}](<{each.folder}/REPORT.md>): {_cell(each.verdict or each.error)}"
    if len(others) > _SHOWN:
        yield f"- and {len(others) - _SHOWN} more in results.csv"
    yield ""


def _cell(text: str) -> str:
    for mark in "|[]<>`":
        text = text.replace(mark, f"\\{mark}")
    return " ".join(text.split())[:300]
