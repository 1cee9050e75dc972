"""Files, conclusions and choices out of free text. Pure functions that scan by lines, in linear time, and never raise.

Our own prompts ask for files in one form, a line with only the path and then a fenced block; models answer in many
others, and all that a model may mean is read here. What was doubtful says so, and what was not taken says why.
"""

import re
from collections.abc import Sequence
from typing import Literal

import msgspec

from chatdev.agents import completeness, fences, filenames
from chatdev.agents.completeness import unfinished
from chatdev.agents.conclusions import choice, conclusion, finished, looping
from chatdev.agents.fences import Block
from chatdev.agents.requirements import Requirements, requirements

__all__ = [
    "File", "Reading", "Requirements", "Skipped", "choice", "conclusion", "files", "finished", "looping", "read",
    "requirement_lines", "requirements", "unfinished",
]  # fmt: skip

Doubt = Literal[
    "cut", "elided", "twice", "name guessed", "name line dropped", "not closed", "fences inside", "does not parse"
]

_LABEL_LINE = re.compile(r"\s*[*#`]{0,4}(?:LANGUAGE|DOCSTRING|CODE|FILENAME)\b", re.I)
_TEMPLATE = frozenset(("DOCSTRING", "CODE", "LANGUAGE", "FILENAME", "'''", '"""', "# CODE"))
_COMMAND = re.compile(r"\s*(?:[$>]\s|(?:pip3?|npm|yarn|apt|apt-get|brew|cd|echo|git|make|docker) |python3? \S+\.py\b)")
_MARK = re.compile(r"<\s*INFO\s*>", re.I)
_ABOVE = 4


class File(msgspec.Struct, frozen=True):
    """One file of an answer. ``path`` is as the model wrote it, unsafe; ``text`` is to the byte, with a last newline.

    ``cut``: the answer ended inside of it. ``elided``: the line that stands for code left out, else empty.
    """

    path: str
    text: str
    cut: bool = False
    doubts: tuple[Doubt, ...] = ()
    elided: str = ""

    @property
    def whole(self) -> bool:
        """Whether it may replace a whole file."""
        return not self.cut and not self.elided


class Skipped(msgspec.Struct, frozen=True):
    """A block that is no file, and why. ``line`` counts from 1, in the answer freed of thoughts."""

    line: int
    first: str
    why: str
    path: str = ""


class Reading(msgspec.Struct, frozen=True):
    """All that was read out of an answer."""

    files: tuple[File, ...] = ()
    skipped: tuple[Skipped, ...] = ()


class _Title(msgspec.Struct, frozen=True):
    path: str = ""
    source: Literal["", "header", "body", "sentence", "guess"] = ""
    removed: bool = False


def files(text: str, *, finish_reason: str = "stop", expected: Sequence[str] = ()) -> tuple[File, ...]:
    """The files of an answer; see ``read``."""
    return read(text, finish_reason=finish_reason, expected=expected).files


def read(text: str, *, finish_reason: str = "stop", expected: Sequence[str] = ()) -> Reading:
    """The files of an answer, in order of first appearance, and the blocks that are none.

    ``finish_reason`` is the endpoint's: with ``length``, a file that holds fences and ends where the answer ends is
    cut, since its last fence may be one of its own. ``expected`` are the paths that the question asked for; if it is
    a single one, a lone block without a name is taken for it. Of a file that is given twice the last whole version
    counts, unless it is said to be only an alternative.
    """
    lines = fences.clean(text)
    blocks = fences.blocks(lines)
    titles = [_title(block, lines, expected) for block in blocks]
    headed = {title.path for title in titles if title.source in ("header", "body")}
    found: dict[str, list[File]] = {}
    skipped: list[Skipped] = []
    nameless: list[Block] = []
    for block, title in zip(blocks, titles, strict=True):
        why = _no_file(block, title, headed)
        if not why and any(file.whole for file in found.get(title.path, ())) and _is_alternative(block, lines):
            why = "it is an alternative to the version above it"
        if why:
            if not title.path and why == _NO_NAME:
                nameless.append(block)
            first = next((line.strip() for line in block.lines if line.strip()), "")
            skipped.append(Skipped(block.opener + 1, first[:80], why, title.path))
        else:
            broke_off = finish_reason == "length" and block.nested and block.until >= len(lines) - 1
            found.setdefault(title.path, []).append(_file(block, title, broke_off))
    if not found and len(nameless) == 1 and len(expected) == 1 and _fits(nameless[0], expected[0]):
        guess = _Title(expected[0], "guess")
        found[guess.path] = [_file(nameless[0], guess, False)]
        skipped = [skip for skip in skipped if skip.line != nameless[0].opener + 1]
    return Reading(tuple(_chosen(versions) for versions in found.values()), tuple(skipped))


