"""What is read from an answer: files, and the blocks that are not files."""

from typing import Literal

import msgspec

Doubt = Literal[
    "cut",
    "elided",
    "twice",
    "name guessed",
    "name line dropped",
    "not closed",
    "fences inside",
    "does not parse",
    "changed",
    "put right",
]


class File(msgspec.Struct, frozen=True):
    """One file of an answer. ``path`` is as the model wrote it, unsafe; ``text`` is verbatim, with a final newline.

    ``cut``: the answer ended inside it. ``elided``: the line that replaces omitted code, else empty. ``name_in_answer``
    is empty if it does not differ from ``path``. ``put_right`` says what was wrong with the text and is right now.
    """

    path: str
    text: str
    cut: bool = False
    doubts: tuple[Doubt, ...] = ()
    elided: str = ""
    name_in_answer: str = ""
    put_right: str = ""

    @property
    def whole(self) -> bool:
        """Whether the file is complete, so that it may replace the product's file."""
        return not self.cut and not self.elided


class Skipped(msgspec.Struct, frozen=True):
    """A block that is not a file, and why. ``line`` counts from 1, in the answer without its thoughts.

    ``change``: it changes the file at ``path`` and cannot be applied, so that the whole file is needed.
    """

    line: int
    first: str
    why: str
    path: str = ""
    change: bool = False


class ParsedReply(msgspec.Struct, frozen=True):
    """Everything read from an answer."""

    files: tuple[File, ...] = ()
    skipped: tuple[Skipped, ...] = ()
