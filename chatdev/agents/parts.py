"""Several files in one fenced block, each below a comment that is only its path."""

from collections.abc import Sequence
from itertools import pairwise

from chatdev.agents import completeness, filenames
from chatdev.agents.fences import Block

_MARKS = "#/*<!-;=>"
_LEAST_LINES = 3
_MAX_LINE = 200


def split(block: Block, path: str) -> list[Block]:
    """The files of a block, or the block itself if it is one file. ``path`` is the file that the block is said to be.

    In doubt it is one file: each part must be code of its own, below a blank line and a comment with only its path.
    """
    marks = [(number, name) for number, line in enumerate(block.lines) if (name := _name(line))]
    names = [name for _, name in marks]
    if not marks[1:] or len(set(names)) < len(names) or path not in ("", names[0]):
        return [block]
    first = marks[0][0]
    if any(line.strip() and not line.startswith("#!") for line in block.lines[:first]):
        return [block]
    if any(block.lines[number - 1].strip() for number, _ in marks[1:]):
        return [block]
    starts = [0, *(number for number, _ in marks[1:]), len(block.lines)]
    parts = [_trimmed(block.lines[start:end]) for start, end in pairwise(starts)]
    if not all(_is_file(name, part) for name, part in zip(names, parts, strict=True)):
        return [block]
    last = len(parts) - 1
    return [
        block._replace(
            opener=block.opener + starts[number],
            lines=part,
            path=names[number],
            end=block.end if number == last else "closed",
        )
        for number, part in enumerate(parts)
    ]


def _name(line: str) -> str | None:
    """The path of a source file if the line is a comment that ends with it and only names it."""
    if not line or line[0] not in _MARKS or len(line) > _MAX_LINE:
        return None
    path = filenames.in_comment(line)
    alone = path is not None and line.rstrip(_MARKS + " \t\r").endswith(path)
    return path if path and alone and filenames.is_source(path) else None


def _trimmed(lines: Sequence[str]) -> tuple[str, ...]:
    kept = list(lines)
    while kept and not kept[-1].strip():
        kept.pop()
    return tuple(kept)


def _is_file(path: str, lines: Sequence[str]) -> bool:
    if sum(bool(line.strip()) for line in lines) < _LEAST_LINES:
        return False
    text = "\n".join(lines)
    if not path.endswith(".py"):
        return True
    tree = completeness.parsed(text)
    return tree is not None and bool(tree.body) and not completeness.is_only_imports(text)
