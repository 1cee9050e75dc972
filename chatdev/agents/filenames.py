"""The file that a line of an answer names: headings, labels, comments, info strings; one line at a time."""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from chatdev.agents import label_words
from chatdev.agents.path_forms import any_path, as_path, plain, visible, without_tail
from chatdev.language_table import suffixes, table, tags

_PRODUCTS_NOT_FILES = frozenset("d3.js express.js next.js node.js nuxt.js p5.js react.js three.js vue.js".split())
_SHELLS = frozenset(
    "bash bat batch cmd console fish powershell ps1 pwsh sh shell shell-session shellsession terminal zsh".split()
)
_SOURCES = frozenset(
    "c cc cpp cs css cxx dart go h hpp html java js jsx kt lua mjs php pl py pyw r rb rs scala sql swift ts tsx"
    " vue".split()
) | (suffixes(table()) - _SHELLS)
_TAGS = {
    "py": "py python python3 pyw", "js": "javascript js mjs node", "ts": "ts typescript", "html": "htm html",
    "css": "css", "c": "c", "cpp": "c++ cc cpp cxx", "java": "java", "go": "go golang", "rs": "rs rust",
    "rb": "rb ruby", "php": "php", "md": "markdown md mdx", "json": "json", "yaml": "yaml yml", "xml": "xml",
    "sql": "sql", "toml": "toml", "csv": "csv",
}  # fmt: skip
_ENDINGS = (
    tags(table())
    | {tag: ending for ending, names in _TAGS.items() for tag in names.split()}
    | dict.fromkeys(_SHELLS, "sh")
)

# Words that may accompany a path on a line that only names the file.
_LABELS = frozenset(
    "a as below called code complete completed content contents corrected create created creating file filename"
    " filepath final fixed for full here heres improved implement implementation implementing is main modified module"
    " name named new now of part path refactored revised save saved script source step the this unchanged update"
    " updated version with".split()
)
_NAMING = frozenset("file filename filepath name path".split())
_FILE_LABELS = frozenset("file filename filepath".split()) | label_words.FILE_WORDS
_REMOVED = frozenset(
    "delete deleted remove removed obsolete gelöscht entfernt eliminado supprimé удалён удалить"
    " 删除 已删除 削除 삭제".split()
)
_RUNNING = re.compile(
    r"\b(?:chang(?:e|es|ed) (?:in|to)|example|execut\w*|install\w*|output|run|running|snippet|usage)\b", re.I
)
_USING = re.compile(r"\b(?:how (?:to|you (?:can|could))|(?:to|can|could) (?:use|call|test|try)|using it)\b", re.I)
_PART = re.compile(
    r"\b(?:add(?: the| this)? (?:following|line|import|method|function|code)|insert"
    r"|(?:top|beginning|end|start|section) of"
    r"|import statements?|the (?:following )?lines?|change|replace|in the \S+ (?:class|method|function) of)\b",
    re.I,
)
_WHOLE = re.compile(
    r"\b(?:create|creating|save|saved|new file|named|called|name it|implement|implementation|updated|complete|full"
    r"|modified|revised|corrected|fixed|rewritten|contents?|final (?:version\b|content\b|[`\"'](?=[\w./\\-]+\.\w))"
    r"|(?:what|how) (?:the|your) \S+ (?:file )?(?:should|would) look"
    r"|should (?:now |then )?look (?:something )?like (?:this|the following))\b",
    re.I,
)
_SUPPOSED = re.compile(
    r"\b(?:could|may|might) look\b|\bif (?:i|we|you) were\b|\b(?:suppose|assume|assuming)\b"
    r"|\berrors?(?: message)? (?:is|was|says|reads):",
    re.I,
)
_ALTERNATIVE = re.compile(r"\balternatively\b|\bif you(?:['’]d| would)? (?:prefer|rather|want|wish|like)\b", re.I)
_FORMER = re.compile(r"^\W*(?:replace|instead of|remove|delete)\b[^`]*:\W*$", re.I)
_CREATE = re.compile(
    r"\bcreat(?:e|ing) (?:an? |the |new |another |second |main |[\w.-]+ ){0,4}"
    r"(?:file\b|[`\"'][\w./\\-]+\.\w+[`\"'])",
    re.I,
)
_NUMBER = re.compile(
    r"^(?:step|part|schritt|teil|paso|étape|passo|шаг|步骤|步驟|ステップ|手順|단계)?\s*"
    r"(?:[(（]?\d{1,3}[.):、．：）]|\d{1,3}\s+(?=\S))\s*",
    re.I,
)
_MARKS = r"#\s`'\"“”„‘’«»*()\[\]<>{},;:|=!?：，。、；！？（）【】「」『』《》〈〉…"
# A folder in brackets is part of a path: app/[id]/page.tsx
_TOKEN = re.compile(rf"(?:[^{_MARKS}]|\[[\w.-]{{1,40}}\](?=[/.])|(?<=/)\([\w-]{{1,40}}\)(?=/))+")
_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|')*")
_KEY_IN_INFO = re.compile(r"\b(?:title|file|file_?name|file_?path|path|name)\s?=\s?[\"']?([^\"'\s{}]+)", re.I)
_TAGGED_PATH = re.compile(r"[\w+#-]{1,20}:([\w./\\@+~\[\]()-]+)")
_EXCERPT = re.compile(r"\d{1,6}:\d{1,6}:")
_COMMENT = re.compile(r"^\s*(?:#(?!!)+|//+|/\*+|<!--+|--+|;+|%+|\(\*|\"\"\"|'''|::|@?rem\b|@file)\s*", re.I)
_COMMENT_END = re.compile(r"\s*(?:\*+/|--+>|\*\)|\"\"\"|''')\s*$")
_MAX_LINE = 300
_MAX_SENTENCE = 1000
PLACEHOLDER = "FILENAME"
"""The placeholder for the file name in ChatDev's own prompts; models copy it literally."""


