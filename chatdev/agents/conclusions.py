"""The outcome of an answer: its conclusion, a choice, that nothing is left to change, or that it repeats itself."""

import re
from collections.abc import Sequence

from chatdev.agents import fences
from chatdev.agents.cleaning import clean

MARK = re.compile(r"<\s*INFO\s*>", re.I)
_LOOSE_MARK = re.compile(r"\W{0,6}(?:/?INFO>|\(INFO\)|\*\*INFO\*\*)[:\s]*")
_CONSTRAINED = re.compile(r'\{\s*"choice"\s*:\s*"([^"\\]*)"\s*\}\s*$')
_SPEAKER = re.compile(r"[\w ]{1,40}:\s*$")
_SHORT = 2


def conclusion(text: str) -> str | None:
    """The text after the ``<INFO>`` mark: preferably the last mark at the beginning of a line, else any mark.

    Text that an answer only quotes, such as a program's output in a fenced block, is not a conclusion.
    """
    if "INFO" not in text.upper():
        return None
    lines = clean(text)
    inside = _quoted(lines)
    fallback: str | None = None
    unquoted_lines = [line for number, line in enumerate(lines) if line.strip() and number not in inside]
    for last, line in enumerate(reversed(unquoted_lines)):
        marks = list(MARK.finditer(line))
        found = marks[-1] if marks else (_LOOSE_MARK.match(line) if last == 0 else None)
        if found is None or (last and _is_quotation(line, found)):
            continue
        concluded = _unmarked(line[found.end() :])
        before = line[: found.start()].strip(" \t\r*_`\"'>#-([")
        if concluded and (not before or _SPEAKER.match(before)):
            return concluded
        fallback = fallback or concluded
    return fallback


def _quoted(lines: Sequence[str]) -> set[int]:
    """The lines inside fenced blocks. A block with one line at the end of the answer is exempt: it may conclude."""
    inside: set[int] = set()
    for block in fences.blocks(lines) if any(line.lstrip()[:3] in ("```", "~~~") for line in lines) else ():
        last = block.until >= len(lines) - 1
        if block.end == "closed" and not (last and sum(bool(line.strip()) for line in block.lines) == 1):
            inside.update(range(block.opener, block.until + 1))
        elif block.end != "closed" and not last:
            inside.update(range(block.opener, block.until))
    return inside


def _is_quotation(line: str, mark: re.Match[str]) -> bool:
    """Whether a mark is in a quoted line, or in quotation marks with text before them."""
    before = line[: mark.start()].rstrip(" <")
    return before.lstrip()[:1] == ">" or (before[-1:] in ("`", '"', "'", "“") and len(before.strip()) > 1)


def _unmarked(rest: str) -> str | None:
    """The rest of a line without surrounding markup, and without the closing halves of markup opened before it."""
    if re.match(r"\W*\*(?![\w*])", rest):
        return None  # The star of an instruction: write <INFO> and then *.
    text = rest.replace("</INFO>", "").strip().lstrip(":>*").strip()
    if text.endswith(('".', "'.", "`.", "*.")) and text.count(text[-2]) % 2 == 1:
        text = text[:-1]
    for mark in ("**", "*", "`", '"', "'", "”", ")"):
        if text.endswith(mark) and (text.count(mark) % 2 == 1 or mark in "”)") and not (mark == ")" and "(" in text):
            text = text[: -len(mark)].rstrip()
        if len(text) > 2 * len(mark) and mark != ")" and text.startswith(mark) and text.endswith(mark):
            text = text[len(mark) : -len(mark)].strip()
    return text if any(character.isalnum() for character in text) else None


def finished(text: str) -> bool:
    """Whether the answer says ``<INFO> Finished``: nothing is left to change."""
    concluded = conclusion(text)
    return concluded is not None and re.match(r"\W*finished\b", concluded, re.I) is not None


def choice(text: str, options: Sequence[str]) -> str | None:
    """The one option that an answer chooses, spelled as in the options; None if it is not clear.

    Checked in turn: the conclusion, the whole answer, its last line, and any mention. An answer ``{"choice": …}``, as
    a server with constrained output sends it, counts as the choice in it.
    """
    if constrained := _CONSTRAINED.search(text):
        text = constrained[1]
    lines = [line for line in clean(text) if line.strip()]
    if not lines or not options:
        return None
    concluded = conclusion(text)
    exact = {_plain(option): option for option in options}
    for candidate in (concluded or "", "\n".join(lines), lines[-1]):
        if (plain := _plain(candidate)) in exact:
            return exact[plain]
    for candidate in (concluded or "", "\n".join(lines)):
        mentioned = _mentioned(candidate, options)
        if len(mentioned) == 1:
            return mentioned[0]
    return None


def _plain(text: str) -> str:
    return " ".join(text.casefold().strip(" \t\r\n.!*_`\"'“”()[]<>:").split())


def _mentioned(text: str, options: Sequence[str]) -> list[str]:
    """The options that the text mentions as whole words; one that is part of a longer option's mention does not count.

    Options as short as "C" and "Go" count only in the same letter case, within a sentence.
    """
    mentioned: list[str] = []
    for option in sorted(options, key=len, reverse=True):
        whole_word = rf"(?<![\w+#]){re.escape(option)}(?![\w+#])"
        short = len(option) <= _SHORT
        pattern = re.compile(rf"(?<=[^\n.!?\s] ){whole_word}" if short else whole_word, 0 if short else re.I)
        text, count = pattern.subn("\0", text)
        if count:
            mentioned.append(option)
    return mentioned


def looping(text: str) -> bool:
    """Whether the answer ends with the same line, paragraph or words over and over: a model that cannot stop."""
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    return _repeats(lines) or _repeats(lines[:-1]) or _repeats(text[-_TAIL:].split())


_TAIL = 6000
_LOOP = 400
"""Characters that a repetition must cover; three or more repeats are then a loop."""


def _repeats(items: Sequence[str]) -> bool:
    """Whether the items end in three or more periods of a repetition (Knuth, Morris and Pratt's failure function)."""
    reverse = items[::-1]
    failure = [0] * len(reverse)
    covered = len(reverse[0]) + 1 if reverse else 0
    for number in range(1, len(reverse)):
        length = failure[number - 1]
        while length and reverse[number] != reverse[length]:
            length = failure[length - 1]
        failure[number] = length + (reverse[number] == reverse[length])
        covered += len(reverse[number]) + 1
        if covered >= _LOOP and number + 1 >= 3 * (number + 1 - failure[number]):
            return True
    return False