def _title(block: Block, lines: Sequence[str], expected: Sequence[str]) -> _Title:
    """Which file a block is, from the nearest evidence to the farthest."""
    if path := filenames.in_info(block.info):
        return _Title(path, "header")
    above, placeholder = _above(block, lines)
    named = [filenames.named(line) for line in above]
    first = named[0] if named else None
    if first and first.header and first.whole:
        return _Title(first.path, "header", first.removed)
    if (path := _in_body(block)) and not (above and filenames.is_former(above[0])):
        return _Title(path, "body")
    if first and first.header:
        return _Title(first.path, "header", first.removed)
    for line, found in zip(above[1:], named[1:], strict=True):
        if found and found.header and line.lstrip().startswith(("#", "*", "File", "FILE")):
            return _Title(found.path, "header", found.removed)
    for line, found in zip(above[:2], named[:2], strict=True):
        if filenames.supposes(line):
            break
        if found and not found.header and (found.whole or placeholder):
            return _Title(found.path, "sentence")
    if placeholder and len(expected) == 1:
        return _Title(expected[0], "guess")
    return _Title()


def _above(block: Block, lines: Sequence[str]) -> tuple[list[str], bool]:
    """The nearest lines with text above a block, nearest first, and whether a literal FILENAME stands there."""
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


def _is_alternative(block: Block, lines: Sequence[str]) -> bool:
    return any(filenames.is_alternative(line) for line in _above(block, lines)[0][:2])


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


_NO_NAME = "it has no file name"


def _no_file(block: Block, title: _Title, headed: set[str]) -> str:
    """Why a block is not taken as a file; empty if it is."""
    texts = [line.strip() for line in block.lines if line.strip()]
    path = title.path
    if texts and all(text in _TEMPLATE for text in texts):
        return "it is the prompt's own form"
    if len(texts) == 1 and _MARK.match(texts[0]):
        return "it holds a conclusion"
    if filenames.is_shell(block.info) and (not path or filenames.is_source(path)):
        return "it holds shell commands"
    if not path:
        return "it holds shell commands" if texts and all(_COMMAND.match(text) for text in texts) else _NO_NAME
    if title.removed:
        return "the file is said to be removed"
    if title.source == "sentence" and path in headed:
        return "it is a part of a file that stands elsewhere in the answer"
    typed = filenames.is_source(path) or (filenames.is_shell(block.info) and not filenames.is_script(path))
    if texts and typed and all(_COMMAND.match(text) for text in texts):
        return "it holds shell commands"
    if block.lines and [filenames.alone(text) for text in texts] == [path]:
        return "it holds nothing but the name"
    return _no_module(block, title) if path.casefold().endswith((".py", ".pyw")) else ""


def _no_module(block: Block, title: _Title) -> str:
    """Why a block is not the Python file that it is said to be; empty if it may be."""
    text = "\n".join(block.lines)
    if "test" not in title.path.casefold() and completeness.is_only_tests(text):
        return f"it holds only tests, and {title.path} is the program"
    if title.source != "header" and completeness.is_only_imports(text) and not title.path.endswith("__init__.py"):
        return f"it holds only imports of {title.path}"
    if completeness.is_only_methods(text) or (title.source == "sentence" and completeness.lacks_imports(text)):
        return f"it is a part of {title.path}"
    return ""


def _fits(block: Block, path: str) -> bool:
    language = filenames.language(block.info)
    return not filenames.is_source(path) or language not in ("", "text", "txt", "plaintext", "output", "json")


def _file(block: Block, title: _Title, broke_off: bool) -> File:
    lines = list(block.lines)
    doubts: list[Doubt] = []
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is not None and filenames.as_path(lines[first].strip(" \t\r*`:")) == title.path:
        lines = lines[first + 1 :]
        doubts.append("name line dropped")
    text = "\n".join([*lines, ""]) if lines else ""
    cut = broke_off or block.end == "cut"
    left_out = completeness.elided(text)
    if cut:
        doubts.append("cut")
    if left_out:
        doubts.append("elided")
    if title.source in ("sentence", "guess"):
        doubts.append("name guessed")
    if block.end == "open":
        doubts.append("not closed")
    if block.nested:
        doubts.append("fences inside")
    return File(title.path, text, cut, tuple(doubts), left_out)


def _chosen(versions: Sequence[File]) -> File:
    """The last whole version, with all that is doubtful about it."""
    best = next((file for file in reversed(versions) if file.whole), versions[-1])
    doubts = best.doubts
    if any(file.text != best.text for file in versions):
        doubts = (*doubts, "twice")
    if best.whole and best.path.endswith(".py") and completeness.parsed(best.text) is None:
        doubts = (*doubts, "does not parse")
    return msgspec.structs.replace(best, doubts=doubts)


def requirement_lines(text: str) -> tuple[str, ...]:
    """The requirements alone; ``requirements`` also tells what was dropped."""
    return requirements(text).lines
