"""Measures how often a real model solves one-sentence tasks: python benchmarks/one_sentence.py --seeds 20

Builds each program once per seed with the company ``default`` and the server at VLLM_ENDPOINT, and tries it with other
inputs (``tests/helpers/does_it.py``). The first three tasks are the README's. Prints a line per run, and for each task
the number of runs that say ``passed``, and how many of these and of the others do what the task says.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from helpers import does_it  # noqa: E402

from chatdev import runs, wiring  # noqa: E402
from chatdev.journal.events import ModelAnswered  # noqa: E402
from chatdev.journal.store import read  # noqa: E402
from chatdev.models.choose import choose  # noqa: E402
from chatdev.settings import load_here  # noqa: E402

PROGRAMS: dict[str, tuple[str, Callable[[Path], Awaitable[bool]]]] = {
    "HelloWorld": ("create a hello world program", does_it.greets),
    "Calculator": ("create a calculator", does_it.computes),
    "TodoApp": ("create a todo app", does_it.keeps),
    **{
        name: (task, partial(does_it.answers, given=given, wanted=wanted))
        for name, task, given, wanted in (
            (
                "Primes",
                "print the first 20 prime numbers",
                (),
                "2 3 5 7 11 13 17 19 23 29 31 37 41 43 47 53 59 61 67 71",
            ),
            (
                "FizzBuzz",
                "print the numbers from 1 to 100, with Fizz for multiples of three and Buzz for multiples of five",
                (),
                "1 2 Fizz 4 Buzz Fizz 7 8 Fizz Buzz 11 Fizz 13 14 FizzBuzz 16",
            ),
            ("Tables", "print the multiplication table up to ten", (), "100"),
            ("Celsius", "convert celsius to fahrenheit", ("35",), "95"),
            ("Words", "count the words of a text", ("a b c d e f g",), "7"),
            ("Vowels", "count the vowels in a text", ("banana split",), "4"),
            ("Reverse", "a program that reverses a text", ("stressed",), "desserts"),
            ("Binary", "convert numbers to binary", ("37",), "100101"),
            ("Gcd", "compute the greatest common divisor of two numbers", ("84", "36"), "12"),
            ("Roman", "convert roman numerals to numbers", ("MCMXCIV",), "1994"),
            ("Factors", "list the prime factors of a number", ("60",), "2 2 3 5"),
            ("Caesar", "encrypt a text with the caesar cipher, shifting by three", ("zebra",), "cheud"),
            ("Longest", "find the longest word of a sentence", ("the hippopotamus swims",), "hippopotamus"),
        )
    },
}


async def build(name: str, seed: int, warehouse: Path, settings_of_run: tuple[str, ...]) -> tuple[str, bool]:
    """The verdict of one run, and whether its product does what the task says."""
    task, does = PROGRAMS[name]
    settings = load_here()
    choice = await choose("VLLM", settings)
    try:
        order = runs.RunRequest(task=task, name=name, limits={"calls": 24}, sample=seed, settings=settings_of_run)
        folder = runs.begin(order, warehouse, settings=settings)
        verdict = (await wiring.work(folder, choice)).verdict
    finally:
        await choice.backend.aclose()
    answers = [record.event for record in read(runs.log_of(folder)) if isinstance(record.event, ModelAnswered)]
    tokens = sum(answer.completion_tokens for answer in answers)
    really = (folder / "main.py").exists() and await does(folder)
    print(f"{name:<12} seed {seed:>2}: {verdict}, does it: {really}, {len(answers)} calls, {tokens} tokens", flush=True)
    return verdict, really


async def main() -> None:
    """Build all programs, and print how many work."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--only", choices=list(PROGRAMS), action="append")
    options.add_argument("--jobs", type=int, default=1, help="projects in parallel")
    options.add_argument("--set", action="append", default=["Manual=off"], metavar="PHASE.KEY=VALUE")
    options.add_argument("--out", type=Path, help="a folder for the products; without it, they are deleted")
    chosen = options.parse_args()
    names = chosen.only or list(PROGRAMS)
    ended: dict[str, list[tuple[str, bool]]] = {name: [] for name in names}
    free = asyncio.Semaphore(chosen.jobs)

    async def one(name: str, seed: int, folder: Path) -> None:
        async with free:
            ended[name].append(await build(name, seed, folder, tuple(chosen.set)))

    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.out or Path(temporary)
        await asyncio.gather(*(one(name, seed, folder) for name in names for seed in range(1, chosen.seeds + 1)))
    for name, runs_of_it in ended.items():
        passed = [really for verdict, really in runs_of_it if verdict == "passed"]
        others = [really for verdict, really in runs_of_it if verdict != "passed"]
        print(f"{name}: {len(passed)} of {chosen.seeds} passed, {sum(passed)} of them do it, {sum(others)} others too")


if __name__ == "__main__":
    asyncio.run(main())
