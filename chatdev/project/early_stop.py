"""When an answer is complete although the model goes on: see ``chatdev.models.early_stop``.

Each check gets an answer's text up to the end of a line. In doubt it is not enough: an answer that could still bring a
file is read to its end.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from chatdev.agents import completeness, replies, snippets
from chatdev.language_table import suffixes, table
from chatdev.models.types import Enough

_FENCE = re.compile(r"\s*(`{3,}|~{3,})\s*$")
_ENDINGS = sorted({*"py ts css h hpp json toml txt md csv yaml yml".split(), *suffixes(table())})
_PATHS = re.compile(rf"[\w./-]*\w\.(?:{'|'.join(map(re.escape, _ENDINGS))})\b")


def settled(options: Sequence[str] = ()) -> Enough:
    """The answer's last line is ``<INFO>`` and a conclusion, one of ``options`` if there are any."""
    accepted = {option.casefold() for option in options}

    def enough(text: str) -> bool:
        if _FENCE.search(text) or "```" in text or "~~~" in text:
            return False
        last = text.rstrip().rpartition("\n")[2].strip()
        conclusion = replies.conclusion(last) if last.upper().startswith("<INFO>") else None
        return conclusion is not None and (not accepted or conclusion.strip(" .").casefold() in accepted)

    return enough


def nothing_to_change(text: str) -> bool:
    """The whole answer is ``<INFO> Finished``."""
    return len(text.strip().splitlines()) == 1 and text.strip().startswith("<INFO>") and replies.finished(text)


def program(text: str) -> bool:
    """The first fenced block is closed, and is a whole Python program. Answers in other languages are read to the end:
    a fence inside a string does not end a file."""
    if not _FENCE.match(text.rstrip().rpartition("\n")[2]):
        return False
    found = snippets.first_block(text) or ""
    return bool(found) and completeness.parsed(found) is not None


def file(wanted: Callable[[], Sequence[str]], others: Iterable[str] = ()) -> Enough:
    """The one wanted file is there, whole, and the answer names no other; ``wanted`` are the files wanted now,
    ``others`` the paths that the product has."""
    other_paths = frozenset(others)

    def enough(text: str) -> bool:
        paths = wanted()
        return len(paths) == 1 and _whole(text, paths[0], other_paths)

    return enough


def _whole(text: str, path: str, other_paths: frozenset[str]) -> bool:
    closing = _FENCE.match(text.rstrip().rpartition("\n")[2])
    if closing is None:
        return False
    found = replies.files(text)
    if len(found) != 1 or found[0].path != path or not found[0].whole:
        return False
    # Examples inside a document raise no doubt if its own fence is longer than theirs.
    framed = len(closing[1]) > 3 and sum(line.startswith(closing[1]) for line in text.splitlines()) == 2
    if set(found[0].doubts) - ({"fences inside"} if framed else set()):
        return False
    before = text[: text.find(closing[1][:3])]
    name = path.rpartition("/")[2]
    if any(mentioned.removeprefix("./") not in (path, name) for mentioned in _PATHS.findall(before)):
        return False
    if any(other != path and other in before for other in other_paths):
        return False
    if path.endswith(".py"):  # a fence inside a string does not end the file
        return completeness.parsed(found[0].text) is not None
    return framed or name == "requirements.txt"
