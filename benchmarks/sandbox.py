"""Measures what one program costs at each sandbox level: wall time and CPU of a program that does nothing.

python benchmarks/sandbox.py [--runs N] [LEVEL …]      a level of chatdev sandbox check, or process-group

CPU is that of this process and its children, in user and kernel mode, without daemons such as Docker's.
"""

import argparse
import asyncio
import resource
import statistics
import sys
import time

from chatdev.sandbox import levels
from chatdev.sandbox.port import Job

_IDLE = Job(("sh", "-c", ":"), {"main.py": b"print(1)\n"})


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


async def cost(level: str, runs: int) -> str:
    """The figures of a level, as text."""
    sandbox = levels.at(level)
    await sandbox.run(_IDLE)
    seconds, before = [], _cpu()
    for _ in range(runs):
        began = time.perf_counter()
        outcome = await sandbox.run(_IDLE)
        seconds.append(time.perf_counter() - began)
        if outcome.exit_status != 0:
            sys.exit(f"{level}: {outcome}")
    cpu, (middle, high) = (_cpu() - before) / runs, (statistics.median(seconds), statistics.quantiles(seconds, n=10)[8])
    return f"{level:<14} p50 {middle * 1000:6.1f} ms   p90 {high * 1000:6.1f} ms   CPU {cpu * 1000:6.1f} ms"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("levels", nargs="*", default=(levels.UNSAFE, *reversed(levels.LEVELS)))
    asked = parser.parse_args()
    for each in asked.levels:
        print(asyncio.run(cost(each.replace("-", " "), asked.runs)), flush=True)
