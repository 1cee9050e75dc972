"""Fenced blocks in a model's answer.

The fences follow CommonMark, except where models do not: a fence that was never closed before the next file, one that
was opened twice, fences inside a README or inside a string. Every line is visited a bounded number of times.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal, NamedTuple

from chatdev.agents import filenames
from chatdev.agents.fence_lines import FENCE

_TAIL_FENCE = re.compile(r"(`{3,})([\w+#.-]*)\s*$")
_GLUED = re.compile(
    r"(python|javascript|java|html|css|cpp|bash|sh)(?=['\"<{/]|import |from |def |class |const |let |public )", re.I
)
_TEMPLATE_WORD = re.compile(r"(?:LANGUAGE|CODE|DOCSTRING|FILENAME)\b")
_TRIPLE_QUOTE = re.compile(r"\"'''\"|'\"\"\"'|(\"\"\"|''')")
_LONGEST = 8
_LOOKAHEAD = 32
_HEADER_LINES = 12
"""The most lines of a header: a block of comments alone that a second opening fence ends is that fence's header."""


class Block(NamedTuple):
    """One fenced block. Line numbers count from 0 in the cleaned answer; ``opener`` is the opening fence's line.

    ``above`` is the first line that can name it. ``end``: ``closed`` by its fence, ``open`` (the next file began
    before it was closed), or ``cut`` (the answer ended in it). ``until`` is the line where it ends. ``nested``: it
    contains fences. ``excerpt``: its line numbers show that it is a part of a file. ``path``:
    stated by another form than a fence.
    """

    opener: int
    above: int
    info: str
    lines: tuple[str, ...]
    until: int
    end: Literal["closed", "open", "cut"]
    nested: bool = False
    excerpt: bool = False
    path: str = ""


class _Fence(NamedTuple):
    line: int
    indent: str
    mark: str
    length: int
    info: str
    bare: bool


def blocks(lines: Sequence[str]) -> list[Block]:
    """The fenced blocks of a cleaned answer, in order."""
    return _Scan(lines).run()


class _Scan:
    """One pass over the fences of an answer; facts about the lines around a fence are computed once per line."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.fences = [fence for number, line in enumerate(lines) if (fence := _fence(number, line))]
        self.before = _nearest_text(lines)
        self.quotes = _running_quotes(lines)
        self.closers = _closers(self.fences)
        self.headers: dict[int, bool] = {}

    def run(self) -> list[Block]:
        found: list[Block] = []
        above = at = 0
        while at < len(self.fences):
            if self._is_stray(at, found):
                above, at = self.fences[at].line + 1, at + 1
                continue
            until, end, nested = self._end_of(at)
            block = self._block(at, above, until, end, nested)
            restarted = end == "open" and self._is_header(at, block)
            if not restarted:
                found.append(block)
                above = until + 1 if end == "closed" else until
            # A fence that closes is consumed; one that opens the next block is not.
            at = bisect_left(self.fences, until + (end == "closed"), key=lambda fence: fence.line)
        return found

    def _is_stray(self, at: int, found: list[Block]) -> bool:
        """Whether this fence only repeats the closing fence on the line before it."""
        fence = self.fences[at]
        if not (fence.bare and found and found[-1].end == "closed" and self.fences[at - 1].line == fence.line - 1):
            return False
        following = self.fences[at + 1] if at + 1 < len(self.fences) else None
        return following is None or not following.bare or self._header_above(following.line, fence.line) is not None

    def _end_of(self, at: int) -> tuple[int, Literal["closed", "open", "cut"], bool]:
        """The line where the block that opens at fence number ``at`` ends, how, and whether it contains fences."""
        opener = self.fences[at]
        length = opener.length if self.closers.get((opener.mark, opener.length), -1) > opener.line else 3
        markdown = self._is_markdown(opener)
        depth, last_bare, nested = 0, None, False
        for number in range(at + 1, len(self.fences)):
            fence = self.fences[number]
            if fence.mark != opener.mark or fence.length < length:
                nested = True
                continue
            in_text = (self.quotes[fence.line] - self.quotes[opener.line]) % 2 == 1
            if not fence.bare:
                inner = markdown or (in_text and self._closes_later(opener, number))
                header = self._header_above(fence.line, opener.line, alone=inner)
                if inner and header is None:
                    depth, nested = depth + 1, True
                    continue
                return self._without_blank(fence.line if header is None else header), "open", nested
            last_bare = fence.line
            if depth:
                depth -= 1
            elif in_text and self._closes_later(opener, number):
                nested = True
            elif markdown and self._opens_inside(number):
                depth, nested = 1, True
            else:
                return fence.line, "closed", nested
        if last_bare is not None and nested and last_bare == self.before[len(self.lines)]:
            # The last inner fence replaced the outer one; it belongs to the text.
            return last_bare + 1, "open", True
        return len(self.lines), "cut", nested

    def _closes_later(self, opener: _Fence, number: int) -> bool:
        """Whether a later bare fence is outside the string that is open here, before the next file begins."""
        for fence in self.fences[number + 1 : number + _LOOKAHEAD]:
            outside = (self.quotes[fence.line] - self.quotes[opener.line]) % 2 == 0
            if self._header_above(fence.line, opener.line, alone=fence.bare or not outside) is not None:
                return False
            if fence.bare and outside:
                return True
        return False

    def _opens_inside(self, number: int) -> bool:
        """Whether a bare fence in a Markdown file opens a block: text follows immediately, and enough fences follow."""
        fence = self.fences[number]
        following = self.lines[fence.line + 1] if fence.line + 1 < len(self.lines) else ""
        if not following.strip() or filenames.alone(following):
            return False
        wanted = 2 if self.lines[fence.line - 1].strip() else 1
        bare = 0
        for later in self.fences[number + 1 : number + _LOOKAHEAD]:
            if self._header_above(later.line, fence.line, alone=later.bare) is not None:
                break
            bare += 1 if later.bare else -1
        return bare >= wanted

    def _is_markdown(self, opener: _Fence) -> bool:
        header = self._header_above(opener.line, -1)
        name = filenames.named(self.lines[header]) if header is not None else None
        path = filenames.in_info(opener.info) or (name.path if name else "")
        if path:
            return path.casefold().endswith((".md", ".markdown", ".mdx"))
        return filenames.language(opener.info) in ("md", "markdown", "mdx")

    def _header_above(self, line: int, after: int, *, alone: bool = False) -> int | None:
        """The nearest line with text above ``line`` and below ``after``, if it names a file.

        With ``alone``, only if the line consists of the path: a line inside a text is hardly ever like that.
        """
        number = self.before[line]
        if number <= after:
            return None
        if number not in self.headers:
            found = filenames.named(self.lines[number])
            self.headers[number] = found is not None and found.header
        is_header = self.headers[number] and (not alone or filenames.alone(self.lines[number]) is not None)
        return number if is_header else None

    def _without_blank(self, line: int) -> int:
        return self.before[line] + 1

    def _block(self, at: int, above: int, until: int, end: Literal["closed", "open", "cut"], nested: bool) -> Block:
        opener = self.fences[at]
        body = list(self.lines[opener.line + 1 : until])
        if opener.indent:
            width = len(opener.indent)
            body = [line[min(width, len(line) - len(line.lstrip(" \t"))) :] for line in body]
        if end == "cut" and body and body[-1].rstrip().endswith("```") and body[-1].strip("` \t\r"):
            body[-1], end = body[-1].rstrip().rstrip("`"), "closed"
        while end == "cut" and body and not body[-1].strip():
            body.pop()
        info = opener.info
        if glued := _GLUED.match(info):
            body.insert(0, info[glued.end() :])
            info = glued[0]
        return Block(opener.line, above, info, tuple(body), until, end, nested)

    def _is_header(self, at: int, block: Block) -> bool:
        """Whether a block that another opening fence ended contains only that fence's title."""
        texts = [line.strip() for line in block.lines[: _HEADER_LINES + 1] if line.strip()]
        if texts and (len(block.lines) > _HEADER_LINES or self._is_markdown(self.fences[at])):
            return False
        return all(text.startswith(("#", "//")) or filenames.alone(text) for text in texts)


