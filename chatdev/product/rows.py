"""Acceptance tests as rows: how the product is started, its input, and its expected output.

They are written as a shell session, since models and people both know that form::

    # From the task
    $ python3 main.py 2 + 3
    5

    $ python3 main.py <<'END'
    two lines
    of input
    END
    2
    [exit 1]

A command begins with ``$ ``; its output is below it, and ``[exit N]`` if the status matters. Commands without a blank
line between them are one session: they work in the same folder. A blank line of output is written ``<BLANKLINE>``, as
in doctest. A comment that is one of ``SECTIONS`` says where the rows below it come from.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from chatdev.product import command_line
from chatdev.product.command_line import Operator
from chatdev.product.sessions import Invocation

Tier = Literal["trusted", "agreed", "doubtful", "open", "dropped"]
"""Where a row comes from: the task itself; a model, with the output that several drafts of the program print; a model;
a model, without an output, so it is not judged; a model, and hardly any draft passes it, so it is not run."""

FILE = "tests/acceptance.txt"
"""The file in which a product keeps its rows."""
SECTIONS: dict[Tier, str] = {
    "trusted": "From the task",
    "agreed": "As several drafts print it, each written alone",
    "doubtful": "From the tester",
    "open": "Without an output: not judged",
    "dropped": "From the tester, met by hardly any draft: not judged",
}
BLANK = "<BLANKLINE>"
_EXIT = re.compile(r"\[exit (\d{1,3})\]\s*\Z")
_HEREDOC = re.compile(r"(?<!<)<<-?\s*(['\"]?)(\w+)\1\s*\Z")
_FENCE = re.compile(r"\s*(?:`{3,}|~{3,})[\w ]*\Z")
_END = "END"


class RowStep(msgspec.Struct, frozen=True, omit_defaults=True):
    """One start of the product and its result: ``expected`` on the terminal, and ``status`` if that counts.

    A step that only prepares the next one is written without output.
    """

    call: Invocation
    expected: str = ""
    status: int | None = None

    @property
    def silent(self) -> bool:
        """Whether no result is expected."""
        return not self.expected and self.status is None


class Row(msgspec.Struct, frozen=True, omit_defaults=True):
    """One test: a session of one or more steps in one folder."""

    steps: tuple[RowStep, ...]
    tier: Tier = "doubtful"

    @property
    def is_meaningful(self) -> bool:
        """Whether a product that ends immediately and prints nothing fails it."""
        return any(step.expected.strip() or step.status for step in self.steps)

    @property
    def title(self) -> str:
        """The row in one line, as its name."""
        return "; ".join(_short(step) for step in self.steps)


def _short(step: RowStep) -> str:
    words = " ".join(map(command_line.quoted, step.call.args))
    fed = " ".join(step.call.stdin.split())
    return " ".join(filter(None, [words, f"< {fed}" if fed else ""])) or "(no input)"


def render(rows: Iterable[Row], command: str) -> str:
    """The rows as the text of a file; ``command`` starts the product. ``parse`` reads the same rows from it."""
    rows = tuple(rows)
    parts: list[str] = []
    for tier, heading in SECTIONS.items():
        found = [row for row in rows if row.tier == tier]
        if found:
            parts.append(f"# {heading}")
            parts += [session(row, command) + "\n" for row in found]
    return "\n".join(parts)


def session(row: Row, command: str) -> str:
    """One row as it is in the file, without a last newline."""
    return "\n".join(line for step in row.steps for line in _lines(step, command))


def _lines(step: RowStep, command: str) -> Iterator[str]:
    start = " ".join([command, *map(command_line.quoted, step.call.args)]).strip()
    fed = step.call.stdin
    if not fed:
        yield f"$ {start}"
    elif fed.endswith("\n") and "\r" not in fed:
        lines = fed.removesuffix("\n").split("\n")
        end = _END
        while end in map(str.rstrip, lines):
            end += "_"
        yield from (f"$ {start} <<'{end}'", *lines, end)
    else:
        yield f"$ {command_line.printing(fed)} | {start}"
    if expected := step.expected.rstrip():
        yield from (_escaped(line.rstrip()) for line in expected.split("\n"))
    if step.status is not None:
        yield f"[exit {step.status}]"


def _escaped(line: str) -> str:
    return f"\\{line}" if _means(line) else line or BLANK


def _means(line: str) -> bool:
    """Whether the line would be read as something other than output."""
    if line.startswith("\\"):
        return _means(line[1:])
    return (
        line == BLANK or line.startswith("# ") or bool(_FENCE.match(line)) or line.lstrip().startswith(("$ ", "[exit "))
    )


class UnreadCommand(msgspec.Struct, frozen=True):
    """A command that is not a row, and why."""

    command: str
    why: str


class Read(msgspec.Struct, frozen=True):
    """The contents of a text of rows."""

    rows: tuple[Row, ...] = ()
    unread: tuple[UnreadCommand, ...] = ()


def parse(text: str, command: str, tier: Tier = "doubtful") -> Read:
    """The rows of a text. ``command`` starts the product; ``tier`` holds until a section says otherwise.

    Never raises: a command that cannot be read as a start of the product is among ``unread``.
    """
    rows: list[Row] = []
    unread: list[UnreadCommand] = []
    tiers = {f"# {heading}": name for name, heading in SECTIONS.items()}
    steps: list[RowStep] = []
    broken = False

    def close() -> None:
        nonlocal broken
        if steps and not broken and (tier == "open" or not all(step.silent for step in steps)):
            rows.append(Row(tuple(steps), tier))
        steps.clear()
        broken = False

    for block in _blocks(text.replace("\r\n", "\n").split("\n")):
        if block.heading:
            close()
            tier = tiers.get(block.heading, tier)
        elif not block.command:
            close()
        else:
            step = _step(block, command)
            if isinstance(step, UnreadCommand):
                unread.append(step)
                broken = True
            else:
                steps.append(step)
    close()
    return Read(tuple(rows), tuple(unread))


def commands(text: str, command: str) -> tuple[RowStep | UnreadCommand, ...]:
    """All commands of a text in order, whatever is between them, including those without output."""
    blocks = _blocks(text.replace("\r\n", "\n").split("\n"))
    return tuple(_step(block, command) for block in blocks if block.command)


def _step(block: "_Block", command: str) -> RowStep | UnreadCommand:
    call = read_command(block.command, block.fed, command)
    if isinstance(call, str):
        return UnreadCommand(block.command, call)
    return RowStep(call, block.output, block.status)


class _Block(msgspec.Struct):
    """A command with the lines below it; without a command, a blank line or a heading between two of them."""

    command: str = ""
    fed: str | None = None
    output: str = ""
    status: int | None = None
    heading: str = ""


def _blocks(lines: Sequence[str]) -> Iterator[_Block]:
    number = 0
    while number < len(lines):
        line = lines[number].rstrip()
        number += 1
        if line.startswith("# "):
            yield _Block(heading=line)
        elif not line or _FENCE.match(line):
            yield _Block()
        elif line.lstrip().startswith("$ "):
            block = _Block(line.lstrip()[2:].strip())
            number = _output(block, lines, _fed(block, lines, number))
            yield block


def _fed(block: _Block, lines: Sequence[str], number: int) -> int:
    """Read a here-document, if the command has one; returns the next line's number."""
    found = _HEREDOC.search(block.command)
    if found is None:
        return number
    block.command = block.command[: found.start()].strip()
    fed: list[str] = []
    while number < len(lines) and lines[number].rstrip() != found[2]:
        fed.append(lines[number])
        number += 1
    block.fed = "".join(f"{line}\n" for line in fed)
    return number + 1


