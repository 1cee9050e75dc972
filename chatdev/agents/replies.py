"""Files, conclusions and choices from free text. Pure functions that scan by lines, in linear time, and never raise.

ChatDev's prompts request files in one form, a line with only the path and then a fenced block. Models answer in many
other forms, and this module reads them. Doubtful files are marked, and each skipped block has a reason.
"""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import msgspec

from chatdev.agents import (
    changed_files,
    changes,
    completeness,
    corrections,
    dialects,
    filenames,
    meant,
    outline,
    parts,
    path_forms,
    rulings,
    titles,
)  # fmt: skip
from chatdev.agents.cleaning import clean
from chatdev.agents.completeness import unfinished
from chatdev.agents.conclusions import choice, conclusion, finished, looping
from chatdev.agents.elisions import elided
from chatdev.agents.fences import Block
from chatdev.agents.parsed_reply import Doubt, File, ParsedReply, Skipped
from chatdev.agents.requirements import Requirements, requirements
from chatdev.agents.titles import Source, Title

__all__ = [
    "COPIED", "File", "ParsedReply", "Requirements", "Skipped", "choice", "conclusion", "files", "finished", "looping",
    "plain", "read", "requirements", "unfinished",
]  # fmt: skip

_NOTHING: Mapping[str, str] = MappingProxyType({})
COPIED = "it repeats the question's own example"
"""The reason for skipping a block that is one of the examples."""


def files(text: str, *, finish_reason: str = "stop", expected: Sequence[str] = ()) -> tuple[File, ...]:
    """The files of an answer; see ``read``."""
    return read(text, finish_reason=finish_reason, expected=expected).files


def read(
    text: str,
    *,
    finish_reason: str = "stop",
    expected: Sequence[str] = (),
    present: Mapping[str, str] = _NOTHING,
    examples: Collection[str] = (),
) -> ParsedReply:
    """The files of an answer, in order of first appearance, and the blocks that are not files.

    ``finish_reason`` is the endpoint's: with ``length``, a file that contains fences and ends where the answer ends is
    cut, since its last fence may be an inner one. ``expected`` are the paths that the question requested, ``present``
    the existing files: they identify blocks without a name (``meant``), and tests under another name than the requested
    one; changes are applied to them. A block that is one of ``examples`` (see ``plain``) repeats the question. Of
    several versions of a file the last whole one counts, unless it is announced as an alternative.
    """
    lines = clean(text)
    requested = tuple(dict.fromkeys((*expected, *present)))
    blocks = [
        block for each in dialects.blocks(lines, expected) for block in _stated_in(each, lines, expected, requested)
    ]
    titled = [(block, titles.title(block, lines, expected, requested)) for block in blocks]
    titled, changed = _without_changes(titled)
    entries = [_Entry(*_corrected(block, title, expected), title) for block, title in titled]
    _rule(entries, lines, expected, present, examples)
    _rule_nameless(entries, lines, expected, present)
    found: dict[str, list[File]] = {}
    skipped: list[Skipped] = []
    for entry in entries:
        block = entry.block
        if entry.why:
            skipped.append(Skipped(block.opener + 1, _first_line(block), entry.why, entry.title.path))
        else:
            broke_off = finish_reason == "length" and block.nested and block.until >= len(lines) - 1
            found.setdefault(entry.title.path, []).append(_file(entry, broke_off, present.get(entry.title.path, "")))
    chosen = {path: _chosen(versions) for path, versions in found.items()}
    applied, refused = changed_files.apply(changed, lines, chosen, expected, present)
    skipped = sorted([*skipped, *refused], key=lambda each: each.line)
    return ParsedReply((*chosen.values(), *applied), tuple(skipped))


class _Entry:
    """A block with its title, why it is not a file (empty if it is one), and what was put right in it."""

    def __init__(self, block: Block, put_right: str, title: Title) -> None:
        self.block = block
        self.put_right = put_right
        self.title = title
        self.why = ""

    @property
    def text(self) -> str:
        return "\n".join(self.block.lines)


def plain(lines: Sequence[str]) -> str:
    """A block's text for the comparison with examples: without white space at line ends and around it."""
    return "\n".join(line.rstrip() for line in lines).strip()


def _first_line(block: Block) -> str:
    return next((line.strip() for line in block.lines if line.strip()), "")[:80]


def _stated_in(block: Block, lines: Sequence[str], expected: Sequence[str], requested: Sequence[str]) -> list[Block]:
    """The block itself, or the files that a call, commands or tags in it state."""
    if block.path or not block.lines:
        return [block]
    title = titles.title(block, lines, expected, requested)
    commands = filenames.is_shell(block.info) and filenames.is_source(title.path)
    if title.path and not commands and title.path.endswith((".json", ".xml", ".html", ".md", ".sh", ".txt")):
        return [block]
    stated = dialects.inside(block, titles.lines_above(block, lines)[0])
    if stated and (not title.path or commands or any(each.path == title.path for each in stated)):
        return stated
    return parts.split(block, title.path)


