"""The one program in an answer to a question that asked for nothing else."""

from chatdev.agents import completeness, fences


def first_block(text: str) -> str | None:
    """The first fenced block of an answer, whatever it is called, with a last newline; None where there is no fence.

    A block that the answer breaks off in counts as far as it goes. One without any text is empty.
    """
    found = fences.blocks(fences.clean(text))
    if not found:
        return None
    code = "\n".join(found[0].lines)
    return f"{code}\n" if code.strip() else ""


def bare_python(text: str) -> str | None:
    """An answer that is a Python program from its first line to its last, without any fence; else None."""
    code = "\n".join(fences.clean(text))
    tree = completeness.parsed(code)
    return f"{code}\n" if tree and tree.body else None
