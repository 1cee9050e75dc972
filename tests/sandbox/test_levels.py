"""What a program finds at each level that this machine has, beside the ways out that the probes try."""

import asyncio
import gc
import os
import shutil
import sys
import uuid
from pathlib import Path

import pytest
from processes import until

from chatdev.sandbox import isolated, levels, proc, seccomp, selftest
from chatdev.sandbox.port import Job, Limits, Outcome, Refused, Sandbox, SandboxError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's levels need Linux")
PYTHON = sys.executable


@pytest.fixture(params=levels.LEVELS)
def level(request: pytest.FixtureRequest) -> str:
    finding = levels.tried(request.param)
    if finding.why:
        pytest.skip(f"{finding.level} does not hold here: {finding.why}")
    return finding.level


@pytest.fixture
def sandbox(level: str, tmp_path: Path) -> Sandbox:
    return levels.at(level, tmp_path)


async def python(sandbox: Sandbox, code: str, *, limits: Limits | None = None) -> Outcome:
    return await sandbox.run(Job((PYTHON, "-c", code), {"a/b.txt": b"content"}, limits=limits or Limits()))


async def test_a_program_finds_its_files_and_a_home_of_its_own(sandbox: Sandbox, tmp_path: Path) -> None:
    code = (
        "import os\n"
        "print(open('a/b.txt').read(), os.path.expanduser('~') == os.environ['HOME'])\n"
        "for place in (os.environ['HOME'], os.environ['TMPDIR'], '.'): open(place + '/new', 'w').write('x')\n"
    )
    outcome = await python(sandbox, code)
    assert (outcome.exit_status, outcome.stdout, outcome.stderr) == (0, "content True\n", "")
    assert list(tmp_path.iterdir()) == []


async def test_status_and_signal_of_the_program_itself_are_reported(sandbox: Sandbox) -> None:
    assert (await python(sandbox, "raise SystemExit(7)")).exit_status == 7
    killed = await python(sandbox, "import os; os.kill(os.getpid(), 11)")
    assert (killed.exit_status, killed.signal) == (None, 11)


async def test_a_command_that_is_not_here_is_status_127(sandbox: Sandbox) -> None:
    outcome = await sandbox.run(Job(("no-such-command",), {}))
    assert (outcome.exit_status, outcome.stderr) == (127, "no-such-command: No such file or directory")


async def test_memory_is_the_programs_and_not_our_helpers(sandbox: Sandbox) -> None:
    outcome = await python(sandbox, "held = b'x' * (60 << 20); import time; time.sleep(0.2)")
    assert 60 << 20 < outcome.memory < 120 << 20


USES_MEMORY = """
import mmap, os, resource, socket, sqlite3
from concurrent.futures import ThreadPoolExecutor
area = mmap.mmap(-1, 8 << 20)
if os.fork() == 0:
    area[:] = b"x" * len(area)
    os._exit(0)
os.wait()
one, other = socket.socketpair()
one.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
base = sqlite3.connect("base")
base.execute("create table numbers (number)")
base.executemany("insert into numbers values (?)", [(number,) for number in range(1000)])
with ThreadPoolExecutor(20) as pool: total = sum(pool.map(len, [bytes(1 << 20)] * 20))
print(area[-1:], base.execute("select count(*) from numbers").fetchone(), total, one.getsockopt(1, 9))
print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""
SHARES_MEMORY = """
import multiprocessing
from multiprocessing import shared_memory
if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool: print(pool.map(len, [bytes(1 << 20)] * 4))
    shared = shared_memory.SharedMemory(create=True, size=8 << 20)
    shared.buf[:] = bytes(8 << 20)
    shared.close(); shared.unlink()
