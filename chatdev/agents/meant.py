"""Finds the file of a block without a name: by what was requested, by what it defines, and by how complete it is.

Evidence is needed: a command, a piece of output, and a line that shows how the program is used are not files, and a
part of a file never replaces the whole file.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from chatdev.agents import completeness, filenames, outline
from chatdev.agents.rulings import NO_NAME
from chatdev.language_table import table

MOST = 16
"""The most blocks without a name that are compared: the longest ones of an answer."""

_TEXT = frozenset(("text", "txt", "plaintext", "output", "console", "log"))
_LOOKS = {"css": r"[^{}]+\{[^{}]*:[^{}]*\}"} | {
    language.main.rpartition(".")[2]: language.looks for language in table().values()
}


class UnnamedBlock(NamedTuple):
    """A block without a name: its text, its fence's info string, and whether it is announced as a use or an output."""

    text: str
    info: str
    shows_use: bool = False


class Ruling(NamedTuple):
    """The file that a block is, or why it is none; with ``why``, ``path`` is the file that it belongs to."""

    path: str = ""
    why: str = ""

    @property
    def accepted(self) -> bool:
        """Whether the block is that file."""
        return bool(self.path) and not self.why


def rule(
    blocks: Sequence[UnnamedBlock], named: Mapping[str, str], expected: Sequence[str], present: Mapping[str, str]
) -> list[Ruling]:
    """A ruling for each block.

    ``named`` are the files that the answer names; ``expected`` the paths that the question requested, a single one if
    it is clear which; ``present`` the files of the product.
    """
    paths = tuple(path for path in dict.fromkeys((*expected, *present)) if path not in named)
    if not paths:
        return [Ruling(why=NO_NAME)] * len(blocks)
    longest = sorted(range(len(blocks)), key=lambda number: -len(blocks[number].text))[:MOST]
    rulings = [Ruling(why=NO_NAME)] * len(blocks)
    for number in longest:
        rulings[number] = _alone(blocks[number], paths, expected, present, several=len(blocks) > 1 or bool(named))
    _name_modules(blocks, rulings, named, present)
    _drop_shown(blocks, rulings, named)
    return rulings


def _alone(
    block: UnnamedBlock, paths: Sequence[str], expected: Sequence[str], present: Mapping[str, str], *, several: bool
) -> Ruling:
    """The ruling for a block, without regard to the others."""
    fitting = [path for path in paths if _fits(block, path, several=several)]
    fitting = [path for path in fitting if _is_python(path)] or fitting
    wanted = expected[0] if len(expected) == 1 and expected[0] in fitting else ""
    if not fitting:
        return Ruling(why=NO_NAME)
    if not _is_python(fitting[0]):
        return Ruling(wanted) if wanted else Ruling(why=NO_NAME)
    cases = outline.cases(block.text)
    only_tests = completeness.is_only_tests(block.text) or (cases and "unittest.main(" in block.text)
    if completeness.is_only_imports(block.text):
        return Ruling(why="it holds only imports")
    if wanted and filenames.is_test(wanted) and not cases:
        return Ruling(why=f"it holds no test, and {wanted} was requested")
    if only_tests and not any(map(filenames.is_test, fitting)):
        return Ruling(why=f"it holds only tests, and {wanted or fitting[0]} is the program")
    path = _path(block.text, fitting, wanted, present)
    if not path:
        return Ruling(why=NO_NAME)
    if _is_part(block.text, present.get(path, "")):
        return Ruling(path, f"it is a part of {path}")
    return Ruling(path)


def _path(text: str, fitting: Sequence[str], wanted: str, present: Mapping[str, str]) -> str:
    """The requested file, unless the block defines the same as another one."""
    defined = outline.definitions(text)
    shared = {path: len(defined & outline.definitions(present[path])) for path in fitting if path in present}
    most = max(shared.values(), default=0)
    best = [path for path, count in shared.items() if count == most]
    if most > shared.get(wanted, 0) and len(best) == 1:
        return best[0]
    if wanted and (wanted not in present or shared[wanted] or outline.acts(text) or len(shared) == 1):
        return wanted
    return ""


