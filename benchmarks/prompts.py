"""Counts the prompt tokens that a server must compute, call by call: those that its prefix cache does not hold.

    .venv/bin/python benchmarks/prompts.py [--svg docs/cache.svg]

The recorded calculator runs against playback with a prefix cache like vLLM's: blocks of 16 tokens (of four characters),
from the first token on, answers included, nothing evicted. ``full``, ``classic`` and ``default`` send their prompts
unchanged. *One growing conversation* is another way to build prompts, computed from the same log: each question is
appended to all questions and answers before it, without the files, since the answers contain them.
"""

import argparse
import asyncio
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import walltime

from chatdev.journal.events import FileWritten, MessageStored, ModelAnswered
from chatdev.journal.store import Record
from chatdev.playback.demo import recording_of
from chatdev.playback.prefix import PrefixCache
from chatdev.playback.protocol import CHARACTERS, PER_MESSAGE
from chatdev.playback.recording import Entry, Recording
from chatdev.playback.server import Playback
from chatdev.views import svg as writer

COMPUTED, HITS = 7_000, 65.0
"""Targets: prompt tokens to compute, and per cent of all that come from the cache."""
BEFORE = (26_700, 21_000, 8_000)
"""ChatDev 1.0, counted the same way: prompt tokens, those to compute, completion tokens."""
_FILES = re.compile(
    r"\n(Acceptance tests,|The program as it stands:).*?(?=\n\n(?:What the|Not acc|You are|The pro))", re.S
)


class Call(NamedTuple):
    """One call, in tokens."""

    place: str
    prompt: int
    cached: int
    completion: int


def played(company: str) -> Recording:
    """The recorded calculator. What ``full`` learns from a failing test, ``classic`` learns from a second review, so
    that both produce the same program."""
    found = recording_of(walltime.TASK)
    if company != "classic":
        return found
    moved = {entry.place.removeprefix("together.1/"): entry for entry in found.entries}
    review = "CodeReview.{}/CodeReview{}.1/{}.1/ask.1"
    mend = moved["Test.1/TestModification.1/Programmer.1/ask.1"]
    said = {
        review.format(2, "Modification", "Programmer"): mend,
        review.format(2, "Comment", "CodeReviewer"): Entry(text="2 ^ 3 ^ 2 must give 512."),
        review.format(3, "Comment", "CodeReviewer"): Entry(text="<INFO> Finished"),
    }
    entries = [msgspec.structs.replace(entry, place=place) for place, entry in (moved | said).items()]
    return msgspec.structs.replace(found, entries=tuple(entries))


async def measured(company: str) -> tuple[tuple[Call, ...], tuple[Record, ...]]:
    """The calls of one run, and its log."""
    with tempfile.TemporaryDirectory() as folder:
        async with Playback(played(company), cache=PrefixCache()) as endpoint:
            records = await walltime.build(endpoint, company, Path(folder))
    found = [record.event for record in records if isinstance(record.event, ModelAnswered)]
    return tuple(Call(e.place, e.prompt_tokens, e.cached_tokens or 0, e.completion_tokens) for e in found), records