"""


async def test_what_usual_programs_do_with_memory_works(sandbox: Sandbox, level: str) -> None:
    outcome = await python(sandbox, USES_MEMORY)
    assert (outcome.stdout, outcome.stderr) == (f"b'x' (1000,) {20 << 20} 1\n(1024, 1024)\n", "")
    if level != "landlock":  # its programs have no named semaphores
        outcome = await python(sandbox, SHARES_MEMORY)
        assert (outcome.stdout, outcome.stderr) == (f"{[1 << 20] * 4}\n", "")


async def test_files_in_memory_count_as_memory(sandbox: Sandbox, level: str) -> None:
    if level == "landlock":
        pytest.skip("no folder in memory is writable there")
    code = "import time; open('/dev/shm/held', 'wb').write(bytes(40 << 20)); time.sleep(1)"
    assert (await python(sandbox, code)).memory > 40 << 20


async def test_node_starts_within_the_limits(sandbox: Sandbox) -> None:
    if not shutil.which("node"):
        pytest.skip("there is no Node.js here")
    outcome = await sandbox.run(Job(("node", "-e", "console.log(new SharedArrayBuffer(1 << 24).byteLength)"), {}))
    assert (outcome.stdout, outcome.exit_status) == (f"{1 << 24}\n", 0)


async def test_java_starts_within_the_limits(sandbox: Sandbox) -> None:
    if not shutil.which("javac"):
        pytest.skip("there is no Java here")
    source = b"class A { public static void main(String[] a) { System.out.println(new byte[1 << 26].length); } }"
    outcome = await sandbox.run(Job(("java", "A.java"), {"A.java": source}))
    assert (outcome.stdout, outcome.exit_status) == (f"{1 << 26}\n", 0)


async def test_streams_can_be_opened_by_their_names(sandbox: Sandbox, level: str) -> None:
    if level == "landlock":
        pytest.skip("that would take /proc, of which a program at this level sees no process")
    outcome = await sandbox.run(Job(("sh", "-c", "echo out > /dev/stdout; echo err > /dev/stderr"), {}))
    assert (outcome.stdout, outcome.stderr) == ("out\n", "err\n")


async def test_the_only_terminals_are_those_that_it_makes_itself(sandbox: Sandbox, level: str) -> None:
    code = "import os\ntry: ours, theirs = os.openpty()\nexcept OSError: print('none')\n"
    code += "else: os.write(ours, b'typed\\n'); print(os.listdir('/dev/pts'), os.read(theirs, 9), os.isatty(0))\n"
    host, other = os.openpty()
    try:
        outcome = await python(sandbox, code)
    finally:
        os.close(host)
        os.close(other)
    assert outcome.stdout == ("none\n" if level == "landlock" else "['0', 'ptmx'] b'typed\\n' False\n"), outcome


async def test_terminals_count_as_memory(sandbox: Sandbox, level: str) -> None:
    if level == "landlock":
        pytest.skip("a program can make no terminal at this level")
    code = "import os, time\nkept = [os.openpty() for _ in range(480)]\nprint('made', flush=True)\ntime.sleep(600)"
    outcome = await python(sandbox, code, limits=Limits(memory=24 << 20))
    assert (outcome.stopped, outcome.stdout) == ("memory", "made\n")


SERVES = """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
server.accept()[0].sendall(b"served")
print(client.recv(10))
"""


async def test_it_has_a_loopback_of_its_own_or_no_sockets(sandbox: Sandbox, level: str) -> None:
    outcome = await python(sandbox, SERVES)
    if level == "landlock":
        assert "Address family not supported" in outcome.stderr
    else:
        assert (outcome.stdout, outcome.stderr) == ("b'served'\n", "")


async def test_a_loop_of_asyncio_and_its_processes_work(sandbox: Sandbox) -> None:
    code = (
        "import asyncio\n"
        "async def main():\n"
        "    child = await asyncio.create_subprocess_exec('echo', 'hi', stdout=-1)\n"
        "    print((await child.communicate())[0])\n"
        "asyncio.run(main())\n"
    )
    outcome = await python(sandbox, code)
    assert (outcome.stdout, outcome.stderr) == ("b'hi\\n'\n", "")


async def test_a_folder_that_the_job_names_can_be_read_and_not_written(sandbox: Sandbox, tmp_path: Path) -> None:
    given, kept = tmp_path / "given", tmp_path / "kept"
    for folder in (given, kept):
        folder.mkdir()
        (folder / "file").write_text("content")
    code = (
        f"print(open({str(given / 'file')!r}).read())\n"
        f"for path in ({str(given / 'file')!r}, {str(kept / 'file')!r}):\n"
        "    for mode in 'ar':\n"
        "        try: open(path, mode)\n"
        "        except OSError: print('refused', mode)\n"
    )
    outcome = await sandbox.run(Job((PYTHON, "-c", code), {}, reads=(str(given),)))
    assert outcome.stdout.splitlines() == ["content", "refused a", "refused a", "refused r"]


async def test_runs_side_by_side_and_a_cancelled_one_leave_nothing(sandbox: Sandbox, tmp_path: Path) -> None:
    jobs = [python(sandbox, "print(1)") for _ in range(3)]
    hanging = asyncio.create_task(python(sandbox, "open('up', 'w'); import time; time.sleep(600)"))
    assert [outcome.stdout for outcome in await asyncio.gather(*jobs)] == ["1\n"] * 3
    while not list(tmp_path.glob("*/product/up")):
        await asyncio.sleep(0.01)
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert list(tmp_path.iterdir()) == []


async def test_a_run_cancelled_while_its_walls_are_raised_leaves_no_complaint(sandbox: Sandbox) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
    starting: asyncio.Task[object] | None = None
    for moment in range(0, 100, 5):  # milliseconds
        starting = asyncio.create_task(python(sandbox, "import time; time.sleep(600)"))
        await asyncio.sleep(moment / 1000)
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
    starting = None
    gc.collect()
    assert not complaints


LEAVES_DAEMONS = """
import ctypes, os, sys, time
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # it wishes to survive its parent
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.closerange(0, 100)
            os.execv(sys.executable, (sys.executable, "-S", "-c", "import time; time.sleep(600)", sys.argv[1]))
        os._exit(0)
