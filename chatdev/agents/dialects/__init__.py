"""The forms in which models state files, beside a path and a fenced block: one table of readers.

``read`` are for the lines outside of fenced blocks, ``inside`` for a block without a name.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial

from chatdev.agents import fences, filenames
from chatdev.agents.dialects import calls, heredocs, tags, unfenced
from chatdev.agents.dialects.stated import Stated
from chatdev.agents.fences import Block

Reader = Callable[[Sequence[str]], list[Stated]]

OUTSIDE: Sequence[Reader] = (tags.read, calls.read, heredocs.read)
"""Readers for the lines outside of fenced blocks."""

INSIDE: Sequence[Reader] = (calls.inside, heredocs.inside, tags.read)
"""Readers for the lines of a block without a name."""


def blocks(lines: Sequence[str], expected: Sequence[str] = ()) -> list[Block]:
    """The blocks of a cleaned answer in order: fenced ones, and files in other forms with their ``path``."""
    rest, stated = list(lines), list[Stated]()
    readers: list[Reader] = [*OUTSIDE, partial(unfenced.read, expected=expected)]
    for read in readers:
        found = [each for each in read(rest) if not _is_shown(rest, each.first)]
        for each in found:
            rest[each.first : each.until] = [""] * (each.until - each.first)
        stated += found
    fenced = fences.blocks(rest)
    if stated:
        ends = sorted(each.until for each in stated)
        fenced = [block._replace(above=_above(block, ends)) for block in fenced]
    return sorted([*fenced, *map(_block, stated)], key=lambda block: block.opener)


def inside(block: Block, above: Sequence[str]) -> list[Block]:
    """The files in a block without a name; empty if it holds none, or if a line above shows a use or supposes one."""
    if any(filenames.shows_use(line) or filenames.supposes(line) for line in above[:1]):
        return []
    for read in INSIDE:
        if stated := read(block.lines):
            return [_block(each)._replace(opener=block.opener + each.first, until=block.until) for each in stated]
    return []


def _is_shown(lines: Sequence[str], first: int) -> bool:
    """Whether the nearest line above shows a use or supposes something; only the last few lines are looked at."""
    above = next((line for line in reversed(lines[max(0, first - _NEAR) : first]) if line.strip()), "")
    return filenames.shows_use(above) or filenames.supposes(above)


_NEAR = 4


def _above(block: Block, ends: Sequence[int]) -> int:
    before = bisect_right(ends, block.opener)
    return max(block.above, ends[before - 1]) if before else block.above


def _block(stated: Stated) -> Block:
    return Block(stated.first, stated.first, stated.info, stated.lines, stated.until, stated.end, path=stated.path)