def _fence(number: int, line: str) -> _Fence | None:
    if "```" not in line and "~~~" not in line:
        return None
    found = FENCE.match(line)
    if found is None:
        # A path and its opening fence on one line.
        tail = _TAIL_FENCE.search(line[:300])
        if tail is None or filenames.alone(line[: tail.start()]) is None:
            return None
        return _Fence(number, "", "`", min(len(tail[1]), _LONGEST), f"{tail[2]} {line[: tail.start()].strip()}", False)
    prefix, marks, info = found.groups()
    info = info.strip()
    if "`" in info and marks[0] == "`":
        return None
    closes = not re.search(r"\w", info) or (" " in info and not _is_info(info))
    if prefix.strip() and closes:
        return None
    return _Fence(
        number, " " * len(prefix) if prefix.strip() else prefix, marks[0], min(len(marks), _LONGEST), info, closes
    )


def _is_info(info: str) -> bool:
    """Whether the words after a fence can be an info string, not prose after a closing fence."""
    return bool(filenames.in_info(info) or _GLUED.match(info) or _TEMPLATE_WORD.match(info) or info[0] in "{.") or (
        len(info.split()) <= 2 and "=" in info
    )


def _nearest_text(lines: Sequence[str]) -> list[int]:
    """For each line number (and the one past the end), the nearest line above it with text; -1 for none."""
    nearest = [-1]
    for number, line in enumerate(lines):
        nearest.append(number if line.strip() else nearest[-1])
    return nearest


def _running_quotes(lines: Sequence[str]) -> list[int]:
    """The number of triple quotes above each line, without quoted ones."""
    total = [0]
    for line in lines:
        quoted = '"""' in line or "'''" in line
        total.append(total[-1] + (sum(bool(found[1]) for found in _TRIPLE_QUOTE.finditer(line)) if quoted else 0))
    return total


def _closers(fences: Sequence[_Fence]) -> dict[tuple[str, int], int]:
    """For each mark and length of a fence, the last line that can close it."""
    last: dict[tuple[str, int], int] = {}
    for fence in fences:
        if fence.bare:
            for length in range(3, fence.length + 1):
                last[fence.mark, length] = fence.line
    return last
