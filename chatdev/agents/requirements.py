"""The packages that an answer requires, without those that need no installing and names that are not packages."""

import re
import sys

import msgspec

from chatdev.agents import fences, filenames
from chatdev.agents.cleaning import clean

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_BEFORE_VERSION = re.compile(r"([^\s=<>~!();,@]+(?:\s*\[[^\]]*\])?)\s*\(?\s*[=<>~!]")
"""A name, perhaps with extras, in front of an operator."""
_HAS_ADDRESS = re.compile(r"[\w.-]+\s*(?:\[[^\]]*\])?\s*@")
_EMPTY_VERSION = re.compile(r"\s*(?:\(\s*,?\s*\)|,)\s*(?=;|$)")
_LANGUAGES = frozenset(
    ("", "txt", "text", "plaintext", "plain", "requirements", "requirements.txt", "pip", "python", "markdown", "md")
)
_NOT_PACKAGES = frozenset(("python", "python3", "tk", "ttk", "none", "standard", "built-in", "builtins"))
_ARCHIVES = (".whl", ".zip", ".tar", ".tgz", ".tbz", ".txz", ".tlz", ".gz", ".bz2", ".xz", ".lz", ".lzma")
"""pip treats a name with such an ending as a file in the current folder."""
_MAX_LINE = 300


class Requirements(msgspec.Struct, frozen=True):
    """``lines`` are PEP 508 requirements, each name once; ``dropped`` are rejected lines, each with the reason."""

    lines: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()


def requirements(text: str) -> Requirements:
    """What an answer, fenced or not, lists for ``requirements.txt``. The first list counts; prose is ignored."""
    lines = clean(text)
    blocks = fences.blocks(lines)
    if blocks:
        lists = [block for block in blocks if _is_list(block, lines)]
        named = [block for block in lists if _title(block, lines) == "requirements.txt"]
        return _read((named or lists)[0].lines) if lists else Requirements()
    rest = [line for line in lines if filenames.alone(line) is None]
    read = _read(rest)
    prose = any(why.endswith(_MALFORMED) for why in read.dropped)
    return Requirements() if prose else read


_MALFORMED = "not a requirement"


def _title(block: fences.Block, lines: list[str]) -> str:
    above = next((line for line in reversed(lines[block.above : block.opener]) if line.strip()), "")
    found = filenames.named(above)
    path = filenames.in_info(block.info) or (found.path if found else "")
    path = path or next((name for line in block.lines[:3] if (name := filenames.in_comment(line))), "")
    return path.rpartition("/")[2].casefold()


def _is_list(block: fences.Block, lines: list[str]) -> bool:
    title = _title(block, lines)
    if title.startswith("requirements"):
        return True
    language = filenames.language(block.info)
    if title or not (language in _LANGUAGES or filenames.is_shell(language)):
        return False
    read = _read(block.lines)
    return not read.dropped or any(not why.endswith(_MALFORMED) for why in read.dropped) or bool(read.lines)


def _read(lines: list[str] | tuple[str, ...]) -> Requirements:
    kept: dict[str, str] = {}
    dropped: list[str] = []
    for line in lines:
        for wanted in _wanted(line):
            requirement, why = _judged(wanted)
            if why:
                dropped.append(f"{wanted[:80]}: {why}")
            if requirement:
                name = _NAME.match(requirement)
                kept.setdefault(re.sub(r"[-_.]+", "-", name[0] if name else "").casefold(), requirement)
    return Requirements(tuple(kept.values()), tuple(dropped))


def _wanted(line: str) -> list[str]:
    """The requirements that a line states, bare or as an install command."""
    text = re.sub(r"(?:^|\s)#.*", "", line[: _MAX_LINE * 2]).strip().strip("`")
    text = re.sub(r"^[-*•]\s+", "", text)
    command = re.match(r"(?:[$>]\s*)?(?:python3? -m )?pip3? install\s+", text)
    if command is None:
        return [text] if text and text.casefold() not in ("requirements.txt", "none") else []
    words = text[command.end() :].split()
    return [word.strip("'\"") for word in words if not word.startswith("-") and not word.endswith(".txt")]


def _judged(wanted: str) -> tuple[str, str]:
    """The requirement to keep, if any, and what was wrong with the wanted one."""
    name = _NAME.match(wanted)
    if name is None or len(wanted) > _MAX_LINE:
        return "", _MALFORMED
    why = ""
    wanted = _EMPTY_VERSION.sub("", wanted, count=1)
    if not _is_valid(wanted):
        unversioned = _BEFORE_VERSION.match(wanted)
        if unversioned is None or not _is_valid(unversioned[1]):
            return "", _MALFORMED
        wanted, why = unversioned[1], "kept without its version (not valid)"
    module = name[0].casefold().replace("-", "_")
    if module in sys.stdlib_module_names or module.partition(".")[0] in sys.stdlib_module_names:
        return "", "part of the standard library"
    if name[0].casefold().endswith(_ARCHIVES):
        return "", "a file, not a package"
    if name[0].casefold() in _NOT_PACKAGES:
        return "", "not a package"
    return wanted, why


def package_name(line: str) -> str:
    """The name in a line of a ``requirements.txt``; empty for an option, an address, a path or other text."""
    text = re.sub(r"(?:^|\s)(?:#|--).*|\\$", "", line.strip()).strip()
    name = _NAME.match(text)
    if name is None:
        return ""
    unversioned = _BEFORE_VERSION.match(text)
    return name[0] if _is_valid(text) or (unversioned and _is_valid(unversioned[1])) or _HAS_ADDRESS.match(text) else ""


def _is_valid(line: str) -> bool:
    """Whether a line is a PEP 508 requirement without an address."""
    if _NAME.fullmatch(line):
        return True
    from packaging.requirements import InvalidRequirement, Requirement  # only here: importing it takes a while

    try:
        return Requirement(line).url is None
    except InvalidRequirement:
        return False
