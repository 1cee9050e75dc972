"""A short test for a model whose size is not known: it reads small programs and says what they print.

Larger models do this better, and an answer takes only a few tokens.
"""

from typing import NamedTuple

import msgspec

from chatdev.models.errors import ModelError
from chatdev.ops.doctor.findings import Finding
from chatdev.ops.doctor.subject import SHORT, Subject


class ReadingTask(NamedTuple):
    """A program, and the one line that it prints."""

    program: str
    output: str


READINGS = (
    ReadingTask("words = ['pear', 'fig', 'apple']\nprint('-'.join(sorted(words, key=len))[::-1])", "elppa-raep-gif"),
    ReadingTask("total = 0\nfor n in range(1, 8):\n    if n % 3:\n        total += n * n\nprint(total)", "95"),
    ReadingTask("a, b = 3, 10\nwhile b:\n    a, b = b, (a + b) % 7\nprint(a)", "4"),
    ReadingTask("text = 'mississippi'\nprint(''.join(c for i, c in enumerate(text) if text.index(c) == i))", "misp"),
    ReadingTask(
        "rows = [[1, 2, 3], [4, 5, 6]]\nprint([list(r) for r in zip(*rows[::-1])])", "[[4, 1], [5, 2], [6, 3]]"
    ),
    ReadingTask("def f(n):\n    return n if n < 2 else f(n - 1) + 2 * f(n - 2)\n\nprint(f(7))", "43"),
    ReadingTask(
        "d = {}\nfor w in 'a b a c b a'.split():\n    d[w] = d.get(w, 0) + len(d)\nprint(d)", "{'a': 5, 'b': 4, 'c': 2}"
    ),
    ReadingTask("s = 'abcdef'\nfor k in (2, 3):\n    s = s[k:] + s[:k][::-1]\nprint(s)", "fbaedc"),
    ReadingTask(
        "n, steps = 12, 0\nwhile n != 1:\n    n = n // 2 if n % 2 == 0 else 3 * n + 1\n    steps += 1\nprint(steps)",
        "9",
    ),
    ReadingTask("print(sum(int(d) * (i % 2 + 1) for i, d in enumerate('49302')))", "27"),
)
"""Written for this test; ``tests/ops/test_doctor.py`` runs each program."""

_QUESTION = "What does this Python program print? Answer with the printed line alone.\n\n```python\n{}\n```"


async def skill(subject: Subject) -> Finding:
    """The share of programs whose output the model predicts; stored as ``skill`` in the profile."""
    right = 0
    for reading in READINGS:
        try:
            answer, _ = await subject.ask("skill", _QUESTION.format(reading.program), max_tokens=SHORT)
        except ModelError as error:
            return Finding("skill", "not known", error.what)
        right += _answered_line(answer.text) == reading.output
    subject.profile = msgspec.structs.replace(subject.profile, skill=right / len(READINGS))
    return Finding(
        "skill",
        "good",
        f"The model predicted the output of {right} of {len(READINGS)} small programs. Runs choose their effort by "
        "this, since its size is not known.",
    )


def _answered_line(text: str) -> str:
    """The answered line, without a fence or quotes around it."""
    lines = [line.strip().strip("`") for line in text.strip().splitlines()]
    lines = [line for line in lines if line and line not in ("python", "text", "plaintext")]
    return lines[0] if lines else ""
