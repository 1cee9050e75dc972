"""Each limit ends a program that passes it, whatever the program does against that."""

import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from processes import alive, until

from chatdev.sandbox import local, trees
from chatdev.sandbox.local import LocalSandbox
from chatdev.sandbox.port import Job, Limits, Outcome

SLEEP = "import time; time.sleep(600)"
HOG = "hog = b'x' * (80 << 20); import time; time.sleep(600)"
needs_proc = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[LocalSandbox]:
    yield LocalSandbox(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def run(sandbox: LocalSandbox, code: str, limits: Limits) -> Outcome:
    return await sandbox.run(Job((sys.executable, "-c", code), {}, limits=limits))


@pytest.mark.parametrize(
    "code",
    [
        SLEEP,
        "while True: pass",
        "import signal, time\nfor n in range(1, 32):\n  try: signal.signal(n, signal.SIG_IGN)\n  except OSError: pass\n"
        + SLEEP,
        "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])",
    ],
    ids=["asleep", "busy", "deaf", "waiting for a child"],
)
async def test_time(sandbox: LocalSandbox, code: str) -> None:
    outcome = await run(sandbox, code, Limits(seconds=0.4))
    assert (outcome.stopped, outcome.exit_status) == ("time", None)


async def test_what_was_printed_before_the_limit_is_kept(sandbox: LocalSandbox) -> None:
    outcome = await run(sandbox, f"print('said', flush=True); {SLEEP}", Limits(seconds=0.6))
    assert (outcome.stopped, outcome.stdout) == ("time", "said\n")


@needs_proc
async def test_memory_of_one_process(sandbox: LocalSandbox) -> None:
    outcome = await run(sandbox, HOG, Limits(memory=60 << 20))
    assert outcome.stopped == "memory"
    assert outcome.memory > 60 << 20


@needs_proc
async def test_memory_of_many_small_processes(sandbox: LocalSandbox) -> None:
    code = f"import os\nfor _ in range(8):\n  if not os.fork():\n    hog = os.urandom(20 << 20); {SLEEP}\n{SLEEP}"
    outcome = await run(sandbox, code, Limits(memory=120 << 20))
    assert outcome.stopped == "memory"


@needs_proc
async def test_page_tables_count_as_memory(sandbox: LocalSandbox) -> None:
    code = (
        "import mmap, time\nkind = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000\nkept = []\n"
        "for _ in range(60):\n"
        "  kept.append(mmap.mmap(-1, 2 << 30, flags=kind, prot=1)); kept[-1].madvise(mmap.MADV_NOHUGEPAGE)\n"
        f"  for place in range(0, 2 << 30, 2 << 20): kept[-1][place]\n{SLEEP}"
    )
    outcome = await run(sandbox, code, Limits(memory=64 << 20))
    assert outcome.stopped == "memory"


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="needs /proc")
async def test_a_program_is_the_first_that_the_kernel_kills_for_memory(sandbox: LocalSandbox) -> None:
    code = "import os\nfor pid in ('self', os.getppid()): print(open(f'/proc/{pid}/oom_score_adj').read().strip())"
    usual = Path("/proc/self/oom_score_adj").read_text().strip()
    assert (await run(sandbox, code, Limits())).stdout == f"1000\n{usual}\n"


@needs_proc
@pytest.mark.parametrize("detach", ["", "os.setsid()"], ids=["one group", "each in a session of its own"])
async def test_processes(sandbox: LocalSandbox, detach: str) -> None:
    code = f"import os, time\nfor _ in range(40):\n  if not os.fork():\n    {detach or 'pass'}\n    {SLEEP}\n{SLEEP}"
    outcome = await run(sandbox, code, Limits(processes=12))
    assert outcome.stopped == "processes"


