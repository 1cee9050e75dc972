"""The program in an answer to a question that requested only a program."""

from chatdev.agents import completeness, fences
from chatdev.agents.cleaning import clean


def first_block(text: str) -> str | None:
    """The first fenced block of an answer, whatever its name, with a final newline; None if there is no fence.

    A block in which the answer breaks off counts up to there. A block without text gives an empty string.
    """
    found = fences.blocks(clean(text))
    if not found:
        return None
    code = "\n".join(found[0].lines)
    return f"{code}\n" if code.strip() else ""


def bare_python(text: str) -> str | None:
    """The answer if it is a Python program from its first line to its last, without a fence; else None."""
    code = "\n".join(clean(text))
    tree = completeness.parsed(code)
    return f"{code}\n" if tree and tree.body else None
