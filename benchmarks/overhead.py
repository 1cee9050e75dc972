"""Measures what ChatDev itself costs: CPU per call, wall time of a whole run, memory, start-up, paced streams.

    .venv/bin/python benchmarks/overhead.py [--runs 5]

The model is the playback server in a process of its own. It answers immediately with the recorded calculator, so that
only our cost is measured. CPU is the process's own (user and system, all threads), without its children (the sandbox,
the product's tests). Prints a table of target and measurement, the median of the runs.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
RECORDINGS = ROOT / "chatdev" / "playback" / "recordings"
STREAMS, TOKENS, PACE = 32, 150, 0.02
"""Paced streams: their number, their length in tokens, and seconds between two tokens."""


@contextlib.contextmanager
def playback(*words: str) -> Iterator[str]:
    """Runs a playback server in a process of its own; yields its endpoint."""
    command = [sys.executable, "-m", "chatdev", "playback", "--port", "0", *words]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().split()[2]
        finally:
            process.terminate()


def whole_run(endpoint: str) -> tuple[float, int, float]:
    """Build a calculator with ``full``, in a process that built one before: seconds of own CPU after setup, calls, ms
    of CPU per call."""
    from chatdev import runs, wiring
    from chatdev.journal import store
    from chatdev.journal.events import AttemptStarted, ModelAnswered
    from chatdev.models.choose import choose
    from chatdev.settings import load
    from chatdev.views.terminal import Terminal

    async def run(warehouse: Path) -> tuple[float, int]:
        warehouse.mkdir()
        choice = await choose("VLLM", load({"VLLM_ENDPOINT": endpoint}, warehouse))
        folder = runs.begin(runs.RunRequest(task="create a calculator", name="Calculator", config="full"), warehouse)
        with (warehouse / "out").open("w") as out:
            terminal = Terminal(out)
            before = 0.0

            def on_record(record: store.Record) -> None:
                nonlocal before
                terminal.on_record(record)
                if isinstance(record.event, AttemptStarted):  # the company and its prompts are read, the work begins
                    before = time.process_time()

            verdict = await wiring.work(folder, choice, listeners=wiring.Listeners(on_record, terminal.on_progress))
            spent = time.process_time() - before
        await choice.backend.aclose()
        if verdict.verdict != "passed":
            raise SystemExit(f"the verdict of the run is {verdict.verdict}")
        records = store.read(runs.log_of(folder))
        return spent, sum(isinstance(record.event, ModelAnswered) for record in records)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder, "first")))  # imports and compilation on first use are start-up
        spent, calls = asyncio.run(run(Path(folder, "second")))
    return spent, calls, 1000 * spent / calls


def command(words: list[str], environ: dict[str, str]) -> tuple[float, float, float]:
    """Run a command: seconds of wall time, seconds of its own CPU, peak memory in MB.

    A wrapper in the child reads RUSAGE_SELF at its exit, so that the child's own children do not count.
    """
    wrapper = (
        "import atexit, resource, runpy, sys\n"
        "def tell():\n"
        "    used = resource.getrusage(resource.RUSAGE_SELF)\n"
        "    open(sys.argv_out, 'w').write(f'{used.ru_utime + used.ru_stime} {used.ru_maxrss}')\n"
        "sys.argv_out = sys.argv.pop(1)\n"
        "atexit.register(tell)\n"
        "sys.argv = sys.argv[1:]\n"
        "sys.path.insert(0, '.')\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "usage"
        begun = time.perf_counter()
        subprocess.run(
            [sys.executable, "-c", wrapper, str(out), *words],
            cwd=folder,
            env={**os.environ, **environ},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        wall = time.perf_counter() - begun
        cpu, memory = out.read_text().split()
    return wall, float(cpu), float(memory) / 1024


async def paced(ask: Callable[[int], "asyncio.Future[None]"]) -> float:
    """Own CPU seconds of all paced streams in parallel."""
    before = time.process_time()
    await asyncio.gather(*(ask(number) for number in range(STREAMS)))
    return time.process_time() - before


async def streams(endpoint: str) -> tuple[float, float]:
    """Own CPU of the paced streams: through our backend, and through a bare aiohttp client that decodes each event."""
    import aiohttp
    import msgspec

    from chatdev.models.backend import VLLMModel
    from chatdev.models.types import Message, Options
    from chatdev.settings import load

    backend = VLLMModel(settings=load({"VLLM_ENDPOINT": endpoint}, Path("/nonexistent")))
    messages = [Message("user", "write")]

    async def ours(number: int) -> None:
        completion = await backend.complete(messages, Options(request_id="Any.1"), lambda progress: None)
        assert completion.usage.completion_tokens == TOKENS, completion

    async def bare(session: aiohttp.ClientSession) -> None:
        body = {"messages": [{"role": "user", "content": "write"}], "stream": True, "max_tokens": 4096}
        parts: list[str] = []
        async with session.post(f"{endpoint}/chat/completions", json=body) as response:
            async for line in response.content:
                if line.startswith(b"data: ") and not line.startswith(b"data: [DONE]"):
                    choices = msgspec.json.decode(line[6:])["choices"]
                    parts += [choice["delta"].get("content") or "" for choice in choices]
        assert len("".join(parts)) == 4 * TOKENS

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await ours(0)
        await bare(session)
        our_cpu = await paced(lambda number: asyncio.ensure_future(ours(number)))
        bare_cpu = await paced(lambda number: asyncio.ensure_future(bare(session)))
    await backend.aclose()
    return our_cpu, bare_cpu


def row(what: str, target: str, measured: str, before: str) -> None:
    """One line of the table."""
    print(f"| {what:<58} | {target:>12} | {measured:>18} | {before:>12} |", flush=True)


def in_child(what: str, endpoint: str) -> list[float]:
    """The figures that a new process of this script prints for one measurement."""
    words = [sys.executable, __file__, "--measure", what, "--endpoint", endpoint]
    return [float(figure) for figure in subprocess.check_output(words, cwd=ROOT, text=True).split()]


def main() -> None:
    """Measure everything and print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--measure", choices=["run", "streams"], help=argparse.SUPPRESS)
    options.add_argument("--endpoint", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.measure == "run":
        print(*whole_run(chosen.endpoint))
        return
    if chosen.measure == "streams":
        print(*asyncio.run(streams(chosen.endpoint)))
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    row("", "target", "measured", "ChatDev 1.0")
    row("-" * 58, "-" * 12, "-" * 18, "-" * 12)
    task = ["--task", "create a calculator", "--name", "Calculator", "--model", "VLLM", "--config", "full"]
    with playback(str(RECORDINGS / "calculator.recording")) as endpoint:
        per_call = [in_child("run", endpoint) for _ in range(chosen.runs)]
        row("own CPU per model call, over a whole run (ms)", "< 1.5", figures([run[2] for run in per_call]), "130")
        whole = [command([str(ROOT / "run.py"), *task], {"VLLM_ENDPOINT": endpoint}) for _ in range(chosen.runs)]
        row("wall time of run.py, tests run for real (s)", "< 3", figures([run[0] for run in whole]), "14-17")
        row("own CPU of run.py, start-up included (s)", "", figures([run[1] for run in whole]), "2.2-2.6")
        row("peak memory of run.py (MB)", "< 80", figures([run[2] for run in whole]), "140")
    shown = [command([str(ROOT / "chatdev" / "__main__.py"), "--help"], {}) for _ in range(chosen.runs)]
    row("CPU of chatdev --help (s)", "< 0.25", figures([run[1] for run in shown]), "1.1")
    with tempfile.TemporaryDirectory() as folder:
        paced_recording = Path(folder) / "paced.recording"
        text = "word" * TOKENS
        paced_recording.write_text(f'+++\n[[manner]]\nper_token = {PACE}\n+++\n=== when ""\n{text}\n')
        with playback(str(paced_recording)) as endpoint:
            pairs = [in_child("streams", endpoint) for _ in range(chosen.runs)]
    row(f"{STREAMS} paced streams: our CPU / a bare client's", "<= 1.5", figures([a / b for a, b in pairs]), "")
    row("  our CPU per token (µs)", "", figures([1e6 * a / (STREAMS * TOKENS) for a, _ in pairs]), "")


def figures(values: list[float]) -> str:
    """The median, and the range in parentheses."""
    return f"{statistics.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


if __name__ == "__main__":
    main()