def _output(block: _Block, lines: Sequence[str], number: int) -> int:
    output: list[str] = []
    while number < len(lines):
        line = lines[number].rstrip()
        if not line or line.startswith("# ") or line.lstrip().startswith("$ ") or _FENCE.match(line):
            break
        if found := _EXIT.match(line.strip()):
            block.status = int(found[1])
        else:
            output.append(_read(line))
        number += 1
    block.output = "\n".join(output).rstrip("\n")
    return number


def _read(line: str) -> str:
    if line == BLANK:
        return ""
    return line[1:] if line.startswith("\\") and _means(line[1:]) else line


def read_command(text: str, fed: str | None, command: str) -> Invocation | str:
    """A command line as a start of the product; else why it is none.

    Supported are arguments in quotes, ``echo`` or ``printf`` piped into the product, and ``<<<``.
    """
    try:
        words = command_line.words(text)
    except ValueError as error:
        return f"it is not a valid command line ({error})"
    signs = [word for word in words if isinstance(word, Operator)]
    if "|" in signs:
        at = next(number for number, word in enumerate(words) if isinstance(word, Operator))
        fed = command_line.printed(words[:at]) if words[at] == "|" else None
        words, signs = words[at + 1 :], signs[1:]
        if fed is None:
            return "only echo and printf may be piped into the program"
    if signs == ["<<<"]:
        at = next(number for number, word in enumerate(words) if isinstance(word, Operator))
        if len(words) != at + 2:
            return "<<< takes one word"
        fed, words, signs = words[at + 1] + "\n", words[:at], []
    if signs:
        return f"{signs[0]} is not understood"
    args = _after_start(words, command.split())
    if args is None:
        return f"it does not start the program ({command})"
    return Invocation(tuple(args), fed or "")


_INTERPRETERS = re.compile(r"(?:python[\d.]*|py|node|bash|sh)\Z")


def _after_start(words: Sequence[str], start: Sequence[str]) -> list[str] | None:
    """The arguments after the words that start the product, also if those are written in another usual way."""
    if list(words[: len(start)]) == list(start):
        return list(words[len(start) :])
    rest = list(words)
    if rest and _INTERPRETERS.match(rest[0].rpartition("/")[2]):
        rest = rest[1:]
    if "-m" in start:  # a package: no file has its name
        module = list(start[start.index("-m") :])
        return rest[len(module) :] if rest[: len(module)] == module else None
    main = start[-1] if start else ""
    stem = main.rpartition("/")[2].partition(".")[0]
    if rest and rest[0].rpartition("/")[2].casefold() in (main.rpartition("/")[2].casefold(), stem.casefold()):
        return rest[1:]
    return None
