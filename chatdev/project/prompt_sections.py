"""Which parts of a conversation may be cut for a small context window, and in which order: docs/windows.md.

The parts are found in the finished text, by the texts that the phase knows to be in it. So a company's templates need
not declare them, and a prompt that fits stays the same to the byte.
"""

import re
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from chatdev.agents.filenames import belongs_to_tests
from chatdev.models.types import Message, Part
from chatdev.project.prompt_texts import report_text, started_text
from chatdev.project.signatures import signatures
from chatdev.project.state import State

LEFT_OUT = "[… left out to fit …]"
SMALLEST = 120
"""A text with fewer characters is not cut: that would gain nothing."""

ENDS = 12
"""Lines kept at either end of a long output: its heading and first cause, and how it ended."""

TALK, FILES, OUTPUTS, TESTS, REACHED = 1_000, 2_000, 3_000, 4_000, 5_000
"""Ranks, lowest cut first: earlier answers, oldest first; files that the question does not name; outputs, and the
latest answer; tests that the question names; the modules that those import. Among files, tests go before the program,
and long ones before short ones, so that few are cut. Everything else is never cut."""

_HEADING = 400
"""How many characters before a file are searched for its path and the fence."""


def named(messages: Sequence[Message], state: State, earlier_answers: Sequence[str]) -> tuple[Message, ...]:
    """The messages divided into parts; ``earlier_answers`` are the earlier answers of this phase, oldest first."""
    talk = [
        Part(
            text,
            "an earlier answer",
            TALK + age if age < len(earlier_answers) - 1 else OUTPUTS,
            "left out",
            lambda: LEFT_OUT,
        )
        for age, text in enumerate(earlier_answers)
    ]
    messages = _split(messages, talk)
    messages = _split(messages, [part for path, text in state.files.items() if (part := _file(messages, path, text))])
    messages = _split(messages, _outputs(state))
    return _ranked(messages, state)


def _file(messages: Sequence[Message], path: str, text: str) -> Part | None:
    """The part of a message that holds a file, from the line that names it."""
    body = text.rstrip()
    for part in _unnamed(messages):
        before, found, _ = part.text.partition(body)
        if found:
            heading = re.search(rf"^.*{re.escape(path)}.*\n.*\n?\Z", before[-_HEADING:], re.MULTILINE)
            head = heading[0] if heading else ""
            return Part(head + body, path, how="as signatures", shorten=partial(_signed, head, path, body))
    return None


def _signed(head: str, path: str, body: str) -> str:
    return head + signatures(path, body)


def _outputs(state: State) -> Iterable[Part]:
    texts = {
        "the tests' report": report_text(state.tests) if state.tests is not None and state.tested else "",
        "the product's output": started_text(state.started) if state.started is not None and state.watched else "",
    }
    for name, text in texts.items():
        yield Part(text.rstrip(), name, OUTPUTS, "shortened", partial(_ends, text.rstrip()))


def _ends(text: str) -> str:
    lines = text.splitlines()
    return text if len(lines) <= 2 * ENDS else "\n".join([*lines[:ENDS], LEFT_OUT, *lines[-ENDS:]])


def _split(messages: Sequence[Message], parts: Iterable[Part]) -> list[Message]:
    """The messages with these parts named at their first place; the longest first, since it may contain others."""
    found = list(messages)
    for part in sorted(parts, key=lambda part: -len(part.text)):
        if len(part.text) < SMALLEST:
            continue
        for index, message in enumerate(found):
            if message.role == "system" or part.text not in message.content:
                continue
            pieces = message.parts or (Part(message.content),)
            at = next((at for at, piece in enumerate(pieces) if not piece.name and part.text in piece.text), None)
            if at is not None:
                before, _, after = pieces[at].text.partition(part.text)
                cut = (*pieces[:at], Part(before), part, Part(after), *pieces[at + 1 :])
                found[index] = msgspec.structs.replace(message, parts=cut)
                break
    return found


def _unnamed(messages: Iterable[Message]) -> Iterable[Part]:
    for message in messages:
        if message.role != "system":
            yield from (part for part in message.parts or (Part(message.content),) if not part.name)


def _ranked(messages: Iterable[Message], state: State) -> tuple[Message, ...]:
    """The messages with ranks for files, by the files that the rest of the text names."""
    messages = tuple(messages)
    files = {part.name for message in messages for part in message.parts if part.name in state.files}
    rest = "".join(
        part.text
        for message in messages
        if message.role != "system"
        for part in message.parts or (Part(message.content),)
        if part.name not in files
    )
    wanted = {path for path in state.files if _names(rest, path)}
    tests = {path for path in wanted if belongs_to_tests(path)}
    reached = _reached(tests, state) - wanted
    order = sorted(files, key=lambda path: (not belongs_to_tests(path), -len(state.files[path]), path))

    def rank(part: Part) -> Part:
        if part.name not in files:
            return part
        if part.name in wanted - tests:
            return Part(part.text, part.name)
        rule = TESTS if part.name in tests else REACHED if part.name in reached else FILES
        return msgspec.structs.replace(part, rank=rule + order.index(part.name))

    return tuple(
        msgspec.structs.replace(message, parts=tuple(map(rank, message.parts))) if message.parts else message
        for message in messages
    )


def _reached(tests: Iterable[str], state: State) -> set[str]:
    """The files that tests use: those that they name, and all files of a package that they import."""
    found: set[str] = set()
    for text in map(state.files.__getitem__, tests):
        imported = set(re.findall(r"^\s*(?:from|import)\s+(\w+)", text, re.MULTILINE))
        found |= {path for path in state.files if re.split(r"[/.]", path)[0] in imported or _names(text, path)}
    return found


def _names(text: str, path: str) -> bool:
    """Whether a text names a file, by its path or by its bare name."""
    name = path.rpartition("/")[2]
    return name in text and re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) is not None
