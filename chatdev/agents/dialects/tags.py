"""Files between tags: ``<file path="…">``, the parameters of a tool call, and tags that are the path itself."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from chatdev.agents.dialects.stated import (
    CHANGE_KEYS,
    CONTENT_KEYS,
    NEW_KEYS,
    OLD_KEYS,
    PATH_KEYS,
    Stated,
    change_lines,
    content_lines,
)  # fmt: skip
from chatdev.agents.fence_lines import toggled
from chatdev.agents.path_forms import any_path, as_path
from chatdev.lazy_pattern import LazyPattern

_FILE_TAGS = frozenset(
    "file create_file createfile write_file write_to_file writefile new_file edit_file save_file update_file"
    " file_content source_file code codeblock code_block artifact antartifact boltaction lov-write dyad-write"
    " dyad-search-replace document module create write source_code change action".split()
)
_PATH_ATTRIBUTES = PATH_KEYS | {"name", "title", "file-name", "file-path", "target"}
_KEYS = PATH_KEYS | CONTENT_KEYS | OLD_KEYS | NEW_KEYS | CHANGE_KEYS | {"name"}
_NAMES = "|".join(sorted(_KEYS))
_FIELD = (
    r"<(?:\w{1,20}:)?parameter\s+name\s?=\s?[\"']?(?P<named>[\w-]{1,40})[\"']?[^<>\n]{0,80}>"
    r"|<parameter=(?P<set>[\w-]{1,40})>"
    r"|<arg_key>\s{0,4}(?P<key>[\w-]{1,40})\s{0,4}</arg_key>\s{0,4}<arg_value>"
    rf"|<(?P<child>{_NAMES})>"
)
_OPENING = LazyPattern(
    rf"^[ \t]{{0,20}}(?:<[A-Za-z][\w:-]{{0,40}}>[ \t]?){{0,3}}(?:{_FIELD}"
    r"|<(?P<tag>[A-Za-z][\w:-]{0,40})(?P<attributes>(?:\s{1,9}[\w:.-]{1,40}\s?=\s?(?:\"[^\"\n]{0,300}\"|'[^'\n]{0,300}'))+)\s?>"
    r"|<(?P<path>[^\s<>/=\"'][^\s<>=\"']{0,199})>[ \t\r]*$)",
    re.M | re.I,
)
_NEXT_FIELD = LazyPattern(rf"\s{{0,40}}(?:{_FIELD})", re.I)
_ATTRIBUTE = re.compile(r"([\w:.-]{1,40})\s?=\s?(?:\"([^\"\n]*)\"|'([^'\n]*)')")
_CLOSING = re.compile(r"</([^\s<>]{1,210})>")
_HINT = re.compile(r"^[ \t]{0,20}<[^\s<>]", re.M)
_MOST_FIELDS = 12


class _Field(NamedTuple):
    key: str
    text: str
    end: int
    closed: bool


class _Scan:
    """One pass over an answer's text; the closing tags are found once."""

    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.text = "\n".join(lines)
        self.starts = [0]
        for line in lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.closings: dict[str, list[int]] = {}
        for found in _CLOSING.finditer(self.text):
            self.closings.setdefault(found[1].rpartition(":")[2].casefold(), []).append(found.start())

    def run(self) -> Iterator[Stated]:
        at, line, inside = 0, 0, ""
        while opening := _OPENING.search(self.text, at):
            number = self._line(opening.start())
            for passed in self.lines[line:number]:
                inside = toggled(inside, passed)
            line = max(line, number)
            found = None if inside else self._read(opening)
            if found is None:
                at = self.starts[number + 1]
                continue
            stated, at = found
            yield stated
            line = stated.until
            at = max(at, self.starts[min(line, len(self.lines))])

    def _line(self, offset: int) -> int:
        return bisect_left(self.starts, offset + 1) - 1

    def _read(self, opening: re.Match[str]) -> tuple[Stated, int] | None:
        if opening["tag"]:
            path = _path_of(opening["tag"], opening["attributes"])
            return self._content(opening, path, opening["tag"]) if path else None
        if opening["path"]:
            path = as_path(opening["path"]) or ""
            is_closed = self._close(opening["path"], opening.end()) is not None
            return self._content(opening, path, opening["path"]) if path and is_closed else None
        return self._fields(opening)

    def _content(self, opening: re.Match[str], path: str, tag: str) -> tuple[Stated, int] | None:
        """The file between a tag with its path and the closing tag."""
        close = self._close(tag, opening.end())
        if close is None and _OPENING.search(self.text, opening.end()):
            return None
        end = len(self.text) if close is None else close
        text = self.text[opening.end() : end]
        if any(f"<{key}>" in text[:200].casefold() for key in ("content", "contents", "code", "diff")):
            return None  # its children are read instead
        return self._stated(path, content_lines(text), opening.start(), end, closed=close is not None), end

    def _fields(self, opening: re.Match[str]) -> tuple[Stated, int] | None:
        """The file or the change that some parameters in a row state."""
        fields: dict[str, _Field] = {}
        match: re.Match[str] | None = opening
        while match and len(fields) < _MOST_FIELDS:
            field = self._field(match)
            if field is None or field.key in fields:
                break
            fields[field.key] = field
            match = _NEXT_FIELD.match(self.text, field.end) if field.closed else None
        if not fields:
            return None
        last = list(fields.values())[-1]
        path = _path_in(fields)
        lines, info = _lines_of(fields)
        if not path or lines is None:
            return None
        return self._stated(path, lines, opening.start(), last.end, closed=last.closed, info=info), last.end

    def _field(self, match: re.Match[str]) -> _Field | None:
        key = (match["named"] or match["set"] or match["key"] or match["child"]).casefold()
        tag = "arg_value" if match["key"] else match["child"] or "parameter"
        close = self._close(tag, match.end())
        if close is None:
            if key not in CONTENT_KEYS or _OPENING.search(self.text, match.end()):
                return None
            return _Field(key, self.text[match.end() :], len(self.text), closed=False)
        end = self.text.index(">", close) + 1
        return _Field(key, self.text[match.end() : close], end, closed=True)

    def _close(self, tag: str, after: int) -> int | None:
        """Where the tag is closed: the first closing tag with another tag or the end of a line behind it."""
        places = self.closings.get(tag.rpartition(":")[2].casefold(), ())
        for place in places[bisect_left(places, after) :]:
            behind = self.text[self.text.index(">", place) + 1 :][:1]
            if behind in ("", "\n", "\r", "<", " "):
                return place
        return None

    def _stated(
        self, path: str, lines: tuple[str, ...], start: int, end: int, *, closed: bool, info: str = ""
    ) -> Stated:
        until = min(self._line(end) + 1, len(self.lines)) if end < len(self.text) else len(self.lines)
        return Stated(path, lines, self._line(start), until, "closed" if closed else "cut", info)


