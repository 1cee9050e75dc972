"""Which file a block is, from the nearest evidence to the farthest: fence, lines above, first lines."""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from chatdev.agents import filenames
from chatdev.agents.fences import Block

_LABEL_LINE = re.compile(r"\s*[*#`]{0,4}(?:LANGUAGE|DOCSTRING|CODE|FILENAME)\b", re.I)
_ABOVE = 4

Source = Literal["", "header", "body", "sentence", "guess"]


class Title(msgspec.Struct, frozen=True):
    """The path of a block and where it was found. ``removed``: the file is to be removed. ``name_in_answer``
    is set if another one was meant."""

    path: str = ""
    source: Source = ""
    removed: bool = False
    name_in_answer: str = ""


def title(block: Block, lines: Sequence[str], expected: Sequence[str], wanted: Sequence[str]) -> Title:
    """Which file a block is, from the nearest evidence to the farthest."""
    if block.path:
        return Title(block.path, "header")
    if path := filenames.in_info(block.info) or filenames.requested(block.info, wanted):
        return Title(path, "header")
    above, placeholder = lines_above(block, lines)
    named = [filenames.named(line) for line in above]
    first = named[0] if named else None
    if not (first and first.header) and above and (path := filenames.requested(above[0], wanted)):
        return Title(path, "header")
    if first and first.header and first.whole:
        return Title(first.path, "header", first.removed)
    if (path := _in_body(block)) and not (above and filenames.is_former(above[0])):
        return Title(path, "body")
    if first and first.header:
        return Title(first.path, "header", first.removed)
    for line, found in zip(above[1:], named[1:], strict=True):
        if found and found.header and line.lstrip().startswith(("#", "*", "File", "FILE")):
            return Title(found.path, "header", found.removed)
    for line, found in zip(above[:2], named[:2], strict=True):
        if filenames.supposes(line):
            break
        if found and not found.header and (found.whole or placeholder):
            return Title(found.path, "sentence")
    if placeholder and len(expected) == 1:
        return Title(expected[0], "guess")
    return Title()


def lines_above(block: Block, lines: Sequence[str]) -> tuple[list[str], bool]:
    """The nearest lines with text above a block, nearest first, and whether one of them is a literal FILENAME."""
    above: list[str] = []
    placeholder = False
    for number in range(block.opener - 1, block.above - 1, -1):
        line = lines[number]
        if line.lstrip().startswith(("```", "~~~")):
            line = filenames.in_info(line) or ""
        if not line.strip():
            continue
        found = filenames.named(line)
        if found is None and _LABEL_LINE.match(line):
            placeholder = placeholder or line.strip(" \t\r*#`:") == filenames.PLACEHOLDER
            continue
        above.append(line)
        if len(above) == _ABOVE or (found is None and line.startswith("#")):
            break
    return above, placeholder


def is_alternative(block: Block, lines: Sequence[str]) -> bool:
    """Whether the block is announced as an alternative to one above it."""
    return any(filenames.is_alternative(line) for line in lines_above(block, lines)[0][:2])


def _in_body(block: Block) -> str:
    """The path that the block's own first lines name: a comment, a docstring, or the bare path."""
    texts = [line for line in block.lines[:8] if line.strip()][:3]
    if texts and len(block.lines) > 1 and (path := filenames.alone(texts[0])):
        return path
    docstring = False
    for text in texts:
        if path := filenames.in_comment(text):
            return path
        if docstring and (path := filenames.alone(text)):
            return path
        if not docstring and text.lstrip()[:1].isalpha():
            return ""
        docstring = docstring or text.strip() in ('"""', "'''", "/*", "/**", "<!--")
    return ""
