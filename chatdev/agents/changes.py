"""Changes to a file instead of the file: unified diffs, patches, and search/replace blocks.

A change is never a file's content. It gives the new content if every part of it is found in the present file exactly,
and once; else the whole file must be requested.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from chatdev.agents import filenames
from chatdev.agents.path_forms import any_path

_SEARCH = re.compile(r"(?:<{5,9}(?:\s.{0,80})?|-{5,9} ?SEARCH>?)\s*$")
_DIVIDER = re.compile(r"={5,9}\s*$")
_REPLACE = re.compile(r"(?:>{5,9}(?:\s.{0,80})?|\+{5,9} ?REPLACE>?)\s*$")
_HUNK = re.compile(r"@@+ ?-(\d{1,7})(?:,\d{1,7})? ?\+\d{1,7}(?:,\d{1,7})? ?@@")
_OLD, _NEW = re.compile(r"--- (\S.{0,300})$"), re.compile(r"\+\+\+ (\S.{0,300})$")
_GIT = re.compile(r"(?:diff --git |index [0-9a-f]{4}|(?:new|deleted) file mode|similarity index |rename (?:from|to) )")
_PATCH = re.compile(r"\*\*\* (Update|Add|Delete) File: ?(\S.{0,300}?)\s*$")
_PATCH_MARK = re.compile(r"\*\*\* (?:Begin|End) (?:Patch|of File)|\*\*\* End of File")
_NO_NEWLINE = "\\ No newline"
_LANGUAGES = ("diff", "patch", "udiff")
_TEXTS = (".md", ".mdx", ".rst", ".txt", ".adoc", ".patch", ".diff")


class Hunk(NamedTuple):
    """Lines to find and the lines that replace them. ``line`` is where they begin by the change's own count, from 1;
    0 if it does not say."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    line: int = 0


class Change(NamedTuple):
    """The hunks of one change. ``path`` is empty if it names no file. ``creates``: it gives a whole new file.
    ``broken``: it is not well-formed, and cannot be applied."""

    path: str
    hunks: tuple[Hunk, ...]
    creates: bool = False
    broken: bool = False


def read(lines: Sequence[str], info: str, path: str) -> list[Change]:
    """The changes in a block; empty if it holds none. ``path`` is the file that the block is said to be."""
    if path.casefold().endswith((".patch", ".diff")):
        return []
    first = next((line for line in lines if line.strip() and filenames.alone(line) is None), "")
    if _begins_search(lines, first, path):
        return list(_search_replace(lines))
    language = filenames.language(info)
    if any(_PATCH.match(line) for line in lines) and (first.startswith("*** ") or language in _LANGUAGES):
        return list(_patch(lines))
    if language in _LANGUAGES or _begins_diff(lines, first):
        return list(_unified(lines))
    return []


def _begins_search(lines: Sequence[str], first: str, path: str) -> bool:
    if _SEARCH.match(first) and first.lstrip("<-").strip():
        return True
    if path.casefold().endswith(_TEXTS):
        return False
    marks = (_SEARCH, _DIVIDER, _REPLACE)
    at = 0
    for line in lines:
        at += marks[at].match(line) is not None
        if at == len(marks):
            return True
    return False


def _begins_diff(lines: Sequence[str], first: str) -> bool:
    if first.startswith("diff --git ") or _HUNK.match(first):
        return True
    following = lines[lines.index(first) + 1 :][:1] if _OLD.match(first) else ()
    return bool(following) and _NEW.match(following[0]) is not None


def _search_replace(lines: Sequence[str]) -> Iterator[Change]:
    path, broken = "", False
    before: list[str] = []
    after: list[str] = []
    state = "outside"
    for line in lines:
        if state == "outside":
            if _SEARCH.match(line):
                state, before, after = "before", [], []
            elif line.strip() and not line.lstrip().startswith("```"):
                named = filenames.alone(line) or filenames.in_comment(line)
                path, broken = named or path, broken or named is None
        elif state == "before":
            if _DIVIDER.match(line):
                state = "after"
            else:
                before.append(line)
        elif _REPLACE.match(line):
            state = "outside"
            yield Change(path, (Hunk(tuple(before), tuple(after)),), creates=not any(map(str.strip, before)))
        elif _DIVIDER.match(line) and not after:
            broken = True
        else:
            after.append(line)
    if broken or state != "outside":
        yield Change(path, (), broken=True)