def _without_changes(
    titled: Sequence[tuple[Block, Title]],
) -> tuple[list[tuple[Block, Title]], list[changed_files.ChangedBlock]]:
    """The blocks that may be files, and those that change files."""
    kept: list[tuple[Block, Title]] = []
    changed: list[changed_files.ChangedBlock] = []
    for block, title in titled:
        found = changes.read(block.lines, block.info, title.path)
        if found and not (title.path.endswith(".py") and completeness.parsed("\n".join(block.lines))):
            changed.append(changed_files.ChangedBlock(block, title, tuple(found)))
        else:
            kept.append((block, title))
    return kept, changed


def _corrected(block: Block, title: Title, expected: Sequence[str]) -> tuple[Block, str]:
    """The block with what can be put right in it, and what that was."""
    path = title.path or (expected[0] if len(expected) == 1 and not block.info else "")
    ending = path.rpartition(".")[2].casefold() if path else filenames.ending(block.info)
    if block.end == "cut" or not ending:
        return block, ""
    text = "\n".join(block.lines)
    if elided(text):  # put right, a remark in brackets would be code
        return block, ""
    corrected = corrections.correct(text, ending)
    if corrected.excerpt:
        return block._replace(excerpt=True), ""
    return (block._replace(lines=tuple(corrected.text.split("\n"))) if corrected.what else block), corrected.what


def _rule(
    entries: Sequence[_Entry],
    lines: Sequence[str],
    expected: Sequence[str],
    present: Mapping[str, str],
    examples: Collection[str],
) -> None:
    """Rule on each block by its own title and text."""
    headed = {entry.title.path for entry in entries if entry.title.source in ("header", "body")}
    whole: set[str] = set()
    for entry in entries:
        block = entry.block
        entry.title = title = _renamed(block, entry.title, headed, expected, present)
        copied = examples and plain(block.lines) in examples
        entry.why = COPIED if copied else rulings.no_file(block, title, headed)
        if not entry.why and title.path in whole and titles.is_alternative(block, lines):
            entry.why = "it is an alternative to the version above it"
        if not entry.why and block.end != "cut" and not elided(entry.text):
            whole.add(title.path)


def _rule_nameless(
    entries: Sequence[_Entry], lines: Sequence[str], expected: Sequence[str], present: Mapping[str, str]
) -> None:
    """Identify the files of the blocks without a name by the requested and the existing files."""
    script = any(map(filenames.is_script, expected))

    def may_be_file(entry: _Entry) -> bool:
        is_script = script and entry.why == rulings.SHELL and not rulings.is_commands(entry.block)
        return not entry.title.path and (entry.why == rulings.NO_NAME or is_script)

    nameless = list(filter(may_be_file, entries))
    if not nameless or not (expected or present):
        return
    named = {entry.title.path: entry.text for entry in entries if not entry.why}
    seen = [_seen(entry.block, lines) for entry in nameless]
    for entry, ruling in zip(nameless, meant.rule(seen, named, expected, present), strict=True):
        source: Source = "guess" if ruling.path else ""
        entry.title, entry.why = Title(ruling.path, source), ruling.why


def _seen(block: Block, lines: Sequence[str]) -> meant.UnnamedBlock:
    shows_use = any(map(filenames.shows_use, titles.lines_above(block, lines)[0][:1]))
    return meant.UnnamedBlock("\n".join([*block.lines, ""]), block.info, shows_use)


def _renamed(
    block: Block, title: Title, headed: set[str], expected: Sequence[str], present: Mapping[str, str]
) -> Title:
    """The title of a block of tests under a name at which tests are not looked for, or under another name than that of
    its tests: the requested test file."""
    wanted = expected[0] if len(expected) == 1 else ""
    if not title.path or title.path == wanted or wanted in headed or title.path in present:
        return title
    if not (filenames.is_test(wanted) and wanted.endswith(".py") and title.path.endswith(".py")):
        return title
    text = "\n".join([*block.lines, ""])
    if not completeness.is_only_tests(text):
        return title
    again = outline.cases(text) & outline.cases(present.get(wanted, ""))
    if filenames.is_test(title.path) and not again:
        return title
    return msgspec.structs.replace(title, path=wanted, name_in_answer=title.path)


def _file(entry: _Entry, broke_off: bool, before: str) -> File:
    block, title = entry.block, entry.title
    lines = list(block.lines)
    doubts: list[Doubt] = []
    first = next((number for number, line in enumerate(lines) if line.strip()), None)
    if first is not None and path_forms.as_path(lines[first].strip(" \t\r*`:")) == title.path:
        lines = lines[first + 1 :]
        doubts.append("name line dropped")
    text = "\n".join([*lines, ""]) if lines else ""
    cut = broke_off or block.end == "cut"
    left_out = elided(text, before)
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
    if entry.put_right:
        doubts.append("put right")
    return File(title.path, text, cut, tuple(doubts), left_out, title.name_in_answer, entry.put_right)


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
