"""What a batch costs: own CPU per model call, memory, calls in flight, and how all that grows with the projects.

    .venv/bin/python benchmarks/batch.py [quick|cpu|memory|flight|thousand|curve]...

The model is the playback server in processes of its own, so that all that is measured is ours. CPU is the process's own
(user and system, all threads); what children use (the sandbox, the products' tests) is not in it. ``quick``, the
default, is ``cpu`` with few projects and ``memory``; the others take minutes. Each prints target and measurement.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from chatdev.sandbox.port import Job, Outcome, Sandbox

ROOT = Path(__file__).parent.parent
RECORDINGS = ROOT / "chatdev" / "playback" / "recordings"
HERE = {**os.environ, "PYTHONPATH": str(ROOT)}  # this clone, wherever an installed one may be
PLAIN = 12
"""Phases, and so calls, of the synthetic company; each is a talk of one answer, and nothing is run."""


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch took. Seconds; ``memory`` is the peak resident set in bytes."""

    projects: int
    results: int
    passed: int
    calls: int
    cpu: float
    wall: float
    memory: int

    @property
    def per_call(self) -> float:
        """Own CPU of a call in ms."""
        return 1000 * self.cpu / max(self.calls, 1)


@contextlib.contextmanager
def playback(*words: str) -> Iterator[str]:
    """A playback server in a process of its own: its endpoint."""
    command = [sys.executable, "-m", "chatdev", "playback", "--port", "0", *words]
    with subprocess.Popen(command, cwd=ROOT, env=HERE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[2]
        finally:
            process.terminate()


def company(folder: Path) -> Path:
    """A company of plain phases."""
    import shutil

    shutil.copytree(ROOT / "chatdev" / "company" / "default", folder)
    head = (folder / "company.toml").read_text()
    kept = head[head.index("[requests]") :] if "[requests]" in head else ""
    chain = "\n".join(f'[[chain]]\nphase = "Plain{number}"' for number in range(1, PLAIN + 1))
    (folder / "company.toml").write_text(f'name = "Plain"\ndescription = "Talks"\n{chain}\n{kept}')
    for path in (folder / "phases").iterdir():
        path.unlink()
    for number in range(1, PLAIN + 1):
        (folder / "phases" / f"Plain{number}.md").write_text(
            f'+++\nassistant = "Programmer"\nuser = "Chief Technology Officer"\nsets = "said{number}"\n+++\nSay it.\n'
        )
    return folder


def plain_recording(folder: Path, first_token: float = 0.0, tokens: int = 100) -> Path:
    """The same answer of so many tokens to everything."""
    path = folder / "plain.recording"
    manner = f"[[manner]]\nfirst_token = {first_token}\n" if first_token else ""
    path.write_text(f'+++\n{manner}+++\n=== when ""\n{"word" * tokens}\n')
    return path


class Remembered:
    """A sandbox that runs each program once, and tells afterwards what that gave: what is left is our own part. The
    runner signs its reports with a word that is new each time, so that this is put in."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._known: dict[tuple[object, ...], tuple[str, Outcome]] = {}

    @property
    def level(self) -> str:
        return self._sandbox.level

    async def run(self, job: Job) -> Outcome:
        key = (job.argv, *sorted(job.files.items()))
        nonce = job.stdin.decode()
        if key not in self._known:
            self._known[key] = nonce, await self._sandbox.run(job)
        told, outcome = self._known[key]
        return msgspec.structs.replace(outcome, stdout=outcome.stdout.replace(told, nonce))


def in_child(
    endpoint: str, folder: Path, projects: int, jobs: int, config: str = "default", stream: bool = False
) -> Spent:
    """A batch in a process of its own."""
    words = ["--carry", endpoint, str(folder), str(projects), str(jobs), config, str(int(stream))]
    told = subprocess.check_output([sys.executable, __file__, *words], cwd=ROOT, env=HERE, text=True)
    return msgspec.json.decode(told.splitlines()[-1], type=Spent)


async def carry(endpoint: str, folder: Path, projects: int, jobs: int, config: str, stream: bool) -> Spent:
    """Carry so many calculators, and say what that took. What is imported and compiled on first use is not in it."""
    from chatdev.fleet import batch, tasks
    from chatdev.fleet.ledger import Ledger, Plan
    from chatdev.models.choose import choose
    from chatdev.models.purse import SharedPurse
    from chatdev.sandbox import ladder
    from chatdev.settings import load

    settings = load({"VLLM_ENDPOINT": endpoint}, folder)
    sandbox = await ladder.chosen(unsafe=False)
    choice = await choose("VLLM", settings, purse=SharedPurse())
    with contextlib.closing(Ledger(folder / "batch", Plan(config=config))) as ledger:
        rows = [tasks.Row(f"Calculator {number}", "create a calculator") for number in range(projects + 1)]
        first, *others = ledger.add(tasks.identities(rows))
        async with batch.pooled(ledger, choice, sandbox, jobs, streamed=stream) as pool:
            await batch.carry(pool, ledger, [first], lambda result: None, lambda: None)
        cpu, wall = time.process_time(), time.perf_counter()
        async with batch.pooled(ledger, choice, sandbox, jobs, streamed=stream) as pool:
            if profile := os.environ.get("BATCH_PROFILE"):
                import cProfile

                profiler = cProfile.Profile(time.thread_time)
                profiler.enable()
            await batch.carry(pool, ledger, others, lambda result: None, lambda: None)
            if profile:
                profiler.disable()
                profiler.dump_stats(profile)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        results = [ledger.results[task.id] for task in others if task.id in ledger.results]
    await choice.backend.aclose()
    return Spent(
        projects=projects,
        results=len(results),
        passed=sum(each.status == "passed" for each in results),
        calls=sum(each.calls for each in results),
        cpu=cpu,
        wall=wall,
        memory=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


def drive() -> None:
    words = sys.argv[1:]
    if words[:1] == ["--carry"]:
        endpoint, folder, projects, jobs, config, stream = words[1:]
        spent = asyncio.run(carry(endpoint, Path(folder), int(projects), int(jobs), config, bool(int(stream))))
        print(msgspec.json.encode(spent).decode())


if __name__ == "__main__":
    drive()