def _patch(lines: Sequence[str]) -> Iterator[Change]:
    """The form of ``apply_patch``: sections by file, with hunks that ``@@`` begins."""
    starts = [number for number, line in enumerate(lines) if _PATCH.match(line)]
    for number, start in enumerate(starts):
        section = lines[start + 1 : starts[number + 1] if number + 1 < len(starts) else len(lines)]
        section = [line for line in section if not _PATCH_MARK.match(line)]
        head = _PATCH.match(lines[start])
        path = head[2] if head else ""
        if head and head[1] == "Add":
            added = all(line.startswith("+") for line in section if line)
            yield Change(path, (Hunk((), tuple(line[1:] for line in section)),), creates=True, broken=not added)
        else:
            broken = (head is not None and head[1] == "Delete") or any(line.startswith("*** ") for line in section)
            yield Change(path, tuple(_hunks(section)), broken=broken)


def _unified(lines: Sequence[str]) -> Iterator[Change]:
    path, section = "", list[str]()
    new = False
    for number, line in enumerate(lines):
        old = _OLD.match(line)
        if old and number + 1 < len(lines) and (target := _NEW.match(lines[number + 1])):
            if any(map(str.strip, section)):
                yield _of_section(path, section, new=new)
            new = old[1].startswith("/dev/null")
            path, section = _target(target[1], old[1]), []
        elif not _GIT.match(line) and not (_NEW.match(line) and not section) and not line.startswith(_NO_NEWLINE):
            section.append(line)
    if any(map(str.strip, section)):
        yield _of_section(path, section, new=new)


def _of_section(path: str, section: Sequence[str], *, new: bool) -> Change:
    lines = [line for line in section if not _HUNK.match(line)]
    while lines and not lines[-1]:
        lines.pop()
    added = bool(lines) and all(line.startswith("+") for line in lines)
    if new or added:
        return Change(path, (Hunk((), tuple(line[1:] for line in lines)),), creates=True, broken=not added)
    return Change(path, tuple(_hunks(section)))


def _target(new: str, old: str) -> str:
    name = (old if new.startswith("/dev/null") else new).partition("\t")[0].strip()
    return any_path(name.removeprefix("a/" if name.startswith("a/") else "b/")) or ""


def _hunks(section: Sequence[str]) -> Iterator[Hunk]:
    """The hunks of a diff. A line without a mark is context, as models write it."""
    before: list[str] = []
    after: list[str] = []
    start = 0
    for line in [*section, "@@"]:
        if line.startswith("@@"):
            while before and after and not before[-1] and not after[-1]:
                before.pop()
                after.pop()
            if before != after:
                yield Hunk(tuple(before), tuple(after), start)
            hunk = _HUNK.match(line)
            before, after, start = [], [], int(hunk[1]) if hunk else 0
        elif line.startswith("+"):
            after.append(line[1:])
        elif line.startswith("-"):
            before.append(line[1:])
        else:
            context = line.removeprefix(" ")
            before.append(context)
            after.append(context)


def apply(changes: Sequence[Change], present: str | None) -> str | None:
    """The file's text after all changes, or None if one of them does not apply exactly. ``present`` is the text now,
    None if there is no such file."""
    if not changes or any(change.broken or not change.hunks for change in changes):
        return None
    text = present
    for change in changes:
        if change.creates:
            if text is not None and text.strip():
                return None
            text = "\n".join([*change.hunks[0].after, ""])
        elif text is None:
            return None
        else:
            lines = _replaced(text.split("\n"), change.hunks)
            if lines is None:
                return None
            text = "\n".join(lines)
    return text if text is None or text.endswith("\n") or not text else text + "\n"


def _replaced(lines: list[str], hunks: Sequence[Hunk]) -> list[str] | None:
    shift = 0
    for hunk in hunks:
        places = _places(lines, hunk.before)
        stated = hunk.line - 1 + shift
        at = places[0] if len(places) == 1 else (stated if hunk.line and stated in places else None)
        if at is None:
            return None
        lines[at : at + len(hunk.before)] = hunk.after
        shift += len(hunk.after) - len(hunk.before)
    return lines


_MOST_PLACES = 1000


def _places(lines: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Where the wanted lines stand. A first line that stands in too many places counts as found nowhere."""
    if not wanted:
        return []
    width = len(wanted)
    starts = [at for at, line in enumerate(lines) if line == wanted[0]]
    if len(starts) * width > _MOST_PLACES * _MOST_PLACES:
        return []
    return [at for at in starts if list(lines[at : at + width]) == list(wanted)]


def by_path(changes: Sequence[tuple[str, Change]]) -> Mapping[str, list[Change]]:
    """The changes of each path, in order."""
    found: dict[str, list[Change]] = {}
    for path, change in changes:
        found.setdefault(path, []).append(change)
    return found