def _path_in(fields: Mapping[str, _Field]) -> str:
    for key, field in fields.items():
        if key in PATH_KEYS and (path := any_path(field.text.strip())):
            return path
        if key == "name" and (path := as_path(field.text.strip())):
            return path
    return ""


def _path_of(tag: str, attributes: str) -> str:
    """The path that a tag's attributes state; empty if it is not a tag for a file."""
    if tag.casefold() not in _FILE_TAGS:
        return ""
    for key, double, single in _ATTRIBUTE.findall(attributes):
        if key.casefold() in _PATH_ATTRIBUTES and (path := any_path((double or single).strip())):
            return path
    return ""


def _lines_of(fields: Mapping[str, _Field]) -> tuple[tuple[str, ...] | None, str]:
    """The lines that parameters state, and whether they are a change; None if they state none."""
    old = next((field.text for key, field in fields.items() if key in OLD_KEYS), None)
    new = next((field.text for key, field in fields.items() if key in NEW_KEYS), None)
    if old is not None and new is not None:
        return change_lines(old.strip("\n"), new.strip("\n")), "diff"
    for key, field in fields.items():
        if key in CHANGE_KEYS:
            return content_lines(field.text), "diff"
    content = next((field.text for key, field in fields.items() if key in CONTENT_KEYS), None)
    return (None if content is None else content_lines(content)), ""


def read(lines: Sequence[str]) -> list[Stated]:
    """The files between tags in an answer's lines outside of fenced blocks."""
    if not any(map(_HINT.match, lines)):
        return []
    return list(_Scan(lines).run())
