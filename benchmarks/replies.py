"""Measures how well files are read from real models' answers: ``python benchmarks/replies.py PATH [--verbose]``.

PATH is a file of JSON lines (``.gz`` or not) with ``id``, ``model``, ``response`` and, where the answer should hold
code, ``reference``: a list of blocks with ``name``, ``is_file`` and ``body_sha1`` (SHA-1 of a block's text without its
last newline). The reference was made by rules, too, and can be wrong: ``rulings.jsonl`` holds a reader's ruling on our
reading of an answer, ``right`` or ``wrong`` and why, by the answer's id and a hash of the answer and the reading. A
reading that changed since needs a new ruling. The exit status is 1 if reading an answer raised an exception.
"""

import argparse
import gzip
import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from chatdev.agents import replies

RULINGS = Path(__file__).with_name("rulings.jsonl")


class Ruling(msgspec.Struct, frozen=True):
    """Whether one reading is right; ``hash`` identifies the answer's text and what we read from it."""

    id: str
    hash: str
    ruling: Literal["right", "wrong"]
    why: str = ""


class Row(msgspec.Struct, frozen=True):
    """One answer: its model, how long it took to read (milliseconds of CPU), and where we differ from the reference."""

    id: str
    model: str
    milliseconds: float
    hash: str
    compared: bool
    differences: tuple[str, ...]


def answers(path: Path) -> Iterator[dict[str, Any]]:
    """The answers of a file of JSON lines."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def sha1(text: str) -> str:
    """The digest by which the reference identifies a text."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def measure(answer: dict[str, Any]) -> Row:
    """Read one answer, and compare."""
    started = time.process_time()
    found = replies.files(answer["response"])
    replies.conclusion(answer["response"])
    replies.looping(answer["response"])
    milliseconds = (time.process_time() - started) * 1000
    ours = {file.path: sha1(file.text.removesuffix("\n")) for file in found}
    reference = answer.get("reference")
    theirs = {block["name"]: block["body_sha1"] for block in reference or () if block["is_file"]}
    differences = [f"missing {path}" for path in theirs if path not in ours]
    differences += [f"extra {path}" for path in ours if path not in theirs]
    differences += [f"different text in {path}" for path in ours if path in theirs and ours[path] != theirs[path]]
    return Row(
        id=answer["id"],
        model=str(answer.get("model")),
        milliseconds=milliseconds,
        hash=sha1(answer["response"] + json.dumps([[file.path, file.text] for file in found]))[:16],
        compared=reference is not None,
        differences=() if reference is None else tuple(differences),
    )


def summary(rows: list[Row], rulings: dict[str, Ruling]) -> str:
    """A line per model, and what the rulings say."""
    models: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        models[row.model].append(row)
        models["all"].append(row)
    lines = [f"{'model':26} answers  with reference  as reference  slowest ms"]
    for model in sorted(models, key=lambda model: (model == "all", model)):
        compared = [row for row in models[model] if row.compared]
        same = sum(not row.differences for row in compared)
        slowest = max(row.milliseconds for row in models[model])
        share = f"{same / len(compared):.1%}" if compared else ""
        lines.append(f"{model:26} {len(models[model]):7}  {len(compared):14}  {same:5} {share:>6}  {slowest:10.1f}")
    compared = [row for row in rows if row.compared]
    ruled = {row.id: rulings[row.id].ruling for row in rows if is_ruled(row, rulings)}
    right = sum(ruling == "right" for ruling in ruled.values())
    doubtful = [row for row in rows if row.differences and row.id not in ruled]
    lines.append(f"ruled on by hand: {len(ruled)}, right: {right}; differing and not ruled on: {len(doubtful)}")
    good = sum((ruled[row.id] == "right") if row.id in ruled else not row.differences for row in compared)
    lines.append(f"every file right, by ruling or else by the reference: {good} of {len(compared)}")
    return "\n".join(lines)


def is_ruled(row: Row, rulings: dict[str, Ruling]) -> bool:
    """Whether a ruling on this answer still holds for today's reading."""
    return row.id in rulings and rulings[row.id].hash == row.hash


def main() -> int:
    """Print the summary; with ``--verbose`` every disagreement before it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("path", type=Path)
    parser.add_argument("--verbose", action="store_true", help="print every disagreement with the reference")
    arguments = parser.parse_args()
    kept = RULINGS.read_bytes().splitlines() if RULINGS.exists() else []
    rulings = {ruling.id: ruling for ruling in (msgspec.json.decode(line, type=Ruling) for line in kept)}
    rows = []
    for answer in answers(arguments.path):
        try:
            row = measure(answer)
        except Exception as error:
            print(f"{answer['id']}: raised {error!r}")
            return 1
        rows.append(row)
        if arguments.verbose and (row.differences or row.id in rulings):
            ruled = rulings[row.id].ruling if is_ruled(row, rulings) else "not ruled on"
            print(f"{row.id} {row.hash} {row.model} ({ruled}): {'; '.join(row.differences) or 'like the reference'}")
    print(summary(rows, rulings) if rows else "no answers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