class NamedPath(NamedTuple):
    """A path that a line names. ``header``: the purpose of the line is to name it; else a sentence mentions it.

    ``whole`` is true for a sentence that announces a file, not a part of one, and for a header that is only the name;
    ``removed`` says that the file is to be removed.
    """

    path: str
    header: bool
    whole: bool = False
    removed: bool = False


class _Found(NamedTuple):
    path: str
    start: int
    end: int


def _found(text: str) -> Iterator[_Found]:
    """The paths in a line, each with its place."""
    for match in _TOKEN.finditer(text):
        token, start = without_tail(match[0]), match.start()
        if not token.isascii():
            # Labels in scripts without spaces stand directly before the path.
            shorter = label_words.without_first(token)
            start, token = start + len(token) - len(shorter), shorter
        path = as_path(token)
        if path and path.casefold() not in _PRODUCTS_NOT_FILES:
            yield _Found(path, start, start + len(token))


def named(line: str) -> NamedPath | None:
    """The path that an answer's line outside of a block names: exactly one, or None.

    A header is a line with the path alone, with label words, or formatted as a heading or in bold.
    """
    text = visible(line).strip()
    if not text or len(text) > _MAX_LINE:
        return None
    paths = list(_found(text))
    if not paths:
        return _labelled(text)
    path, start, end = paths[0]
    before, after = _undecorated(text[:start]), text[end:]
    alone = _is_label(before) and _is_aside(after)
    decorated = text.startswith("#") or (text.startswith("**") and text.rstrip(":：").endswith("**"))
    if "." not in path and (not alone or path in ("License", "Readme")):
        return None
    if alone:
        return NamedPath(path, True, whole=True, removed=any(word in _REMOVED for word in _words(after)))
    if len({found.path for found in paths}) > 1:
        return None
    foreign = not text.isascii() and label_words.is_partial(text)
    partial = foreign or _PART.search(text) is not None
    running = _RUNNING.search(text) is not None
    if decorated and len(text.split()) <= 12 and not running and not partial:
        return NamedPath(path, True)
    whole = _CREATE.search(text) or (_WHOLE.search(text) and not partial and not running)
    announced = text.endswith((":", "：")) and not running and not partial and label_words.announces(text)
    return NamedPath(path, False, whole=bool(whole) or announced)


def _labelled(text: str) -> NamedPath | None:
    """The path of any ending on a line that says that it is a file's name, or that has a folder and nothing else."""
    tokens = list(_TOKEN.finditer(text))
    last = tokens[-1] if tokens else None
    if last is None or text[last.end() :].strip(" \t\r*_`\"'”’」』)）:："):
        return None
    path, before = any_path(last[0]), _undecorated(text[: last.start()])
    if not path or path.casefold() in _PRODUCTS_NOT_FILES:
        return None
    label = before.rstrip(" \t*_`\"'“„「『(（:：-–—=")
    words = _words(label)
    labelled = label != before.rstrip() and (
        label_words.means_file(label) or (bool(words) and len(words) <= 5 and words[-1] in _FILE_LABELS)
    )
    folder = "/" in path and not label and len(tokens) == 1
    return NamedPath(path, True, whole=True) if labelled or folder else None


def requested(line: str, paths: Sequence[str]) -> str | None:
    """The one of the requested paths that a line names and nothing else, else None: it may have any ending, or none."""
    text = plain(_undecorated(line.strip()).rstrip(" \t\r*_`\"':：)）"))
    words = re.split(r"[\s`'\"*]+", text)
    found = [path for path in paths if text == path or (words[-1] == path and _is_label(" ".join(words[:-1])))]
    return found[0] if len(found) == 1 and len(line) <= _MAX_LINE else None


def supposes(line: str) -> bool:
    """Whether a sentence says that what follows is not a file to write: a supposition, an input, an error."""
    return _SUPPOSED.search(line[-_MAX_SENTENCE:]) is not None


def is_former(line: str) -> bool:
    """Whether a sentence says that what follows is the previous content."""
    return len(line) <= _MAX_LINE and _FORMER.match(line) is not None


