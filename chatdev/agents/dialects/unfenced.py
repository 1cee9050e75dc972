"""Files whose opening fence, or both fences, are missing: a line with only the path, and code below it."""

import re
from collections.abc import Sequence

from chatdev.agents import filenames, meant, outline
from chatdev.agents.dialects.stated import Stated
from chatdev.agents.fence_lines import FENCE, toggled

_LANGUAGE = re.compile(r"\s*[A-Za-z+#]{1,12}\s*$")


def read(lines: Sequence[str], expected: Sequence[str]) -> list[Stated]:
    """The files of an answer whose opening fences are missing; ``expected`` are the paths that were requested."""
    if not any(map(FENCE.match, lines)):
        return _without_fences(lines, expected)
    found: list[Stated] = []
    inside, header = "", -1
    for number, line in enumerate(lines):
        fence = FENCE.match(line) if "```" in line or "~~~" in line else None
        closes = not inside and fence and not fence[3].strip() and header >= 0
        if closes and (stated := _file(lines, header, number)):
            found.append(stated._replace(until=number + 1))
            header = -1
            continue
        inside = toggled(inside, line)
        if fence:
            header = -1
        elif not inside and line.strip() and _is_header(line):
            header = number
    return found


def _is_header(line: str) -> bool:
    named = filenames.named(line)
    return named is not None and named.header and named.whole and not named.removed


def _without_fences(lines: Sequence[str], expected: Sequence[str]) -> list[Stated]:
    """The files below lines with only a path; without one, the whole answer if it is the one requested file."""
    headers = [number for number, line in enumerate(lines) if line.strip() and _is_header(line)]
    ends = [*headers[1:], len(lines)]
    found = [stated for start, end in zip(headers, ends, strict=False) if (stated := _file(lines, start, end))]
    if found or headers or len(expected) != 1 or not expected[0].endswith(".py"):
        return found
    text = "\n".join(lines)
    is_program = outline.is_code(text) and outline.acts(text)
    return [Stated("", tuple(lines), 0, len(lines), info="python")] if is_program else []


def _file(lines: Sequence[str], header: int, until: int) -> Stated | None:
    """The code between a line with a path and ``until``, if it is code by its language; else None."""
    named = filenames.named(lines[header])
    body = list(lines[header + 1 : until])
    while body and not body[0].strip():
        body.pop(0)
    while body and not body[-1].strip():
        body.pop()
    if body and _LANGUAGE.match(body[0]) and filenames.ending(body[0].strip()):
        body.pop(0)
    if named is None or not body:
        return None
    text, ending = "\n".join(body), named.path.rpartition(".")[2].casefold()
    is_code = outline.is_code(text) if ending in ("py", "pyw") else meant.looks_like(text, ending)
    return Stated(named.path, tuple(body), header, until) if is_code else None
