"""Files that shell commands write: ``cat > main.py <<'EOF'`` and its relatives."""

import re
from collections.abc import Sequence

from chatdev.agents import filenames
from chatdev.agents.dialects.stated import Stated
from chatdev.agents.fence_lines import toggled
from chatdev.agents.path_forms import any_path

_WORD = r"[\"']?(?P<path>[^\s\"'<>|;&]{1,200})[\"']?"
_MARK = r"<<(?P<dash>-?)\s?(?P<quote>[\"'\\]?)(?P<mark>\w{1,40})[\"']?"
_BEFORE = r"[ \t]{0,8}(?:\$ )?(?:sudo )?"
_NOWHERE = r"(?:\s?>\s?/dev/null)?"
_STARTS = (
    re.compile(rf"{_BEFORE}cat\s{{1,4}}>\s?{_WORD}\s{{1,4}}{_MARK}\s*$"),
    re.compile(rf"{_BEFORE}cat\s{{1,4}}{_MARK}\s{{0,4}}>\s?{_WORD}\s*$"),
    re.compile(rf"{_BEFORE}tee\s{{1,4}}{_WORD}{_NOWHERE}\s{{1,4}}{_MARK}{_NOWHERE}\s*$"),
)
_MAX_LINE = 500
_SETTING_UP = re.compile(
    r"\s*(?:#.*|(?:sudo )?(?:mkdir|cd|touch|chmod|set|git init|pip3? install|python3? -m venv|npm (?:init|i|install))\b"
    r".*|)$"
)
_UNESCAPED = re.compile(r"\\([$`\\])")


def _is_source(path: str) -> bool:
    return filenames.is_source(path) or filenames.is_script(path)


def read(lines: Sequence[str]) -> list[Stated]:
    """The files that commands outside of fenced blocks write."""
    return _read(lines, fenced=False) if any("<<" in line for line in lines) else []


def inside(lines: Sequence[str]) -> list[Stated]:
    """The files that the commands of a block write. Data that a block also uses is an example's, and no file."""
    if not any("<<" in line for line in lines):
        return []
    found = _read(lines, fenced=True)
    written = {number for each in found for number in range(each.first, each.until)}
    rest = [line for number, line in enumerate(lines) if number not in written]
    only_sets_up = all(map(_SETTING_UP.match, rest))
    return [each for each in found if only_sets_up or _is_source(each.path)]


def _read(lines: Sequence[str], *, fenced: bool) -> list[Stated]:
    last: dict[str, int] = {line.strip(): number for number, line in enumerate(lines)}
    found: list[Stated] = []
    inside_fence, number = "", 0
    while number < len(lines):
        start = _start(lines[number]) if fenced or not inside_fence else None
        path = any_path(start["path"]) if start else None
        if start is None or path is None or last.get(start["mark"], -1) <= number:
            inside_fence = toggled(inside_fence, lines[number])
            number += 1
            continue
        until = next(at for at in range(number + 1, len(lines)) if lines[at].strip() == start["mark"])
        body = lines[number + 1 : until]
        if not (lines[number].lstrip().startswith("$ ") and any(line.startswith("> ") for line in body)):
            found.append(Stated(path, tuple(_as_written(body, start)), number, until + 1))
        number = until + 1
    return found


def _start(line: str) -> re.Match[str] | None:
    if "<<" not in line or len(line) > _MAX_LINE:
        return None
    return next((found for start in _STARTS if (found := start.match(line))), None)


def _as_written(body: Sequence[str], start: re.Match[str]) -> Sequence[str]:
    """The lines as the shell writes them, apart from variables: models forget to quote the mark."""
    if start["dash"]:
        body = [line.lstrip("\t") for line in body]
    return body if start["quote"] else [_UNESCAPED.sub(r"\1", line) for line in body]
