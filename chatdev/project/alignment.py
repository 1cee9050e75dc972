"""Corrects slightly wrong names (letter case, folder, alias) mechanically, and notes each correction.

Everything here is a pure function of the files and the task. Python is changed by its syntax, never inside a string,
and only if nothing else refers to the old name. A name that the task itself gives is not changed.
"""

from collections.abc import Mapping

import msgspec

from chatdev.agents import outline
from chatdev.agents.completeness import parsed
from chatdev.agents.filenames import belongs_to_tests
from chatdev.language_table import table
from chatdev.project.aligned_tests import module_of, modules, names
from chatdev.project.state import DOCUMENTS


class Aligned(msgspec.Struct, frozen=True):
    """The files to write, by path, and a note for each correction."""

    files: dict[str, str]
    notes: tuple[str, ...] = ()


class _Files:
    """The existing files, the new files, and the task."""

    def __init__(self, there: Mapping[str, str], new: Mapping[str, str], task: str) -> None:
        self.there = there
        self.new = dict(new)
        self.task = task
        self.notes: list[str] = []

    @property
    def all(self) -> dict[str, str]:
        return {**self.there, **self.new}

    @property
    def program(self) -> dict[str, str]:
        return {path: text for path, text in self.all.items() if _is_program(path)}

    @property
    def tests(self) -> dict[str, str]:
        return {path: text for path, text in self.all.items() if belongs_to_tests(path) and path.endswith(".py")}

    def rename(self, paths: Mapping[str, str], note: str) -> None:
        """Rename new files and keep their order."""
        self.new = {paths.get(path, path): text for path, text in self.new.items()}
        self.notes.append(note)


def align(there: Mapping[str, str], new: Mapping[str, str], main: str, task: str = "") -> Aligned:
    """The ``new`` files under their intended names; ``there`` are the existing files.

    ``main`` is the language's main file. A folder that holds the whole program is removed, the program's only file or
    the one that is started becomes the main file, and imports of the tests find what the program defines under another
    letter case, style or folder.
    """
    files = _Files(there, new, task)
    if main.endswith(".py"):
        _lift(files, main)
    if candidate := _main(files, main):
        renamed = _Files(there, files.new, task)
        renamed.notes += files.notes
        renamed.rename({candidate: main}, f"{candidate} is the file to start and was renamed to {main}")
        _align_tests(renamed)
        if not any(module_of(candidate) in outline.imports(text) for text in renamed.tests.values()):
            return Aligned(renamed.new, tuple(renamed.notes))
    _align_tests(files)
    return Aligned(files.new, tuple(files.notes))


def _is_program(path: str) -> bool:
    return not belongs_to_tests(path) and path not in DOCUMENTS


def _lift(files: _Files, main: str) -> None:
    """Move the program out of the one folder that holds all of it, if it starts only from inside that folder."""
    paths = [path for path in files.new if _is_program(path)]
    tops = {path.partition("/")[0] for path in paths}
    if len(tops) != 1 or any("/" not in path for path in paths):
        return
    top = tops.pop()
    lifted = {path: path.partition("/")[2] for path in paths}
    there = [path for path in files.there if _is_program(path)]
    again = not any(path.startswith(f"{top}/") for path in there) and any(path in there for path in lifted.values())
    if (there and not again) or any(path in files.there and not again for path in lifted.values()):
        return
    sources = {path: text for path, text in files.new.items() if path in lifted and path.endswith(".py")}
    inside = {module_of(lifted[path]) for path in sources}
    imported = {module for text in sources.values() for module in outline.imports(text)}
    from_inside = bool(imported & inside) or f"{top}/{main}" in sources
    named = _mentions(files, f"{top}/") or any(
        module.partition(".")[0] in ("", top) for text in (*sources.values(), *files.tests.values())
        for module in outline.imports(text)
    )  # fmt: skip
    if (from_inside or again) and not named:
        files.rename(lifted, f"the program was moved out of the folder {top}, since it starts only from inside it")


