"""The files that an answer changes: a change that applies exactly gives the whole file, every other one is refused."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chatdev.agents import changes, filenames, titles
from chatdev.agents.changes import Change
from chatdev.agents.elisions import elided
from chatdev.agents.fences import Block
from chatdev.agents.parsed_reply import Doubt, File, Skipped
from chatdev.agents.titles import Title

PATCHED = "a change was applied to the present file"


class ChangedBlock(NamedTuple):
    """A block that changes files, and what it changes."""

    block: Block
    title: Title
    changes: tuple[Change, ...]


def apply(
    blocks: Sequence[ChangedBlock],
    lines: Sequence[str],
    whole: Mapping[str, File],
    expected: Sequence[str],
    present: Mapping[str, str],
) -> tuple[list[File], list[Skipped]]:
    """The changed files, and the blocks whose changes are not applied, each with the reason.

    ``whole`` are the files of the same answer: a change to one of them is already in it. All changes to a file apply,
    or none does.
    """
    placed: dict[str, list[tuple[Block, Change]]] = {}
    for block, title, found in blocks:
        for change in found:
            path = _path(change, title, _mentioned(block, lines), expected, present)
            placed.setdefault(path, []).append((block, change))
    files: list[File] = []
    refused: list[Skipped] = []
    for path, group in placed.items():
        text = changes.apply([change for _, change in group], present.get(path)) if path and path not in whole else None
        if text is not None:
            files.append(_file(path, text, present.get(path, "")))
            continue
        first = group[0][0]
        refused.append(Skipped(first.opener + 1, _line(first), _why(path, whole, present), path, path not in whole))
    return files, refused


def _line(block: Block) -> str:
    return next((line.strip() for line in block.lines if line.strip()), "")[:80]


def _why(path: str, whole: Mapping[str, File], present: Mapping[str, str]) -> str:
    if not path:
        return "it is a change, and it does not say to which file"
    if path in whole:
        return "it is a part of a file that stands elsewhere in the answer"
    exact = "that does not apply exactly" if path in present else "to a file that does not exist"
    return f"it is a part of {path}: a change {exact}"


def _file(path: str, text: str, before: str) -> File:
    left_out = "" if elided(before) else elided(text, before)
    doubts: tuple[Doubt, ...] = ("changed", "elided") if left_out else ("changed",)
    return File(path, text, doubts=doubts, elided=left_out, put_right=PATCHED if before else "")


def _mentioned(block: Block, lines: Sequence[str]) -> str:
    """The path in the nearest line above the block, whatever that line says of it."""
    above = titles.lines_above(block, lines)[0][:1]
    found = filenames.named(above[0]) if above else None
    return found.path if found else ""


def _path(change: Change, title: Title, mentioned: str, expected: Sequence[str], present: Mapping[str, str]) -> str:
    """The file that a change is for: a present one if its name fits one of them only."""
    path = change.path or title.path or mentioned
    if not path:
        fitting = list(expected) if len(expected) == 1 else list(present) if len(present) == 1 else []
        return fitting[0] if fitting else ""
    if path in present:
        return path
    alike = [other for other in present if other.endswith(f"/{path}") or path.endswith(f"/{other}")]
    return alike[0] if len(alike) == 1 else path