def talk(records: Sequence[Record]) -> tuple[Call, ...]:
    """The same calls as one growing conversation."""
    cache, texts, calls = PrefixCache(), dict[str, tuple[str, str]](), list[Call]()
    said: list[tuple[str, str]] = []
    for record in records:
        event = record.event
        if isinstance(event, MessageStored):
            texts[event.id] = (event.role, event.content)
        elif isinstance(event, ModelAnswered):
            sent = [texts[each] for each in event.messages]
            question = _FILES.sub("", "\n" + sent[-1][1]).strip()
            said = [*(said or sent[:1]), ("user", question)]
            cached = cache.add(said, event.text)
            size = sum(len(text) for _, text in said)
            calls.append(
                Call(event.place, -(-size // CHARACTERS) + PER_MESSAGE * len(said), cached, event.completion_tokens)
            )
            said = [*said, ("assistant", event.text)]
    return tuple(calls)


def files(records: Sequence[Record]) -> dict[str, str]:
    """The last version of each file, by its digest, without tests and documents."""
    last = {record.event.path: record.event.sha256 for record in records if isinstance(record.event, FileWritten)}
    documents = ("manual.md", "requirements.txt")
    return {path: version for path, version in last.items() if "test" not in path and path not in documents}


def summed(calls: Sequence[Call]) -> tuple[int, int, float, int]:
    """Prompt tokens, those to compute, per cent from the cache, completion tokens."""
    prompt, cached = sum(call.prompt for call in calls), sum(call.cached for call in calls)
    return prompt, prompt - cached, 100 * cached / prompt, sum(call.completion for call in calls)


def chart(companies: Mapping[str, Sequence[Call]]) -> str:
    """An SVG chart with a bar for each call: tokens from the cache, and computed ones."""
    rows = [(company, call) for company, calls in companies.items() for call in calls]
    left, top, wide, row = 300, 70, 420, 20
    scale = wide / max(call.prompt for _, call in rows)
    high = top + row * (len(rows) + 2 * len(companies)) + 20
    cached_colour, computed_colour = "#2e9e6b", "#d9822b"
    parts = [
        writer.text(20, 26, "Prompt tokens of the recorded calculator, call by call", font_weight=600),
        writer.rect(20, 38, 12, 12, fill=cached_colour),
        writer.text(38, 49, "in the prefix cache"),
        writer.rect(180, 38, 12, 12, fill=computed_colour),
        writer.text(198, 49, "computed"),
    ]
    y = top
    for company, calls in companies.items():
        prompt, computed, share, _ = summed(calls)
        heading = f"{company}: {computed:,} of {prompt:,} computed, {share:.0f} % hits"
        parts.append(writer.text(20, y + 14, heading, font_weight=600))
        y += row + 4
        for call in calls:
            spared, rest = call.cached * scale, (call.prompt - call.cached) * scale
            name = " / ".join(part.split(".")[0] for part in call.place.split("/")[:-2]) or call.place
            parts.append(writer.text(left - 8, y + 12, name, anchor="end"))
            parts.append(writer.rect(left, y, spared, 15, fill=cached_colour))
            parts.append(writer.rect(left + spared, y, rest, 15, fill=computed_colour))
            share = 100 * call.cached / call.prompt
            parts.append(writer.text(left + spared + rest + 6, y + 12, f"{share:.0f} %"))
            y += row
        y += row - 4
    return writer.document(820, high, parts, style=writer.BASE_STYLE, fixed=False)


async def run(svg: str) -> None:
    """Print the tables, and draw the chart."""
    full, log = await measured("full")
    default, _ = await measured("default")
    classic, other = await measured("classic")
    print("| call of `full` | prompt | computed | completion |\n| --- | --- | --- | --- |")
    for call in full:
        print(f"| {call.place} | {call.prompt:,} | {call.prompt - call.cached:,} | {call.completion:,} |")
    print("\n| | prompt | computed | hits | completion |\n| --- | --- | --- | --- | --- |")
    rows = {"`full`": full, "`full` as one growing conversation": talk(log), "`classic`": classic, "`default`": default}
    for name, calls in rows.items():
        prompt, computed, share, completion = summed(calls)
        print(f"| {name} | {prompt:,} | {computed:,} | {share:.1f} % | {completion:,} |")
    prompt, computed, completion = BEFORE
    print(f"| ChatDev 1.0 | {prompt:,} | {computed:,} | 20 % | {completion:,} |")
    _, computed, share, _ = summed(full)
    print(
        f"\ncomputed prompt tokens: {computed:,} (target <= {COMPUTED:,}); hits: {share:.1f} % (target >= {HITS:g} %)"
    )
    print(f"classic and full produce the same program: {files(log) == files(other)}")
    if svg:
        Path(svg).write_text(chart({"full": full, "classic": classic, "default": default}), encoding="utf-8")


def main() -> None:
    """Parse and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--svg", default="", help="the file for the chart")
    asyncio.run(run(parser.parse_args().svg))


if __name__ == "__main__":
    main()
