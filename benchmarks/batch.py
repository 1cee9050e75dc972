"""Measures what a batch costs: own CPU per model call, memory, calls in flight, and growth with the projects.

    .venv/bin/python benchmarks/batch.py [quick|cpu|memory|flight|thousand|curve]...

The model is the playback server in processes of its own, so that only our cost is measured. CPU is the process's own
(user and system, all threads), without its children (the sandbox, the products' tests). ``quick``, the default, is
``cpu`` with few projects and ``memory``; the others take minutes. Each prints target and measurement.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from chatdev.sandbox.port import Job, Outcome, Sandbox

ROOT = Path(__file__).parent.parent
RECORDINGS = ROOT / "chatdev" / "playback" / "recordings"
HERE = {**os.environ, "PYTHONPATH": str(ROOT)}  # this clone, even if another one is installed
PLAIN = 12
"""Phases, and so calls, of the synthetic company; each gets one answer, and no program runs."""


_KEPT = tempfile.TemporaryDirectory(prefix="chatdev-batch-")


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of a batch. Times are in seconds; ``memory`` is the peak resident set in bytes."""

    projects: int
    results: int
    passed: int
    calls: int
    cpu: float
    wall: float
    memory: int

    @property
    def per_call(self) -> float:
        """Own CPU per call in ms."""
        return 1000 * self.cpu / max(self.calls, 1)


@contextlib.contextmanager
def playback(*words: str) -> Iterator[str]:
    """Runs a playback server in a process of its own; yields its endpoint."""
    command = [sys.executable, "-m", "chatdev", "playback", "--port", "0", *words]
    with subprocess.Popen(command, cwd=ROOT, env=HERE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[2]
        finally:
            process.terminate()


def company(folder: Path) -> Path:
    """A company of plain phases."""
    shutil.copytree(ROOT / "chatdev" / "company" / "full", folder)
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
    """A recording that answers everything with the same ``tokens`` tokens."""
    path = folder / "plain.recording"
    manner = f"[[manner]]\nfirst_token = {first_token}\n" if first_token else ""
    path.write_text(f'+++\n{manner}+++\n=== when ""\n{"word" * tokens}\n')
    return path


class Remembered:
    """A sandbox that runs each program once and then repeats its outcome, so that only our own cost remains. The runner
    signs each report with a new word; a repeated report gets the current one."""

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
    endpoint: str, projects: int, jobs: int, config: str = "full", *, stream: bool = False, run: bool = True
) -> Spent:
    """Run a batch in a process of its own; without ``run``, programs are remembered."""
    folder = tempfile.mkdtemp(dir=_KEPT.name)  # not deleted yet: ext4 searches long for inodes after many deletions
    words = [endpoint, folder, str(projects), str(jobs), config, str(int(stream)), str(int(run))]
    told = subprocess.check_output([sys.executable, __file__, "carry", *words], cwd=ROOT, env=HERE, text=True)
    return msgspec.json.decode(told.splitlines()[-1], type=Spent)


async def carry(
    endpoint: str, folder: Path, projects: int, jobs: int, config: str, *, stream: bool, run: bool
) -> Spent:
    """Build ``projects`` calculators and return the cost, without imports and compilation on first use."""
    from chatdev.fleet import batch, tasks
    from chatdev.fleet.ledger import BatchTask, Ledger
    from chatdev.fleet.plan import BatchPlan
    from chatdev.models.choose import choose
    from chatdev.models.spending import SharedCostBudget
    from chatdev.sandbox import levels
    from chatdev.settings import load

    sandbox = await levels.chosen(unsafe=False)
    sandbox = sandbox if run else Remembered(sandbox)
    choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, folder), cost_budget=SharedCostBudget())

    async def carried(some: Sequence[BatchTask]) -> None:
        async with batch.pooled(ledger.batch_folder, choice, sandbox, jobs, streamed=stream) as pool:
            await batch.run_projects(pool, ledger, some, lambda result: None, lambda: None)

    with contextlib.closing(Ledger(folder / "batch", BatchPlan(config=config))) as ledger:
        rows = [tasks.TaskRow(f"Calculator {number}", "create a calculator") for number in range(projects + 1)]
        first, *others = ledger.add(tasks.identities(rows))
        await carried([first])
        cpu, wall = time.process_time(), time.perf_counter()
        await carried(others)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        results = [ledger.results[task.id] for task in others if task.id in ledger.results]
        lines = len((folder / "batch" / "results.csv").read_text().splitlines()) - 2
    await choice.backend.aclose()
    return Spent(
        projects=projects,
        results=min(len(results), lines),
        passed=sum(each.status == "passed" for each in results),
        calls=sum(each.calls for each in results),
        cpu=cpu,
        wall=wall,
        memory=1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    )


