"""The right thing under a slightly wrong name: letter case, folder, alias. It is aligned mechanically, and told.

Everything here is a pure function of the files and the task. Python is changed by its syntax, never inside a string,
and only where nothing else refers to the old name; a name that the task itself gives is left alone.
"""

from collections.abc import Mapping

import msgspec

from chatdev.agents import outline
from chatdev.agents.completeness import parsed
from chatdev.project.aligned_tests import module_of, modules, names
from chatdev.project.state import DOCUMENTS
from chatdev.project.workspace import is_test


class Aligned(msgspec.Struct, frozen=True):
    """The files to write, by path, and what was aligned, a phrase each."""

    files: dict[str, str]
    notes: tuple[str, ...] = ()


class _Files:
    """The files as they were, those that are new, and what the task says."""

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
        return {path: text for path, text in self.all.items() if is_test(path) and path.endswith(".py")}

    def rename(self, paths: Mapping[str, str], note: str) -> None:
        """Give new files other names, in their order."""
        self.new = {paths.get(path, path): text for path, text in self.new.items()}
        self.notes.append(note)


def align(there: Mapping[str, str], new: Mapping[str, str], main: str, task: str = "") -> Aligned:
    """What to write of ``new`` beside the files that are ``there``, under the names that were meant.

    ``main`` is the language's main file. Folders that hold the whole program are lifted, the program's only file or
    the one that is started becomes the main file, and imports of the tests find what the program defines under another
    letter case, style or folder.
    """
    files = _Files(there, new, task)
    if main.endswith(".py"):
        _lift(files, main)
    if candidate := _main(files, main):
        renamed = _Files(there, files.new, task)
        renamed.notes += files.notes
        renamed.rename({candidate: main}, f"{candidate} is what is started, and was taken for {main}")
        _align_tests(renamed)
        if not any(module_of(candidate) in outline.imports(text) for text in renamed.tests.values()):
            return Aligned(renamed.new, tuple(renamed.notes))
    _align_tests(files)
    return Aligned(files.new, tuple(files.notes))


def _is_program(path: str) -> bool:
    return not is_test(path) and path not in DOCUMENTS


def _lift(files: _Files, main: str) -> None:
    """Take the program out of the one folder that holds all of it, where it can be started only from inside."""
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
        files.rename(lifted, f"the program was taken out of the folder {top}, in which alone it could be started")


def _mentions(files: _Files, name: str) -> bool:
    """Whether the task, or a string of any Python file, names that file or folder."""
    texts = [text for path, text in files.all.items() if path.endswith(".py") and (_is_program(path) or is_test(path))]
    return name in files.task or any(name in said for text in texts for said in outline.strings(text))


def _main(files: _Files, main: str) -> str:
    """The new file that is meant to be the main one; empty if there is one, or if it is not plain which."""
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
    if len(candidates) != 1 or (main == "Main.java" and not alike):  # Java names a file after its class
        return ""
    return candidates[0] if _is_free(files, candidates[0]) else ""


def _started(files: _Files, sources: list[str]) -> list[str]:
    """The files that may be what is started."""
    if len(sources) == 1 or not sources[0].endswith(".py"):
        return sources
    sources = [path for path in sources if not path.endswith("__init__.py")]
    asking = [path for path in sources if outline.is_started(files.new[path])]
    return asking or [path for path in sources if outline.acts(files.new[path])]


def _is_again(text: str, main: str) -> bool:
    """Whether a text is the main file once more: it is started as that is, and defines all that that does."""
    defined = outline.definitions(main)
    return bool(defined) and defined <= outline.definitions(text) and outline.acts(text) and outline.acts(main)


def _is_free(files: _Files, path: str) -> bool:
    """Whether a file can have another name, since nothing refers to it by its own, and it needs nothing beside it."""
    name, folder = path.rpartition("/")[2], path.rpartition("/")[0]
    others = {other: text for other, text in files.all.items() if other != path}
    if not path.endswith(".py"):
        return name not in files.task and not any(name in text for text in others.values())
    if _mentions(files, name):
        return False
    module = module_of(path)
    known = {module, module.rpartition(".")[2]}
    program = [text for other, text in others.items() if _is_program(other) and other.endswith(".py")]
    if any(known & set(outline.imports(text)) or known & _taken(text) for text in program):
        return False
    if any(imported.startswith(".") for imported in outline.imports(files.new[path])) and folder:
        return False
    beside = (f"{folder}/{each.replace('.', '/')}.py" for each in outline.imports(files.new[path]))
    return not (folder and any(each in others for each in beside))


def _taken(text: str) -> set[str]:
    """The names that a text takes out of packages, which may be modules."""
    return {f"{module}.{name}".lstrip(".") for module, taken in outline.imports(text).items() for name in taken}


def _align_tests(files: _Files) -> None:
    """Let the tests find what the program defines: an import by its module, a name by an alias in the program."""
    for path, text in files.tests.items():
        program = {other: source for other, source in files.program.items() if other.endswith(".py")}
        changed, said = modules(text, program, files.task)
        if said:
            files.new[path] = changed
            files.notes += [f"{path}: {each}" for each in said]
        for other, name, meant in names(changed, program):
            if aliased := _with_alias(files.all[other], name, meant):
                files.new[other] = aliased
                files.notes.append(f"{other}: {name} is what the tests call {meant}")


def _with_alias(text: str, name: str, meant: str) -> str:
    """The text with one line more behind the definition of ``meant``; empty where there is no safe place."""
    lines = text.split("\n")
    tree = parsed(text)
    for node in tree.body if tree else ():
        if getattr(node, "name", "") == meant and node.end_lineno:
            at = node.end_lineno
            changed = "\n".join([*lines[:at], "", "", f"{name} = {meant}", *lines[at:]])
            changed = changed if changed.endswith("\n") else changed + "\n"
            return changed if parsed(changed) else ""
    return ""
