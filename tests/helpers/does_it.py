"""Whether a delivered product really does what was asked, whatever its interface: other inputs than those it was tested
with, in the form of the rows that it passes.

Nothing here knows how a product is used: that stands in its ``tests/acceptance.txt``.
"""

import operator
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from chatdev.product import rows, verdict
from chatdev.product.rows import Row
from chatdev.product.sessions import Invocation, run_sessions
from chatdev.sandbox import levels

COMMAND = "python3 main.py"
PROGRAM = (sys.executable, "-s", "-B", "main.py")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?![\w.])")
OPERATIONS: tuple[Callable[[float, float], float], ...] = (
    operator.add, operator.sub, operator.mul, operator.truediv,
)  # fmt: skip


def all_rows_of(folder: Path) -> tuple[Row, ...]:
    path = folder / rows.FILE
    return rows.parse(path.read_text(encoding="utf-8"), COMMAND).rows if path.exists() else ()


def rows_of(folder: Path) -> tuple[Row, ...]:
    return tuple(row for row in all_rows_of(folder) if row.tier not in ("dropped", "open"))


async def printed(folder: Path, calls: list[Invocation]) -> str:
    """What the product prints over several starts in one folder."""
    files = verdict.read_folder(folder)
    (ended,) = await run_sessions(await levels.chosen(unsafe=False), files, PROGRAM, [calls])
    return "\n".join(one.stdout for one in ended)


async def greets(folder: Path) -> bool:
    """It says hello to the world."""
    return re.search(r"hello\W+world", await printed(folder, [Invocation()]), re.I) is not None


async def computes(folder: Path) -> bool:
    """It gives the right result for two numbers that no test of its own holds, for each operation of its rows."""
    tried = 0
    for call, operate in _sums(folder):
        first, second = 84.0, 4.0
        swapped = _with(call, iter((f"{first:g}", f"{second:g}")))
        wanted = operate(first, second)
        found = [float(text) for text in NUMBER.findall(await printed(folder, [swapped]))]
        if not any(abs(number - wanted) < 1e-6 for number in found):
            return False
        tried += 1
    return tried > 0


async def answers(folder: Path, given: tuple[str, ...], wanted: str) -> bool:
    """It prints these words in this order for an input that no test of its own holds, given as its rows give theirs:
    as arguments, or on standard input. Brackets, commas and lines do not count."""
    first = next((row.steps[0].call for row in all_rows_of(folder) if len(row.steps) == 1), Invocation())
    call = Invocation(stdin="\n".join(given) + "\n") if first.stdin and not first.args else Invocation(given)
    if len(first.args) > len(given) == 1:
        call = Invocation(tuple(given[0].split()))
    words = re.findall(r"[\w.-]+", (await printed(folder, [call])).casefold())
    plain = [re.sub(r"\.0+$", "", word).strip(".") for word in words]
    return f" {wanted.casefold()} " in f" {' '.join(plain)} "


def _sums(folder: Path) -> Iterator[tuple[Invocation, Callable[[float, float], float]]]:
    """The rows that are a sum of two numbers, with what is done to them."""
    for row in rows_of(folder):
        call = row.steps[0].call
        given = NUMBER.findall(" ".join(call.args)) + NUMBER.findall(call.stdin)
        wanted = NUMBER.findall(row.steps[0].expected)
        if len(row.steps) != 1 or len(given) != 2 or not wanted:
            continue
        first, second = map(float, given)
        for operate in OPERATIONS:
            if operate is operator.truediv and not second:
                continue
            if abs(operate(first, second) - float(wanted[-1])) < 1e-9:
                yield call, operate
                break


def _with(call: Invocation, numbers: Iterator[str]) -> Invocation:
    def swap(text: str) -> str:
        return NUMBER.sub(lambda found: next(numbers), text)

    return Invocation(tuple(swap(arg) for arg in call.args), swap(call.stdin))


async def keeps(folder: Path) -> bool:
    """What is put in comes back later: a word of an input that a row shows in a later output, replaced by another."""
    for row in rows_of(folder):
        *before, last = (f"{' '.join(step.call.args)} {step.call.stdin}" for step in row.steps)
        expected = row.steps[-1].expected
        for word in dict.fromkeys(re.findall(r"[A-Za-z]{4,}", " ".join(before))):
            if word in expected and word not in last:
                calls = [_replacing(step.call, word, "zebra") for step in row.steps]
                if "zebra" in await printed(folder, calls):
                    return True
    return False


def _replacing(call: Invocation, word: str, other: str) -> Invocation:
    return Invocation(tuple(arg.replace(word, other) for arg in call.args), call.stdin.replace(word, other))
