"""Template tokens that leak into an answer, at its start, at its end, and where the model makes up the next turn."""

import re

from chatdev.agents.fence_lines import FENCE, toggled
from chatdev.lazy_pattern import LazyPattern

_TURN = (
    r"<\|(?![^|<>\n]{0,39}(?:tool|python|channel|message|constrain|think|thought|solution|answer|box|response|inner))"
    r"[^|<>\n]{1,40}\|>"
    r"|<｜(?!tool)[^｜<>\n]{1,40}｜>|</?s>|\[/?INST\]|<</?SYS>>|<(?:start|end)_of_\w{1,20}>|<[se]op>|\[gMASK\]"
    r"|\[\|/?\w{1,20}\|\]|<(?:[be]os|eo[adhmt]|pad|unk|[BE]OS|EO[TD])>|\[(?:BOS|EOS|EOT|PAD)\]|<\|?turn\|?>|\[e~\[|\]~b\]"
    r"|<(?:reserved_|unused|extra_id_|SPECIAL_)\d{1,4}>"
)
_OTHER = (
    r"<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|</?tool_calls?>"
    r"|\[/?TOOL_CALLS?\]|</?(?:final_)?answer>|<\|[a-z_]{2,20}\|?$|<\|\w{2,20}>|</?im_(?:start|end)>"
)
LEAKED = rf"(?:{_TURN}|{_OTHER})"
"""A pattern of one token, for use inside another pattern."""

_FIRST = LazyPattern(rf"(?:\s*{LEAKED}(?:(?:assistant|model)\b)?)+\s*")
_LAST = LazyPattern(rf"(?:{LEAKED}\s*)+$")
_TURN_OVER = LazyPattern(rf"\s*(?:(?:`{{3,}}|~{{3,}})\s*)?(?:{_TURN})")
_WITHIN = 200
# Most answers contain none of these and need not be searched line by line.
_HINTS = re.compile(
    r"<\||<｜|s>|INST\]|SYS>>|_of_|op>|gMASK|\[\||<eo|<EO|OS>|im_|pad>|unk>|OS\]|EOT\]|PAD\]|turn|~|<reserved|<unused|<extra|<SPECIAL"
    r"|tool_call|TOOL_CALL|answer>"
)


def without_tokens(lines: list[str]) -> list[str]:
    """The lines up to the end of the model's turn, without leaked tokens around them. Those inside a file stay."""
    if not any(map(_HINTS.search, lines)):
        return lines
    lines = lines[_first(lines) :]
    kept: list[str] = []
    inside = ""
    for line in lines:
        fence = FENCE.match(line)
        if kept and (not inside or fence) and _TURN_OVER.match(line):
            # The following turn was made up by the model.
            kept.extend([fence[1] + fence[2]] if fence and inside else [])
            break
        inside = toggled(inside, line)
        kept.append(line)
    while kept and (not kept[-1].strip() or _LAST.search(kept[-1][-_WITHIN:])):
        rest = kept[-1][:-_WITHIN] + _LAST.sub("", kept[-1][-_WITHIN:])
        kept.pop()
        if rest.strip():
            kept.append(rest)
    return kept


def _first(lines: list[str]) -> int:
    """The number of the first line with more than tokens; the tokens before its text are removed from it."""
    for number, line in enumerate(lines):
        leaked = _FIRST.match(line)
        rest = line[leaked.end() :] if leaked else line
        if leaked and rest:
            lines[number] = rest
        if rest.strip() or not leaked:
            return number
    return len(lines)
