"""Files in the arguments of a tool call: JSON objects with a path and a content, and calls in Python."""

import ast
import json
import re
from collections.abc import Iterator, Sequence

from chatdev.agents import completeness
from chatdev.agents.dialects.stated import CONTENT_KEYS, NEW_KEYS, OLD_KEYS, PATH_KEYS, Stated, change_lines
from chatdev.agents.fence_lines import toggled
from chatdev.agents.path_forms import any_path, as_path

_HINT = re.compile(rf"\\?\"(?:{'|'.join(sorted(CONTENT_KEYS | NEW_KEYS))})\\?\"\s?:|\.\w{{1,8}}\"\s?:\s?\"", re.I)
_START = re.compile(
    r"(?:</?tool_calls?>|\[TOOL_CALLS\]|<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|[\w.:-]{1,60}(?=[ \t]?[{<])|[ \t])"
    r"{0,20}(?=[{\[])"
)
_MOST_FAILURES = 20
_MOST_DEPTH = 8
_NESTED = "arguments parameters input function args params tool_calls files action_input file".split()
_DECODER = json.JSONDecoder(strict=False)
_CALL = re.compile(r"\w*(?:write|create|save)\w*file\w*|file_?write|str_replace\w*", re.I)
_PYTHON_CALLS = re.compile(r"^\s*(?:print\()?[\w.]*(?:write|create|save)\w*file\w*\(", re.I | re.M)

_Found = tuple[str, tuple[str, ...], str]


def read(lines: Sequence[str]) -> list[Stated]:
    """The files in JSON objects that begin a line outside of fenced blocks."""
    text = "\n".join(lines)
    if "{" not in text or not _HINT.search(text):
        return []
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    found: list[Stated] = []
    inside, failures, after = "", 0, 0
    for number, line in enumerate(lines):
        if starts[number] < after:
            continue
        if not inside and failures < _MOST_FAILURES and (start := _START.match(line)):
            value, end = _decoded(text, starts[number] + start.end())
            files = list(_files(value)) if end else []
            failures += not files
            if files:
                after = end
                until = number + text.count("\n", starts[number], end) + 1
                found += (Stated(path, body, number, until, info=info) for path, body, info in files)
                continue
        inside = toggled(inside, line)
    return found


def inside(lines: Sequence[str]) -> list[Stated]:
    """The files of a block that holds nothing but JSON objects or calls that write files."""
    text = "\n".join(lines)
    if "{" in text and _HINT.search(text):
        at, files = 0, list[_Found]()
        while start := re.compile(r"\s*(?:[\w.:-]{1,60}\s?(?=\{))?(?=[{\[])").match(text, at):
            value, at = _decoded(text, start.end())
            found = list(_files(value)) if at else []
            if not found:
                return []
            files += found
        if files and not text[at:].strip(" \t\r\n,;"):
            return [Stated(path, body, 0, len(lines), info=info) for path, body, info in files]
    if _PYTHON_CALLS.search(text):
        return [Stated(path, body, 0, len(lines), info=info) for path, body, info in _python(text)]
    return []


def _decoded(text: str, at: int) -> tuple[object, int]:
    """The JSON value at a place in the text, and its end; 0 if there is none."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, 0


def _files(value: object, depth: int = 0) -> Iterator[_Found]:
    """The files and changes in a JSON value, at any depth of the usual wrappers."""
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, list):
        for each in value:
            yield from _files(each, depth + 1)
    elif isinstance(value, dict):
        fields = {str(key).casefold(): each for key, each in value.items()}
        if stated := _stated(fields):
            yield stated
            return
        if fields and all(as_path(key) and isinstance(each, str) and "\n" in each for key, each in value.items()):
            yield from ((str(as_path(key)), _split(each), "") for key, each in value.items())
            return
        for key in _NESTED:
            nested = fields.get(key)
            if isinstance(nested, str) and nested.lstrip()[:1] in ("{", "["):
                nested = _decoded(nested, len(nested) - len(nested.lstrip()))[0]
            if isinstance(nested, dict | list):
                yield from _files(nested, depth + 1)


def _stated(fields: dict[str, object]) -> _Found | None:
    """The file that an object states: a path, and a content or a text to replace."""
    paths = [any_path(each) for key in (*sorted(PATH_KEYS), "name") if isinstance(each := fields.get(key), str)]
    path = next((each for each in paths if each), None)
    if not path or fields.get("append") or str(fields.get("mode", "w")).startswith("a"):
        return None
    old = next((each for key in OLD_KEYS if isinstance(each := fields.get(key), str)), None)
    new = next((each for key in NEW_KEYS if isinstance(each := fields.get(key), str)), None)
    if old is not None and new is not None:
        return path, change_lines(old, new), "diff"
    for key in sorted(CONTENT_KEYS):
        content = fields.get(key)
        if isinstance(content, list) and content and all(isinstance(each, str) for each in content):
            content = "\n".join(each.removesuffix("\n") for each in content)
        if isinstance(content, str):
            return path, _split(content), ""
    return None


def _split(content: str) -> tuple[str, ...]:
    if not content:
        return ()
    return tuple(content.replace("\r\n", "\n").removesuffix("\n").split("\n"))


def _python(text: str) -> Iterator[_Found]:
    """The files of a text that consists of calls such as ``write_file(path="main.py", content="…")``."""
    tree = completeness.parsed(text)
    calls = [_unprinted(node.value) if isinstance(node, ast.Expr) else None for node in (tree.body if tree else [])]
    fields = [_arguments(call) if call else None for call in calls]
    found = [_stated(each) if each else None for each in fields]
    if all(found):
        yield from (each for each in found if each)


def _unprinted(node: ast.expr) -> ast.Call | None:
    if not isinstance(node, ast.Call):
        return None
    printed = isinstance(node.func, ast.Name) and node.func.id == "print" and len(node.args) == 1
    inner = node.args[0] if printed else node
    return inner if isinstance(inner, ast.Call) else None


def _arguments(call: ast.Call) -> dict[str, object] | None:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if not _CALL.fullmatch(name):
        return None
    values = dict(zip(("path", "content"), call.args, strict=False)) | {
        keyword.arg.casefold(): keyword.value for keyword in call.keywords if keyword.arg
    }
    return {key: each.value for key, each in values.items() if isinstance(each, ast.Constant)}