async def calls(
    endpoint: str, at_once: int, seconds: float, *, stream: bool, latency: float = 0.0
) -> tuple[list[float], list[float]]:
    """Make the same calls with our backend and with a bare aiohttp client, ``at_once`` in parallel, each twice for
    ``seconds``, in the order bare, ours, ours, bare. Returns own CPU seconds per call, and calls per second. The calls
    start one after another within the server's ``latency`` and are counted once all have started."""
    import aiohttp

    from chatdev.fleet.batch import fewer_collections
    from chatdev.models.backend import VLLMModel
    from chatdev.models.types import Message, Options
    from chatdev.settings import load

    backend = VLLMModel(settings=load({"VLLM_ENDPOINT": endpoint}, Path("/nonexistent")))
    messages, options = [Message("user", "write")], Options(stream=stream)
    body = {"messages": [{"role": "user", "content": "write"}], "stream": stream, "max_tokens": 4096}

    async def ours() -> None:
        await backend.complete(messages, options)

    async def bare() -> None:
        async with session.post(f"{endpoint}/chat/completions", json=body) as response:
            if not stream:
                msgspec.json.decode(await response.read())["choices"][0]["message"]["content"]
                return
            parts: list[str] = []
            async for line in response.content:
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    parts += [each["delta"].get("content") or "" for each in msgspec.json.decode(line[6:])["choices"]]

    async def measured(ask: Callable[[], Awaitable[None]]) -> tuple[float, float]:
        done = 0

        async def worker(number: int) -> None:
            nonlocal done
            await asyncio.sleep(latency * number / at_once)
            while True:
                await ask()
                done += 1

        workers = [asyncio.create_task(worker(number)) for number in range(at_once)]
        await asyncio.sleep(2 * latency + 1)  # connections are made, code is loaded
        before, cpu, wall = done, time.process_time(), time.perf_counter()
        await asyncio.sleep(seconds)
        made, cpu, wall = done - before, time.process_time() - cpu, time.perf_counter() - wall
        for each in workers:
            each.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return cpu / made, made / wall

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        with fewer_collections():  # as in a batch
            found = [await measured(ask) for ask in (bare, ours, ours, bare)]
    await backend.aclose()
    return [each[0] for each in found], [each[1] for each in found]


def row(what: str, target: str, measured: str) -> None:
    """One line of the table."""
    print(f"| {what:<66} | {target:>10} | {measured:>34} |", flush=True)


def told(spent: Spent) -> str:
    return f"{spent.per_call:.2f} ({1000 * spent.cpu / spent.projects:.1f} ms per project)"


def cpu(scale: int) -> None:
    """CPU per call: phases alone, whole projects without and with the programs that they run, and streams."""
    with tempfile.TemporaryDirectory() as folder, playback(str(plain_recording(Path(folder)))) as endpoint:
        config = str(company(Path(folder) / "plain"))
        for stream in (False, True):
            spent = in_child(endpoint, 64 * scale, 256, config, stream=stream)
            how = "streamed" if stream else "whole answers"
            row(f"plain phases, {spent.projects} projects in flight, {how}: CPU per call (ms)", "< 1", told(spent))
        for stream in (True, False):
            (first, ours, again, last), _ = asyncio.run(calls(endpoint, 64, scale, stream=stream))
            how, bare = "streams of 100 tokens" if stream else "whole answers", first + last
            told_of = f"{(ours + again) / bare:.2f} ({500 * (ours + again):.2f} / {500 * bare:.2f} ms)"
            row(f"64 {how} in flight: our CPU / a bare client's", "<= 1.5" if stream else "", told_of)
    with playback(str(RECORDINGS / "calculator.recording")) as endpoint:
        spent = in_child(endpoint, 64 * scale, 64, run=False)
        row("calculators, programs remembered: CPU per call (ms)", "< 1", told(spent))
        spent = in_child(endpoint, 12 * scale, 64)
        row("calculators, programs run for real: CPU per call (ms)", "", told(spent))
        row("  projects per minute", "", f"{60 * spent.results / spent.wall:.0f}")