@needs_proc
async def test_a_fork_bomb(sandbox: LocalSandbox) -> None:
    outcome = await run(sandbox, "import os\nwhile True: os.fork()", Limits(processes=8))
    assert outcome.stopped in ("processes", "memory")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_output(sandbox: LocalSandbox, stream: str) -> None:
    code = f"import sys\nwhile True: sys.{stream}.write('x' * 4096)"
    outcome = await run(sandbox, code, Limits(output=10_000))
    assert outcome.stopped == "output"
    assert getattr(outcome, stream) == "x" * 10_000


async def test_both_streams_share_the_output_limit(sandbox: LocalSandbox) -> None:
    code = "import os\nwhile True: os.write(1, b'1' * 100); os.write(2, b'2' * 100)"
    outcome = await run(sandbox, code, Limits(output=1_000))
    assert len(outcome.stdout) + len(outcome.stderr) == 1_000


async def test_output_of_just_the_limit_is_no_flood(sandbox: LocalSandbox) -> None:
    outcome = await run(sandbox, "print('x' * 99)", Limits(output=100))
    assert (outcome.stopped, len(outcome.stdout)) == ("", 100)


async def test_file_size(sandbox: LocalSandbox) -> None:
    limits = Limits(file_size=1 << 20)
    outcome = await sandbox.run(Job(("sh", "-c", "cat /dev/zero > big"), {}, limits=limits))
    assert outcome.exit_status != 0 or outcome.stopped == "disk"
    outcome = await sandbox.run(Job(("sh", "-c", "exec cat /dev/zero > big"), {}, limits=limits))
    assert (outcome.stopped, outcome.signal) == ("disk", 25)


async def test_no_core_is_dumped_and_no_privilege_gained(sandbox: LocalSandbox) -> None:
    job = Job(("sh", "-c", "ulimit -c; grep -s NoNewPrivs /proc/self/status || echo NoNewPrivs: 1"), {})
    assert (await sandbox.run(job)).stdout.split() == ["0", "NoNewPrivs:", "1"]


@pytest.mark.skipif(os.getuid() == 0, reason="the kernel does not hold root to it")
async def test_an_ordinary_user_is_held_by_the_kernel_too(sandbox: LocalSandbox) -> None:
    code = (
        "import os, resource\n"
        "print(resource.getrlimit(resource.RLIMIT_NPROC)[1] != resource.RLIM_INFINITY)\n"
        "try: os.listdir(f'/proc/{os.getppid()}/fd')\n"
        "except OSError: print('the supervisor is closed to it')\n"
    )
    assert (await run(sandbox, code, Limits())).stdout == "True\nthe supervisor is closed to it\n"


async def test_a_program_that_stops_its_supervisor_outlives_no_deadline(
    sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "GRACE", 0.2)
    code = f"import os; print(os.getpid(), flush=True); os.kill(os.getppid(), 19); {SLEEP}"
    outcome = await run(sandbox, code, Limits(seconds=0.5))
    assert (outcome.exit_status, outcome.signal) == (None, 9)
    await until(lambda: not alive(int(outcome.stdout)))  # the kernel ends it with its parent


async def test_what_takes_long_to_remove_delays_no_outcome(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is the program's own, and its folder is removed though no run waits for that."""
    monkeypatch.setattr(local, "CLEARING", 0)
    code = "import os\nfor number in range(4000): os.makedirs(f'{number % 9}/{number}')\nraise SystemExit(7)"
    outcome = await run(LocalSandbox(tmp_path), code, Limits())
    assert (outcome.exit_status, outcome.signal, outcome.stopped) == (7, None, "")
    await until(lambda: list(tmp_path.iterdir()) == [])


async def test_the_folder_of_a_killed_supervisor_is_removed_by_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(root: str) -> None:
        raise AssertionError(f"{root} is removed by the process that runs everything else")

    monkeypatch.setattr(trees, "remove_tree", refuse)
    code = "import os\nfor number in range(99): os.makedirs(f'{number}/x')\nos.kill(os.getppid(), 9)\n" + SLEEP
    outcome = await run(LocalSandbox(tmp_path), code, Limits())
    assert (outcome.exit_status, outcome.signal) == (None, 9)
    await until(lambda: list(tmp_path.iterdir()) == [])
