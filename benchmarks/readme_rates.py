"""How often a real model builds the README's three programs: python benchmarks/readme_rates.py --seeds 20

Asks the server at VLLM_ENDPOINT, builds each program once per seed with the company ``default``, several at a time, and
tries what it does with inputs of its own (``tests/real/does_it.py``). Prints a line per run, and the rates.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "real")]

import does_it  # noqa: E402

from chatdev import runs, wiring  # noqa: E402
from chatdev.journal.events import ModelAnswered  # noqa: E402
from chatdev.journal.store import read  # noqa: E402
from chatdev.models.choose import choose  # noqa: E402
from chatdev.settings import load_here  # noqa: E402

PROGRAMS: dict[str, tuple[str, Callable[[Path], Awaitable[bool]]]] = {
    "HelloWorld": ("create a hello world program", does_it.greets),
    "Calculator": ("create a calculator", does_it.computes),
    "TodoApp": ("create a todo app", does_it.keeps),
}


async def build(name: str, seed: int, warehouse: Path) -> tuple[str, bool]:
    """The verdict of one run, and whether its product does what was asked."""
    task, does = PROGRAMS[name]
    settings = load_here()
    choice = await choose("VLLM", settings)
    try:
        order = runs.Order(task=task, name=name, limits={"calls": 24}, sample=seed, settings=("Manual=off",))
        folder = runs.begin(order, warehouse, settings=settings)
        verdict = (await wiring.work(folder, choice)).verdict
    finally:
        await choice.backend.aclose()
    answers = [record.event for record in read(runs.log_of(folder)) if isinstance(record.event, ModelAnswered)]
    tokens = sum(answer.completion_tokens for answer in answers)
    really = verdict == "passed" and await does(folder)
    print(f"{name:<12} seed {seed:>2}: {verdict}, does it: {really}, {len(answers)} calls, {tokens} tokens", flush=True)
    return verdict, really


async def main() -> None:
    """Build them all, and print how often that worked."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=20)
    options.add_argument("--only", choices=list(PROGRAMS), action="append")
    options.add_argument("--jobs", type=int, default=1, help="projects at the same time")
    options.add_argument("--out", type=Path, help="a folder for the products, which are thrown away else")
    chosen = options.parse_args()
    names = chosen.only or list(PROGRAMS)
    ended: dict[str, list[tuple[str, bool]]] = {name: [] for name in names}
    free = asyncio.Semaphore(chosen.jobs)

    async def one(name: str, seed: int, folder: Path) -> None:
        async with free:
            ended[name].append(await build(name, seed, folder))

    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.out or Path(temporary)
        await asyncio.gather(*(one(name, seed, folder) for name in names for seed in range(1, chosen.seeds + 1)))
    for name, runs_of_it in ended.items():
        passed = sum(verdict == "passed" for verdict, _ in runs_of_it)
        right = sum(really for _, really in runs_of_it)
        print(f"{name}: passed {passed} of {chosen.seeds}, and does what was asked in {right}")


if __name__ == "__main__":
    asyncio.run(main())
