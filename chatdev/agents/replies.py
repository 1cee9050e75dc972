"""Files, conclusions and choices from free text. Pure functions that scan by lines, in linear time, and never raise.

ChatDev's prompts request files in one form, a line with only the path and then a fenced block. Models answer in many
other forms, and this module reads them. Doubtful files are marked, and each skipped block has a reason.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec

from chatdev.agents import completeness, fences, filenames, meant, outline, path_forms
from chatdev.agents.cleaning import clean
from chatdev.agents.completeness import unfinished
from chatdev.agents.conclusions import MARK, choice, conclusion, finished, looping
from chatdev.agents.fences import Block
from chatdev.agents.requirements import Requirements, requirements

__all__ = [
    "COPIED", "File", "ParsedReply", "Requirements", "Skipped", "choice", "conclusion", "files", "finished", "looping",
    "plain", "read", "requirement_lines", "requirements", "unfinished",
]  # fmt: skip

Doubt = Literal[
    "cut", "elided", "twice", "name guessed", "name line dropped", "not closed", "fences inside", "does not parse"
]

_LABEL_LINE = re.compile(r"\s*[*#`]{0,4}(?:LANGUAGE|DOCSTRING|CODE|FILENAME)\b", re.I)
_TEMPLATE = frozenset(("DOCSTRING", "CODE", "LANGUAGE", "FILENAME", "'''", '"""', "# CODE"))
_COMMAND = re.compile(r"\s*(?:[$>]\s|(?:pip3?|npm|yarn|apt|apt-get|brew|cd|echo|git|make|docker) |python3? \S+\.py\b)")
_ABOVE = 4
_NOTHING: Mapping[str, str] = MappingProxyType({})
_SHELL = "it holds shell commands"
COPIED = "it repeats the question's own example"
"""The reason for skipping a block that is one of the examples."""


class File(msgspec.Struct, frozen=True):
    """One file of an answer. ``path`` is as the model wrote it, unsafe; ``text`` is verbatim, with a final newline.

    ``cut``: the answer ended inside it. ``elided``: the line that replaces omitted code, else empty. ``said`` is the
    name in the answer, if it differs from ``path``.
    """

    path: str
    text: str
    cut: bool = False
    doubts: tuple[Doubt, ...] = ()
    elided: str = ""
    said: str = ""

    @property
    def whole(self) -> bool:
        """Whether the file is complete, so that it may replace the product's file."""
        return not self.cut and not self.elided


class Skipped(msgspec.Struct, frozen=True):
    """A block that is not a file, and why. ``line`` counts from 1, in the answer without its thoughts."""

    line: int
    first: str
    why: str
    path: str = ""


class ParsedReply(msgspec.Struct, frozen=True):
    """Everything read from an answer."""

    files: tuple[File, ...] = ()
    skipped: tuple[Skipped, ...] = ()


Source = Literal["", "header", "body", "sentence", "guess"]


class _Title(msgspec.Struct, frozen=True):
    path: str = ""
    source: Source = ""
    removed: bool = False
    said: str = ""


def files(text: str, *, finish_reason: str = "stop", expected: Sequence[str] = ()) -> tuple[File, ...]:
    """The files of an answer; see ``read``."""
    return read(text, finish_reason=finish_reason, expected=expected).files


def read(
    text: str,
    *,
    finish_reason: str = "stop",
    expected: Sequence[str] = (),
    known: Mapping[str, str] = _NOTHING,
    examples: Collection[str] = (),
) -> ParsedReply:
    """The files of an answer, in order of first appearance, and the blocks that are not files.

    ``finish_reason`` is the endpoint's: with ``length``, a file that contains fences and ends where the answer ends is
    cut, since its last fence may be an inner one. ``expected`` are the paths that the question requested, ``known`` the
    existing files: they identify blocks without a name (``meant``), and tests under another name than the requested
    one. A block that is one of ``examples`` (see ``plain``) repeats the question. Of several versions of a file the
    last whole one counts, unless it is announced as an alternative.
    """
    lines = clean(text)
    blocks = fences.blocks(lines)
    wanted = tuple(dict.fromkeys((*expected, *known)))
    titles = [_title(block, lines, expected, wanted) for block in blocks]
    headed = {title.path for title in titles if title.source in ("header", "body")}
    ruled: dict[Block, tuple[_Title, str]] = {}
    whole: dict[str, str] = {}
    for block, title in zip(blocks, titles, strict=True):
        meant_title = _renamed(block, title, headed, expected, known)
        why = COPIED if examples and plain(block.lines) in examples else _no_file(block, meant_title, headed)
        if not why and meant_title.path in whole and _is_alternative(block, lines):
            why = "it is an alternative to the version above it"
        if not why and block.end != "cut" and not completeness.elided("\n".join(block.lines)):
            whole.setdefault(meant_title.path, "\n".join(block.lines))
        ruled[block] = meant_title, why
    _rule_nameless(ruled, lines, expected, known)
    found: dict[str, list[File]] = {}
    skipped: list[Skipped] = []
    for block, (title, why) in ruled.items():
        if why:
            first = next((line.strip() for line in block.lines if line.strip()), "")
            skipped.append(Skipped(block.opener + 1, first[:80], why, title.path))
        else:
            broke_off = finish_reason == "length" and block.nested and block.until >= len(lines) - 1
            found.setdefault(title.path, []).append(_file(block, title, broke_off))
    return ParsedReply(tuple(_chosen(versions) for versions in found.values()), tuple(skipped))


def plain(lines: Sequence[str]) -> str:
    """A block's text for the comparison with examples: without white space at line ends and around it."""
    return "\n".join(line.rstrip() for line in lines).strip()