def _mentions(files: _Files, name: str) -> bool:
    """Whether the task, or a string of any Python file, names that file or folder."""
    texts = [
        text
        for path, text in files.all.items()
        if path.endswith(".py") and (_is_program(path) or belongs_to_tests(path))
    ]
    return name in files.task or any(name in literal for text in texts for literal in outline.strings(text))


def _main(files: _Files, main: str) -> str:
    """The new file that is intended as the main one; empty if there is one already, or if the choice is ambiguous."""
    ending = main.rpartition(".")[2]
    sources = [path for path in files.new if _is_program(path) and path.endswith(f".{ending}")]
    alike = [path for path in sources if path.casefold() == main.casefold()]
    if main in files.new or not sources:
        return ""
    if main in files.program:
        candidates = [
            path for path in sources if path not in files.there and _is_again(files.new[path], files.all[main])
        ]
    elif any(path.endswith(f".{ending}") for path in files.there if _is_program(path)):
        candidates = []
    else:
        candidates = alike or _started(files, sources)
    if len(candidates) != 1 or (_is_named_after_class(main) and not alike):
        return ""
    return candidates[0] if _is_free(files, candidates[0]) else ""


def _is_named_after_class(main: str) -> bool:
    return any(language.main == main and language.main_is_class for language in table().values())


def _started(files: _Files, sources: list[str]) -> list[str]:
    """The files that may be the one to start."""
    if len(sources) == 1 or not sources[0].endswith(".py"):
        return sources
    sources = [path for path in sources if not path.endswith("__init__.py")]
    asking = [path for path in sources if outline.is_started(files.new[path])]
    return asking or [path for path in sources if outline.acts(files.new[path])]


def _is_again(text: str, main: str) -> bool:
    """Whether a text is another version of the main file: it can be started too, and defines all the same names."""
    defined = outline.definitions(main)
    return bool(defined) and defined <= outline.definitions(text) and outline.acts(text) and outline.acts(main)


def _is_free(files: _Files, path: str) -> bool:
    """Whether a file can be renamed: nothing refers to it by name, and it imports nothing from its own folder."""
    name, folder = path.rpartition("/")[2], path.rpartition("/")[0]
    others = {other: text for other, text in files.all.items() if other != path}
    if not path.endswith(".py"):
        return name not in files.task and not any(name in text for text in others.values())
    if _mentions(files, name):
        return False
    module = module_of(path)
    module_names = {module, module.rpartition(".")[2]}
    program = [text for other, text in others.items() if _is_program(other) and other.endswith(".py")]
    if any(module_names & set(outline.imports(text)) or module_names & _imported_names(text) for text in program):
        return False
    if any(imported.startswith(".") for imported in outline.imports(files.new[path])) and folder:
        return False
    beside = (f"{folder}/{each.replace('.', '/')}.py" for each in outline.imports(files.new[path]))
    return not (folder and any(each in others for each in beside))


def _imported_names(text: str) -> set[str]:
    """The names that a text imports from packages; they may be modules."""
    return {f"{module}.{name}".lstrip(".") for module, taken in outline.imports(text).items() for name in taken}


def _align_tests(files: _Files) -> None:
    """Make tests find what the program defines: correct their imports, or add an alias to the program."""
    for path, text in files.tests.items():
        program = {other: source for other, source in files.program.items() if other.endswith(".py")}
        changed, changes = modules(text, program, files.task)
        if changes:
            files.new[path] = changed
            files.notes += [f"{path}: {each}" for each in changes]
        for other, name, meant in names(changed, program):
            if aliased := _with_alias(files.all[other], name, meant):
                files.new[other] = aliased
                files.notes.append(f"{other}: the tests use {name} for {meant}; an alias was added")


def _with_alias(text: str, name: str, meant: str) -> str:
    """The text with an alias after the definition of ``meant``; empty if there is no safe place."""
    lines = text.split("\n")
    tree = parsed(text)
    for node in tree.body if tree else ():
        if getattr(node, "name", "") == meant and node.end_lineno:
            at = node.end_lineno
            changed = "\n".join([*lines[:at], "", "", f"{name} = {meant}", *lines[at:]])
            changed = changed if changed.endswith("\n") else changed + "\n"
            return changed if parsed(changed) else ""
    return ""
