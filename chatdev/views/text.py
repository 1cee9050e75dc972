"""Text from outside (models, servers, programs), made safe to print: on a terminal, in a log, in Markdown."""

import re

_DRIVES_A_TERMINAL = re.compile(
    # Escape sequences of ECMA-48: CSI, OSC with its end, two-character and charset sequences; then a lone escape.
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-Z\\-~])?"
    # C0 without tab and newline, DEL and C1; line separators; bidirectional controls, since they reorder text;
    # invisible characters (zero width, Unicode's tags); lone surrogates, since no file can hold them.
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff"
    r"\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_ASCII_CONTROLS = bytes((*range(9), *range(11, 32), 127))
_MEANS_SOMETHING_IN_MARKDOWN = re.compile(r"([\\`*_\[\]<>|#~&$])")
_BEGINS_A_LIST = re.compile(r"^(\d*)([-+.)])")


def clean(text: str) -> str:
    """The text without anything that could drive a terminal; tabs and newlines stay."""
    if text.isascii() and len(text.encode().translate(None, _ASCII_CONTROLS)) == len(text):
        return text  # nearly every text; ten times as fast as the expression
    return _DRIVES_A_TERMINAL.sub("", text)


def one_line(text: str, limit: int = 100) -> str:
    """The beginning of a text as one clean line of at most ``limit`` characters; ``...`` marks what was cut."""
    head = text[: 4 * limit]
    line = " ".join(clean(head).split())
    if len(line) > limit or len(head) < len(text):
        return line[: limit - 3].rstrip() + "..."
    return line


def cut(line: str, limit: int = 100) -> str:
    """One clean line with its indentation, cut at ``limit`` characters."""
    line = clean(line[: 4 * limit]).expandtabs(4)
    return line if len(line) <= limit else line[: limit - 3] + "..."


def indent(text: str) -> str:
    """A clean text, indented by four spaces. ChatDev's own lines begin at the margin, so they cannot be forged."""
    return "    " + clean(text).strip("\n").replace("\n", "\n    ")


def md(text: str, limit: int = 160) -> str:
    """One line that Markdown shows unchanged, in a paragraph and in a table cell."""
    escaped = _MEANS_SOMETHING_IN_MARKDOWN.sub(r"\\\1", one_line(text, limit))
    return _BEGINS_A_LIST.sub(r"\1\\\2", escaped)


def code(text: str, limit: int = 120) -> str:
    """A name or a path as Markdown code; escaped text if a backtick or a pipe in it would end the code."""
    line = one_line(text, limit)
    return md(line, limit) if not line or "`" in line or "|" in line else f"`{line}`"