for _ in range(3): os.wait()
open("../home/ready", "w")
time.sleep(600)
"""


def running(mark: str) -> list[Path]:
    """The processes with this word in their command line, besides supervisors."""
    return [path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if mark in text_of(path)]


def text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # its process has ended
        return ""


@pytest.mark.parametrize("generation", [1, 2], ids=["the first process", "its child"])
async def test_nothing_outlives_a_killed_supervisor(sandbox: Sandbox, tmp_path: Path, generation: int) -> None:
    mark = uuid.uuid4().hex
    run = asyncio.create_task(sandbox.run(Job((PYTHON, "-c", LEAVES_DAEMONS, mark), {})))
    await until(lambda: len(running(mark)) >= 4 and any(tmp_path.glob("*/home/ready")))
    pid = os.getpid()
    for _ in range(generation):
        pid = next(
            child for child in proc.descendants(pid) if os.getpgid(child) != os.getpgid(0) and parent(child) == pid
        )
    os.kill(pid, 9)
    await asyncio.wait([run], timeout=60)
    await until(lambda: not running(mark))
    assert run.done()
    assert list(tmp_path.iterdir()) == []


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_nothing_of_our_devices_can_be_written(sandbox: Sandbox) -> None:
    code = (
        "import os\n"
        "for attempt in (lambda: open('/dev/new', 'w'), lambda: os.unlink('/dev/null'), lambda: os.mkdir('/dev/a')):\n"
        "    try: attempt(); print('done')\n"
        "    except OSError: pass\n"
        "open('/dev/null', 'w').write('x'); print(len(open('/dev/urandom', 'rb').read(8)))\n"
    )
    assert (await python(sandbox, code)).stdout == "8\n"


async def test_what_a_program_got_hold_of_is_reported() -> None:
    assert "it reads a file outside; it creates a file outside" in await selftest.ways_out(levels.at(levels.UNSAFE))


async def test_a_self_test_that_is_killed_leaves_nothing(level: str, tmp_path: Path) -> None:
    host = (
        "import asyncio, sys; from chatdev.sandbox import levels, selftest\n"
        'selftest.PROGRAM = \'import time; open("../home/up", "w"); time.sleep(600)\'\n'
        "asyncio.run(selftest.ways_out(levels.at(sys.argv[1])))\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(PYTHON, "-c", host, level, env=environment)
    await until(lambda: any(tmp_path.glob("*/home/up")))
    assert any(tmp_path.glob("chatdev-outside-*"))
    process.kill()
    await process.wait()
    await until(lambda: list(tmp_path.iterdir()) == [])


async def test_a_self_test_that_cannot_run_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "PROGRAM", "raise SystemExit('no luck')")
    assert await selftest.ways_out(levels.at(levels.UNSAFE)) == "the self-test program failed: no luck"


async def test_a_level_that_cannot_be_set_up_is_refused_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated, "program", lambda machine, **of: b"\xff" * 16)
    with pytest.raises(Refused, match="Invalid argument"):
        await python(levels.at("landlock", tmp_path), "print('must not run')")


async def test_without_bubblewrap_its_level_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    sandbox = levels.at("bubblewrap", tmp_path)
    with pytest.raises(Refused, match="bwrap was not found on PATH"):
        await python(sandbox, "print('must not run')")


async def test_a_bubblewrap_that_fails_is_refused_with_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho 'bwrap: not permitted' >&2; exit 1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(SandboxError, match="bwrap: not permitted"):
        await python(levels.at("bubblewrap"), "print('must not run')")


@pytest.mark.parametrize("machine", seccomp.MACHINES)
def test_a_filter_is_whole_instructions_and_longer_without_sockets(machine: str) -> None:
    alone, shared = (seccomp.program(machine, sockets=sockets) for sockets in (True, False))
    assert len(alone) % 8 == len(shared) % 8 == 0
    assert len(alone) < len(shared) < 4096 * 8
