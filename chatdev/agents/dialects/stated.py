"""A file that an answer states with its path, in another form than a path and a fenced block."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from chatdev.agents.fence_lines import FENCE

PATH_KEYS = frozenset(
    "path file file_path filepath file_name filename target_file target_path targetfile absolute_path relative_path"
    " relative_workspace_path uri".split()
)
CONTENT_KEYS = frozenset(
    "content contents code file_text file_content file_contents new_content text source body data code_content".split()
)
OLD_KEYS = frozenset("old_string old_str old_text search find oldtext".split())
NEW_KEYS = frozenset("new_string new_str new_text replace replacement newtext".split())
CHANGE_KEYS = frozenset(("diff", "patch", "edits"))


class Stated(NamedTuple):
    """A file's path and lines, where it stands in the answer (``until`` is the line after it), and how it ends.

    ``info`` is ``diff`` if the lines are a change to the file. ``path`` is empty if the form does not state it.
    """

    path: str
    lines: tuple[str, ...]
    first: int
    until: int
    end: Literal["closed", "cut"] = "closed"
    info: str = ""


def content_lines(text: str) -> tuple[str, ...]:
    """The lines of a content without the line breaks, the CDATA mark or the fence around it."""
    stripped = text.strip()
    if stripped.startswith("<![CDATA[") and stripped.endswith("]]>"):
        text = stripped[9:-3]
    lines = text.removesuffix("\r").split("\n")
    while lines and not lines[0].strip():
        lines.pop(0)
    while lines and not lines[-1].strip():
        lines.pop()
    return tuple(_unfenced(lines))


def _unfenced(lines: Sequence[str]) -> Sequence[str]:
    opening = FENCE.match(lines[0]) if len(lines) > 1 else None
    if opening is None or opening[1].strip() or lines[-1].strip() != opening[2]:
        return lines
    return lines[1:-1]


def change_lines(before: str, after: str) -> tuple[str, ...]:
    """A search/replace block for a call that replaces one text by another."""
    return (
        "<<<<<<< SEARCH",
        *before.removesuffix("\n").split("\n"),
        "=======",
        *(after.removesuffix("\n").split("\n") if after else ()),
        ">>>>>>> REPLACE",
    )
