"""An answer without the model's thoughts, in the marks of each model family.

A draft inside a thought is not the answer. A thought that never ends leaves nothing of the answer.
"""

import re

from chatdev.agents.fence_lines import toggled
from chatdev.agents.tokens import LEAKED
from chatdev.lazy_pattern import LazyPattern

_NAME = (
    r"(?:[\w-]{1,20}[:_])?(?:think(?:ing)?(?:[_-](?:fast|faster|slow|on))?|thoughts?|thought[_-]process|reasoning(?:_content)?"
    r"|scratchpad|(?:inner[_-])?monologue|cot(?:_budget_reflect)?)"
)
_OPENING = (
    rf"(?:<{_NAME}(?:\s[^<>\n]{{0,80}})?(?:>|\s*$)|<\|{_NAME}\|>|<\|(?:begin_of|start)_{_NAME}\|>"
    r"|<\|channel>[ \t]*(?:thought|thinking|analysis)\b|<unused94>|<\|inner_prefix\|>|\[THINK\]|◁think▷)"
)
_CLOSING = (
    rf"(?:</{_NAME}>|<\|/{_NAME}\|>|<\|end_(?:of_)?{_NAME}\|>|<channel\|>|<unused95>|<\|inner_suffix\|>|\[/THINK\]"
    r"|\.\.\.done thinking\."
    r"|◁/think▷)"
)
_OPEN = LazyPattern(rf"(?:\s*{LEAKED}(?:(?:assistant|model)\b)?){{0,8}}\s*{_OPENING}", re.I)
_OPEN_BEHIND = LazyPattern(rf"(?<![`'\"\w]){_OPENING}\s*$", re.I)
_CLOSE = LazyPattern(rf"{_CLOSING}[ \t\r]{{0,80}}", re.I)
# Most answers contain none of these and need not be searched line by line.
_HINTS = ("think", "thought", "reasoning", "scratchpad", "monologue", "cot", "<|channel>", "<unused9", "<|inner_")
_MAX_LINE = 300

_CHANNEL = LazyPattern(
    r"(?<![\"'`])<\|channel\|>[ \t]{0,9}(\w{1,30})[^<\n]{0,100}(?:<\|constrain\|>[^<\n]{0,40})?<\|message\|>"
)
_SEGMENT_END = re.compile(r"<\|(?:end|call|return|start)\|>")
_PRIVATE = frozenset(("analysis", "thought", "thoughts", "thinking", "reasoning"))
_BARE_ANALYSIS = re.compile(r"\s{0,80}analysis(?:\s{0,9}\n|(?=[A-Z][a-z]{0,20}['’ ]))")
_SPOKEN = re.compile(r"\s{0,80}Here is my thought process:")
_SPOKEN_END = "Here is my response:"
_BARE_FINAL = "assistantfinal"


def without_channels(text: str) -> str:
    """The answer's final channel (harmony's form); without one, all that is not in a channel for thoughts."""
    if "<|channel|>" in text:
        return _by_channels(text)
    if _SPOKEN.match(text):
        return text.partition(_SPOKEN_END)[2]
    if "analysis" in text[:100] and _BARE_ANALYSIS.match(text):
        # The server removed the marks and left the channels' names.
        if _BARE_FINAL in text:
            return text.rpartition(_BARE_FINAL)[2]
        return text if re.match(r"\s*analysis\s*\n", text[:200]) else ""
    return text


def _by_channels(text: str) -> str:
    marks = list(_CHANNEL.finditer(text))
    finals = [mark for mark in marks if mark[1] == "final"]
    if not marks:
        return text
    if finals:
        return text[finals[-1].end() :]
    kept = [text[: marks[0].start()]]
    for number, mark in enumerate(marks):
        if mark[1] in _PRIVATE:
            continue
        segment = text[mark.end() : marks[number + 1].start() if number + 1 < len(marks) else len(text)]
        end = _SEGMENT_END.search(segment)
        kept.append(segment[: end.start()] if end else segment)
    return "\n".join(kept)


def without_thoughts(lines: list[str]) -> list[str]:
    """The lines outside of thoughts. Marks inside a fenced block belong to the block's file."""
    if not any(hint in line.lower() for line in lines for hint in _HINTS):
        return lines
    last_close = max((number for number, line in enumerate(lines) if _CLOSE.search(line)), default=-1)
    kept: list[str] = []
    inside = ""
    thinking = False
    for number, whole_line in enumerate(lines):
        line = whole_line
        if not thinking and not inside:
            if opened := _OPEN.match(line):
                thinking, line = True, line[opened.end() :]
            elif number < last_close and (behind := _behind(line)) is not None:
                kept.append(line[:behind])
                thinking = True
                continue
        if thinking:
            close = _CLOSE.search(line)
            if close is None:
                continue
            thinking, line = False, line[close.end() :]
            if not line:
                continue
        elif (close := _CLOSE.match(line)) and (not inside or close.end() == len(line)):
            # The template put the opening tag into the prompt: everything before this line is a thought.
            kept, inside, line = [], "", line[close.end() :]
        inside = toggled(inside, line)
        kept.append(line)
    return kept


def _behind(line: str) -> int | None:
    """Where a thought begins at the end of a line of prose; None if it does not. A mark in inline code is quoted."""
    if len(line) > _MAX_LINE or not ("<" in line or "[" in line or "◁" in line):
        return None
    found = _OPEN_BEHIND.search(line)
    return found.start() if found and line.count("`", 0, found.start()) % 2 == 0 else None
