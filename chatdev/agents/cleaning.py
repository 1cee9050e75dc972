"""The answer's own lines: without thoughts, leaked tokens, and the marks of a quotation around all of it."""

import re

from chatdev.agents.thoughts import without_channels, without_thoughts
from chatdev.agents.tokens import without_tokens

_QUOTED = re.compile(r" {0,3}> ?")
_QUOTED_FENCE = re.compile(r" {0,3}> ?(`{3,}|~{3,})\s*([\w-]*)")
_OTHER_FENCE = re.compile(r"\s*(?:'''|´´´|｀｀｀|‘‘‘|’’’)([A-Za-z+#]{0,12})\s*")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})")
_PAIR = 2


def clean(text: str) -> list[str]:
    """The answer's lines without thoughts, leaked template tokens and lone surrogates.

    Line ends become ``\\n`` if every one of them is ``\\r\\n``; else they are left unchanged.
    """
    if not text.isascii():
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").removeprefix("\ufeff")
    if "\r\n" in text and text.count("\n") == text.count("\r\n"):
        text = text.replace("\r\n", "\n")
    lines = without_thoughts(without_channels(text).split("\n"))
    lines = _with_fences(_unquoted(without_tokens(lines)))
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _unquoted(lines: list[str]) -> list[str]:
    """An answer whose fences are all quoted (``> ```python``) without the marks. A quoted diff stays quoted."""
    fences = [found for line in lines if (found := _QUOTED_FENCE.match(line))]
    if not fences or any(found[2] in ("diff", "patch") for found in fences) or any(map(_FENCE.match, lines)):
        return lines
    return [line[mark.end() :] if (mark := _QUOTED.match(line)) else line for line in lines]


def _with_fences(lines: list[str]) -> list[str]:
    """An answer whose fences are made of other quotation marks, with a language behind the first, with real fences."""
    marks = [found for line in lines if (found := _OTHER_FENCE.fullmatch(line))]
    if len(marks) < _PAIR or not marks[0][1] or any(map(_FENCE.match, lines)):
        return lines
    return [f"```{found[1]}" if (found := _OTHER_FENCE.fullmatch(line)) else line for line in lines]