def _fits(block: UnnamedBlock, path: str, *, several: bool) -> bool:
    """Whether a block can be a file of that name, by its language or, if it names none, by its content."""
    ending, by_info = path.rpartition(".")[2].casefold(), filenames.ending(block.info)
    if by_info and not (by_info == ending or (by_info == "sh" and filenames.is_script(path))):
        return False
    if not filenames.is_source(path) and not filenames.is_script(path):
        return bool(by_info) or not several
    if by_info:
        typed = block.text.lstrip().startswith(">>>")
        return not _is_python(path) or not (typed or (several and completeness.parsed(block.text) is None))
    if filenames.language(block.info) in _TEXT:
        return False
    if _is_python(path):
        return outline.is_code(block.text)
    return looks_like(block.text, ending)


def looks_like(text: str, ending: str) -> bool:
    """Whether a text has the looks of the language of files with this ending; False if they are not described."""
    looks = _LOOKS.get(ending)
    return bool(looks) and re.search(str(looks), text[:2000], re.I | re.M) is not None


def _is_python(path: str) -> bool:
    return path.casefold().endswith((".py", ".pyw"))


def _is_part(text: str, whole: str) -> bool:
    """Whether a text uses names that only the whole file defines, lacks most of the file's definitions or its actions,
    or contains only methods."""
    if completeness.parsed(text) is None:  # cut or invalid: this is reported elsewhere
        return False
    tests, defined = outline.cases(whole), outline.definitions(whole)
    if completeness.is_only_methods(text) or 2 * len(outline.cases(text) & tests) < len(tests):
        return True
    if not outline.acts(text) and (outline.acts(whole) or 2 * len(outline.definitions(text) & defined) < len(defined)):
        return True
    return bool(whole) and bool(outline.missing(text) & outline.offered(whole) - outline.missing(whole))


def _name_modules(
    blocks: Sequence[UnnamedBlock], rulings: list[Ruling], named: Mapping[str, str], present: Mapping[str, str]
) -> None:
    """A block that defines what another one imports from an otherwise missing module is that module."""
    accepted = [number for number, ruling in enumerate(rulings) if ruling.accepted and _is_python(ruling.path)]
    wanted: dict[str, frozenset[str]] = {}
    for number in accepted:
        wanted.update((module, names) for module, names in outline.imports(blocks[number].text).items() if names)
    for module, names in wanted.items():
        path = module.replace(".", "/") + ".py"
        top = module.partition(".")[0]
        if not top or top in sys.stdlib_module_names or path in named or path in present:
            continue
        for number in accepted:
            text = blocks[number].text
            alone = all(rulings[other].path != rulings[number].path for other in accepted if other != number)
            if not alone and names <= outline.definitions(text) and not outline.is_started(text):
                rulings[number] = Ruling(path)


def _drop_shown(blocks: Sequence[UnnamedBlock], rulings: list[Ruling], named: Mapping[str, str]) -> None:
    """Of several blocks that may be one file, drop those that only show its use or are a part of another."""
    versions: dict[str, list[int]] = {}
    for number, ruling in enumerate(rulings):
        if ruling.accepted:
            versions.setdefault(ruling.path, []).append(number)
    for path, numbers in versions.items():
        texts = [blocks[number].text for number in numbers]
        defined = frozenset(name for text in texts for name in outline.definitions(text))
        offers = frozenset(name for text in texts for name in outline.offered(text))
        module = path.rpartition(".")[0].replace("/", ".")
        started = any(outline.is_started(text) for path, text in named.items() if not filenames.is_test(path))
        runs = not filenames.is_test(path) and any(map(outline.acts, texts))
        for number, text in zip(numbers, texts, strict=True):
            if _is_python(path) and (
                module in outline.imports(text)
                or (defined and not outline.definitions(text) and not outline.is_started(text))
                or (runs and not outline.acts(text))
                or (outline.missing(text) & offers)
                or (named and (started or blocks[number].shows_use) and not outline.is_started(text))
            ):
                rulings[number] = Ruling(path, f"it shows how {path} is used, or is a part of it")