def _rule_nameless(
    ruled: dict[Block, tuple[_Title, str]], lines: Sequence[str], expected: Sequence[str], known: Mapping[str, str]
) -> None:
    """Identify the files of the blocks without a name by the requested and the existing files."""
    script = any(map(filenames.is_script, expected))
    nameless = [
        block
        for block, (title, why) in ruled.items()
        if not title.path and (why == meant.NO_NAME or (script and why == _SHELL and not _is_commands(block)))
    ]
    if not nameless or not (expected or known):
        return
    named = {title.path: "\n".join(block.lines) for block, (title, why) in ruled.items() if not why}
    seen = [_seen(block, lines) for block in nameless]
    for block, ruling in zip(nameless, meant.rule(seen, named, expected, known), strict=True):
        source: Source = "guess" if ruling.path else ""
        ruled[block] = _Title(ruling.path, source), ruling.why


def _seen(block: Block, lines: Sequence[str]) -> meant.UnnamedBlock:
    shows_use = any(map(filenames.shows_use, _above(block, lines)[0][:1]))
    return meant.UnnamedBlock("\n".join([*block.lines, ""]), block.info, shows_use)


def _renamed(
    block: Block, title: _Title, headed: set[str], expected: Sequence[str], known: Mapping[str, str]
) -> _Title:
    """The title of a block of tests under a name at which tests are not looked for, or under another name than that of
    its tests: the requested test file."""
    wanted = expected[0] if len(expected) == 1 else ""
    if not title.path or title.path == wanted or wanted in headed or title.path in known:
        return title
    if not (filenames.is_test(wanted) and wanted.endswith(".py") and title.path.endswith(".py")):
        return title
    text = "\n".join([*block.lines, ""])
    if not completeness.is_only_tests(text):
        return title
    again = outline.cases(text) & outline.cases(known.get(wanted, ""))
    if filenames.is_test(title.path) and not again:
        return title
    return msgspec.structs.replace(title, path=wanted, said=title.path)


def _title(block: Block, lines: Sequence[str], expected: Sequence[str], wanted: Sequence[str]) -> _Title:
    """Which file a block is, from the nearest evidence to the farthest."""
    if path := filenames.in_info(block.info) or filenames.requested(block.info, wanted):
        return _Title(path, "header")
    above, placeholder = _above(block, lines)
    named = [filenames.named(line) for line in above]
    first = named[0] if named else None
    if not (first and first.header) and above and (path := filenames.requested(above[0], wanted)):
        return _Title(path, "header")
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


def _is_commands(block: Block) -> bool:
    texts = [line.strip() for line in block.lines if line.strip()]
    return bool(texts) and all(_COMMAND.match(text) for text in texts)


def _no_file(block: Block, title: _Title, headed: set[str]) -> str:
    """Why a block is not a file; empty if it is one."""
    texts = [line.strip() for line in block.lines if line.strip()]
    path = title.path
    if texts and all(text in _TEMPLATE for text in texts):
        return "it is the prompt's own form"
    if len(texts) == 1 and MARK.match(texts[0]):
        return "it holds a conclusion"
    if path and filenames.is_excerpt(block.info):
        return f"it is a part of {path}"
    if filenames.is_shell(block.info) and (not path or filenames.is_source(path)):
        return _SHELL
    if not path:
        return _SHELL if _is_commands(block) else meant.NO_NAME
    if title.removed:
        return "the file is said to be removed"
    if title.source == "sentence" and path in headed:
        return "it is a part of a file that stands elsewhere in the answer"
    typed = filenames.is_source(path) or (filenames.is_shell(block.info) and not filenames.is_script(path))
    if typed and _is_commands(block):
        return _SHELL
    if block.lines and [filenames.alone(text) for text in texts] == [path]:
        return "it holds nothing but the name"
    return _no_module(block, title) if path.casefold().endswith((".py", ".pyw")) else ""


def _no_module(block: Block, title: _Title) -> str:
    """Why a block is not the Python file that its title names; empty if it may be."""
    text = "\n".join(block.lines)
    if "test" not in title.path.casefold() and completeness.is_only_tests(text):
        return f"it holds only tests, and {title.path} is the program"
    if title.source != "header" and completeness.is_only_imports(text) and not title.path.endswith("__init__.py"):
        return f"it holds only imports of {title.path}"
    if completeness.is_only_methods(text) or (title.source == "sentence" and outline.lacks_imports(text)):
        return f"it is a part of {title.path}"
    return ""


def _file(block: Block, title: _Title, broke_off: bool) -> File:
    lines = list(block.lines)
    doubts: list[Doubt] = []
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is not None and path_forms.as_path(lines[first].strip(" \t\r*`:")) == title.path:
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
    return File(title.path, text, cut, tuple(doubts), left_out, title.said)


def _chosen(versions: Sequence[File]) -> File:
    """The last whole version, preferably one that parses, with all its doubts."""
    whole = [file for file in reversed(versions) if file.whole]
    best = next((file for file in whole if not _is_broken(file)), (whole or versions[-1:])[0])
    doubts = best.doubts
    if any(file.text != best.text for file in versions):
        doubts = (*doubts, "twice")
    if best.whole and _is_broken(best):
        doubts = (*doubts, "does not parse")
    return msgspec.structs.replace(best, doubts=doubts)


def _is_broken(file: File) -> bool:
    return file.path.endswith(".py") and completeness.parsed(file.text) is None


def requirement_lines(text: str) -> tuple[str, ...]:
    """The requirements alone; ``requirements`` also returns what was dropped."""
    return requirements(text).lines
