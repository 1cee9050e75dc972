"""Command lines of a shell, as far as rows need them: words, quotes, and a program's input."""

import re
import shlex
from collections.abc import Iterator, Sequence

_PIECES = re.compile(
    r"""(?P<space>\s+)
    | \$'(?P<escaped>(?:\\.|[^'\\])*)'
    | '(?P<single>[^']*)'
    | "(?P<double>(?:\\.|[^"\\])*)"
    | \\(?P<char>.)
    | (?P<sign>[|&;<>]+)
    | (?P<plain>[^\s'"\\|&;<>$]+|\$)""",
    re.S | re.X,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", "'": "'", '"': '"', "e": "\x1b"}
_ESCAPE = re.compile(r"\\(.)", re.S)
_FORMAT = re.compile(r"%(.?)", re.S)


class Operator(str):
    """A word that is an operator of the shell, since it is outside quotes."""

    __slots__ = ()


def words(text: str) -> list[str]:
    """The words of a command line up to a comment; operators are ``Operator``. Raises ValueError for an open quote."""
    found: list[str] = []
    word: str | None = None
    at = 0
    while at < len(text):
        piece = _PIECES.match(text, at)
        if piece is None:
            raise ValueError("No closing quotation" if text[at] in "'\"" else "No escaped character")
        kind, value = str(piece.lastgroup), piece[str(piece.lastgroup)]
        at = piece.end()
        if kind in ("space", "sign"):
            found += [] if word is None else [word]
            found += [Operator(value)] if kind == "sign" else []
            word = None
        elif kind == "plain" and word is None and value.startswith("#"):
            break
        else:
            word = (word or "") + _plain(kind, value)
    return found if word is None else [*found, word]


def _plain(kind: str, value: str) -> str:
    if kind == "escaped":
        return unescaped(value)
    if kind == "double":
        return re.sub(r'\\([\\"$`\n])', r"\1", value)
    return value


def unescaped(text: str) -> str:
    """The text with escapes such as ``\\n`` replaced; an unknown escape stays as it is."""
    return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), text)


def quoted(word: str) -> str:
    """The word as ``words`` reads it, on one line."""
    if "\n" not in word and "\r" not in word:
        return shlex.quote(word)
    return "$'" + _on_one_line(word).replace("'", "\\'") + "'"


def printing(text: str) -> str:
    """A command that prints exactly this text."""
    return f"printf {shlex.quote(_on_one_line(text).replace('%', '%%'))}"


def _on_one_line(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")


def printed(command: Sequence[str]) -> str | None:
    """What ``echo`` or ``printf`` prints; None for another command, or a format that is not supported."""
    match command:
        case ["echo", *rest]:
            return _echoed(rest)
        case ["printf", form, *values]:
            return _formatted(form, values)
    return None


def _echoed(rest: list[str]) -> str:
    flags = rest[0][1:] if rest and re.fullmatch(r"-[neE]+", rest[0]) else ""
    text = " ".join(rest[1:] if flags else rest)
    # Some shells and most models take \n for a new line also without -e.
    text = unescaped(text) if "e" in flags or "\\n" in text else text
    return text if "n" in flags else f"{text}\n"


def _formatted(form: str, values: list[str]) -> str | None:
    marks = [found[1] for found in _FORMAT.finditer(form)]
    if not set(marks) <= {"s", "d", "%"}:
        return None
    taken = sum(mark != "%" for mark in marks)
    rounds = max(1, -(-len(values) // taken)) if taken else 1
    left = iter(values)
    return "".join(_FORMAT.sub(lambda found: _put_in(found[1], left), unescaped(form)) for _ in range(rounds))


def _put_in(mark: str, values: Iterator[str]) -> str:
    return "%" if mark == "%" else next(values, "")