def memory(projects: int) -> None:
    """Peak memory with ``projects`` projects in flight."""
    with playback(str(RECORDINGS / "calculator.recording"), "--manner", "first_token = 2.0") as endpoint:
        spent = in_child(endpoint, projects, projects, run=False)
    row(f"{projects} calculators in flight, 2 s per answer: peak memory (MB)", "< 1000", f"{spent.memory / 1e6:.0f}")


def flight(at_once: int) -> None:
    """Calls with one second of latency, ``at_once`` in flight."""
    with tempfile.TemporaryDirectory() as folder, playback(str(plain_recording(Path(folder), 1.0))) as endpoint:
        spent_each, (first, one, other, last) = asyncio.run(calls(endpoint, at_once, 8.0, stream=False, latency=1.0))
        share = (one + other) / (first + last)
        row(f"{at_once} calls in flight, 1 s each: our speed / a bare client's", ">= 97 %", f"{100 * share:.1f} %")
        speeds = " ".join(f"{each:.0f}" for each in (first, one, other, last))
        row("  calls per second: bare client, ours, ours, bare client", "", speeds)
        costs = " ".join(f"{1000 * each:.2f}" for each in spent_each)
        row("  CPU per call (ms), in the same order", "", costs)
        spent = in_child(endpoint, at_once, at_once, str(company(Path(folder) / "plain")))
        row(f"{at_once} projects in flight, plain phases: calls per second", "", f"{spent.calls / spent.wall:.0f}")
        row("  CPU per call (ms), peak memory (MB)", "", f"{spent.per_call:.2f}, {spent.memory / 1e6:.0f}")


def thousand(projects: int) -> None:
    """Whole projects with their results."""
    with playback(str(RECORDINGS / "calculator.recording")) as endpoint:
        spent = in_child(endpoint, projects, 256, run=False)
    row(
        f"{projects} calculators, programs remembered: results, passed",
        str(projects),
        f"{spent.results}, {spent.passed}",
    )
    row("  CPU per call (ms)", "< 1", told(spent))
    row("  minutes, peak memory (MB)", "", f"{spent.wall / 60:.1f}, {spent.memory / 1e6:.0f}")


def curve(most: int) -> None:
    """The cost of a project by the number of projects, and two charts of it beside this file."""
    from chatdev.fleet import picture

    found: list[Spent] = []
    with tempfile.TemporaryDirectory() as folder, playback(str(plain_recording(Path(folder)))) as endpoint:
        config = str(company(Path(folder) / "plain"))
        for projects in (10, 30, 100, 300, 1000):
            if projects <= most:
                found.append(in_child(endpoint, projects, 256, config))
                measured = f"{1000 * found[-1].cpu / projects:.1f}, {found[-1].memory / 1e6:.0f}"
                row(f"{projects} projects of {PLAIN} calls: CPU (ms) of each, memory (MB)", "", measured)
    growth = found[-1].cpu / found[-1].projects / (found[0].cpu / found[0].projects)
    row(f"  CPU of each of {found[-1].projects} / CPU of each of {found[0].projects}", "<= 1", f"{growth:.2f}")
    shown = {
        "cpu": (f"Own CPU of a project of {PLAIN} calls, in ms", [1000 * each.cpu / each.projects for each in found]),
        "memory": ("Peak memory, in MB", [each.memory / 1e6 for each in found]),
    }
    for name, (title, values) in shown.items():
        rows = [(f"{each.projects} projects", (round(value),)) for each, value in zip(found, values, strict=True)]
        (ROOT / "benchmarks" / f"batch_{name}.svg").write_text(picture.stacked(title, (), rows))


def main() -> None:
    """Run the measurements that the arguments name."""
    if sys.argv[1:2] == ["carry"]:
        endpoint, folder, projects, jobs, config, stream, run = sys.argv[2:]
        how = {"stream": stream == "1", "run": run == "1"}
        spent = asyncio.run(carry(endpoint, Path(folder), int(projects), int(jobs), config, **how))
        print(msgspec.json.encode(spent).decode())
        return
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("what", nargs="*", choices=["quick", *_ALL], default=["quick"])
    asked = options.parse_args().what
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    row("", "target", "measured")
    row("-" * 66, "-" * 10, "-" * 34)
    for what in asked:
        if what == "quick":
            cpu(1)
            memory(256)
        else:
            _ALL[what]()


_ALL: dict[str, Callable[[], None]] = {
    "cpu": lambda: cpu(4),
    "memory": lambda: memory(256),
    "flight": lambda: flight(1024),
    "thousand": lambda: thousand(1000),
    "curve": lambda: curve(1000),
}

if __name__ == "__main__":
    main()