def is_alternative(line: str) -> bool:
    """Whether a sentence says that what follows is an alternative to the block above."""
    return _ALTERNATIVE.search(line[-_MAX_SENTENCE:]) is not None


def in_comment(line: str) -> str | None:
    """The path that a file's first lines name in a comment or a docstring, else None."""
    start = _COMMENT.match(line[:_MAX_LINE])
    if start is None or len(line) > _MAX_LINE:
        return None
    found = named(_COMMENT_END.sub("", line[start.end() :]))
    return found.path if found and found.header else None


def alone(line: str) -> str | None:
    """The path if the line contains nothing else (except quotes, formatting and a colon), else None."""
    text = visible(line).strip(" \t\r`*\"':：")
    return as_path(text) if text and len(text) <= _MAX_LINE and _TOKEN.fullmatch(text) else None


def in_info(info: str) -> str | None:
    """The path in a fence's info string (``python main.py``, ``py:main.py``, ``title="main.py"``), else None."""
    if len(info) > _MAX_LINE:
        return None
    info = _EXCERPT.sub("", info, count=1)
    if (key := _KEY_IN_INFO.search(info)) and (path := any_path(key[1])):
        return path
    paths = {path for match in _TOKEN.finditer(info.replace("#", " ")) if (path := as_path(match[0])) and "." in path}
    if not paths and (tagged := _TAGGED_PATH.fullmatch(info.strip())):
        return any_path(tagged[1])
    return paths.pop() if len(paths) == 1 else None


def is_excerpt(info: str) -> bool:
    """Whether the info string names lines of a file (``12:40:src/app.ts``) that the block only shows."""
    return _EXCERPT.match(info) is not None


def is_shell(info: str) -> bool:
    """Whether the info string names a language in which people type commands."""
    return language(info) in _SHELLS


def is_source(path: str) -> bool:
    """Whether the path's extension is that of a programming language other than a shell's."""
    return path.rpartition(".")[2].casefold() in _SOURCES


def is_script(path: str) -> bool:
    """Whether the path's extension is that of a file with shell commands."""
    return path.rpartition(".")[2].casefold() in _SHELLS


def is_test(path: str) -> bool:
    """Whether the tests of the file at this path are run: for Python, those of ``test_*.py`` and ``*_test.py``; for
    other languages, those of any file below a folder ``tests`` or ``test``. The letter case does not matter."""
    name = _segments(path)[-1]
    if name.endswith((".py", ".pyw")):
        return name.endswith("_test.py") or (name.startswith("test_") and name.endswith(".py"))
    return _below_tests(path)


def belongs_to_tests(path: str) -> bool:
    """Whether the path is not the program's: a test, or anything below a folder ``tests`` or ``test``, such as helpers
    and data. The letter case does not matter."""
    return is_test(path) or _below_tests(path)


def _below_tests(path: str) -> bool:
    return not {"test", "tests"}.isdisjoint(_segments(path)[:-1])


def _segments(path: str) -> list[str]:
    return path.casefold().replace("\\", "/").split("/")


def ending(info: str) -> str:
    """The extension of files in the info string's language; empty if the language is unknown."""
    return _ENDINGS.get(language(info), "")


def shows_use(line: str) -> bool:
    """Whether a line says that what follows shows how something is used, or its output."""
    return len(line) <= _MAX_LINE and (_RUNNING.search(line) or _USING.search(line)) is not None


def language(info: str) -> str:
    """The info string's language, in lower case; empty if there is none."""
    found = re.match(r"[\w+#.-]+", info.strip().lstrip("{."))
    return found[0].casefold() if found else ""


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold().replace("’", "'"))


def _undecorated(text: str) -> str:
    """The text without heading marks, list marks, numbers and symbols at its beginning."""
    while True:
        shorter = _NUMBER.sub("", text.lstrip("#*_`>-+=~/•·▪●■◆►▶→✅🔹\"'([<| \t\r📄📁📝📂🐍「『《【（“„«"))
        if shorter == text:
            return text
        text = shorter


def _is_label(before: str) -> bool:
    before = label_words.without_pieces(before)
    words = [word.replace("'", "") for word in _words(before)]
    if not words:
        return not before.strip(" \t*_`\"'(:[<=-–—./#0123456789（：「『《【“„«、，")
    if len(words) <= 5 and (words[-1] in _NAMING or all(word in _LABELS for word in words)):
        return True
    foreign = all(word in _LABELS or word in label_words.WORDS for word in words)
    return len(words) <= 6 and foreign and not all(word in _LABELS for word in words)


def _is_aside(after: str) -> bool:
    """Whether nothing follows the path, or only a separate remark (``: entry point``, ``(updated)``)."""
    rest = after.strip(" \t\r*_`\"'”’“])>）】」』》»。.")
    if not rest or rest[0] in "(-–—:|/=<#[（：，【":
        return True
    rest = label_words.without_pieces(rest)
    if not rest.strip(" :：，。`*"):
        return True
    words = _words(rest)
    return (
        bool(words)
        and len(words) <= 3
        and all(word in _LABELS or word in _REMOVED or word in label_words.WORDS for word in words)
    )
