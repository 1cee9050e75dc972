"""What a program finds in the sandbox, how its end is told, and that nothing of it is left."""

import asyncio
import sys
import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from processes import alive, until

from chatdev.sandbox.local import LocalSandbox
from chatdev.sandbox.port import Job, Limits, Outcome, SandboxError

PYTHON = sys.executable
DETACHED = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
up, up_end = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        os.write(up_end, b"1")
        import time; time.sleep(600)
    os._exit(0)
os.wait()
os.read(up, 1)
print(child.pid, flush=True)
"""


@pytest.fixture
async def sandbox(tmp_path: Path) -> AsyncIterator[LocalSandbox]:
    """A sandbox that must have left nothing behind."""
    yield LocalSandbox(tmp_path)
    assert list(tmp_path.iterdir()) == []


async def run_python(sandbox: LocalSandbox, code: str, stdin: bytes = b"") -> Outcome:
    return await sandbox.run(Job((PYTHON, "-c", code), {}, stdin=stdin))


async def test_a_program_finds_its_files_and_a_home_of_its_own(sandbox: LocalSandbox) -> None:
    code = "import os; print(open('a/b.txt').read(), os.getcwd() != os.environ['HOME'], os.listdir(os.environ['HOME']))"
    outcome = await sandbox.run(Job((PYTHON, "-c", code), {"a/b.txt": b"content"}))
    assert outcome.stdout == "content True []\n"
    assert outcome.exit_status == 0
    assert outcome.memory > 1 << 20
    assert outcome.seconds > 0


async def test_only_this_user_can_enter_the_folder(sandbox: LocalSandbox) -> None:
    code = "import os; print(oct(os.stat('..').st_mode), oct(os.stat('.').st_mode))"
    assert (await run_python(sandbox, code)).stdout == "0o40700 0o40700\n"


async def test_nothing_of_our_environment_is_seen(sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    job = Job(("env",), {}, environment={"ADDED": "yes"})
    names = {line.partition("=")[0] for line in (await sandbox.run(job)).stdout.splitlines()}
    assert names == {"PATH", "HOME", "TMPDIR", "LANG", "ADDED"}


async def test_a_program_has_no_terminal_and_no_open_files_of_ours(sandbox: LocalSandbox) -> None:
    code = (
        "import os\n"
        "print(os.getsid(0) == os.getpid(), sorted(int(fd) for fd in os.listdir('/dev/fd'))[:4])\n"
        "try: open('/dev/tty')\n"
        "except OSError: print('no terminal')\n"
    )
    assert (await run_python(sandbox, code)).stdout == "True [0, 1, 2, 3]\nno terminal\n"  # 3 is the listing itself


async def test_signals_that_python_ignores_are_not_ignored_by_the_program(sandbox: LocalSandbox) -> None:
    outcome = await sandbox.run(Job(("sh", "-c", "kill -PIPE $$; echo survived"), {}))
    assert (outcome.signal, outcome.exit_status, outcome.stdout) == (13, None, "")


async def test_exit_status_and_signal_are_distinguished(sandbox: LocalSandbox) -> None:
    assert (await run_python(sandbox, "raise SystemExit(3)")).exit_status == 3
    killed = await run_python(sandbox, "import os; os.kill(os.getpid(), 9)")
    assert (killed.exit_status, killed.signal, killed.stopped) == (None, 9, "")


async def test_a_command_that_is_not_here_is_status_127(sandbox: LocalSandbox) -> None:
    outcome = await sandbox.run(Job(("no-such-command",), {}))
    assert outcome.exit_status == 127
    assert outcome.stderr == "no-such-command: No such file or directory"


async def test_output_that_is_no_text_is_decoded_all_the_same(sandbox: LocalSandbox) -> None:
    outcome = await run_python(sandbox, "import sys; sys.stdout.buffer.write(b'\\xff\\xfe ok \\xc3')")
    assert outcome.stdout == "\ufffd\ufffd ok \ufffd"


async def test_standard_input_is_fed_and_closed(sandbox: LocalSandbox) -> None:
    data = bytes(range(256)) * 4096  # more than a pipe holds
    code = "import sys, zlib; data = sys.stdin.buffer.read(); print(len(data), zlib.crc32(data))"
    assert (await run_python(sandbox, code, stdin=data)).stdout == f"{len(data)} {zlib.crc32(data)}\n"


async def test_a_program_need_not_read_its_input(sandbox: LocalSandbox) -> None:
    assert (await run_python(sandbox, "print('done')", stdin=b"x" * (1 << 20))).stdout == "done\n"
    assert (await run_python(sandbox, "import os; os.close(0); print('done')", stdin=b"x" * (1 << 20))).exit_status == 0


async def test_held_input_stays_open_and_silent(sandbox: LocalSandbox) -> None:
    job = Job(("cat",), {}, stdin=b"first", hold_stdin=True, limits=Limits(seconds=0.5))
    outcome = await sandbox.run(job)
    assert (outcome.stdout, outcome.stopped) == ("first", "time")


async def test_what_detached_itself_is_ended_with_the_program(sandbox: LocalSandbox) -> None:
    outcome = await run_python(sandbox, DETACHED)
    pids = [int(line) for line in outcome.stdout.split()]
    assert len(pids) == 2
    assert not any(map(alive, pids))


async def test_a_cancelled_run_is_over_when_the_cancellation_is(sandbox: LocalSandbox, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    code = f"import os, time; open({str(pid)!r}, 'w').write(str(os.getpid())); print(1, flush=True); time.sleep(600)"
    task = asyncio.create_task(run_python(sandbox, code))
    await until(lambda: pid.exists() and pid.read_text() != "")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(int(pid.read_text()))
    pid.unlink()


async def test_a_loop_that_closes_ends_its_programs(tmp_path: Path) -> None:
    """The last resort: everything in flight is cancelled, the part that waits for the supervisor too."""
    code = "import time; open('../home/ready', 'w'); time.sleep(600)"
    task = asyncio.create_task(run_python(LocalSandbox(tmp_path), code))
    await until(lambda: any(tmp_path.glob("*/home/ready")))
    followers = asyncio.all_tasks() - {asyncio.current_task()}
    for follower in followers:
        follower.cancel()
    await asyncio.gather(*followers, return_exceptions=True)
    assert task.cancelled()
    assert list(tmp_path.iterdir()) == []


async def test_runs_side_by_side_do_not_meet(sandbox: LocalSandbox) -> None:
    jobs = [Job((PYTHON, "-c", "print(open('n').read())"), {"n": str(n).encode()}) for n in range(6)]
    outcomes = await asyncio.gather(*map(sandbox.run, jobs))
    assert [outcome.stdout for outcome in outcomes] == [f"{n}\n" for n in range(6)]


async def test_folders_without_permission_and_planted_links_are_removed(sandbox: LocalSandbox, tmp_path: Path) -> None:
    outside = tmp_path.parent / "outside"
    outside.mkdir()
    (outside / "precious").write_text("kept")
    code = (
        "import os\n"
        f"os.symlink({str(outside)!r}, 'link')\n"
        "os.makedirs('a/b'); open('a/b/c', 'w'); os.chmod('a/b', 0); os.chmod('a', 0o500); os.chmod('..', 0)\n"
    )
    assert (await run_python(sandbox, code)).exit_status == 0
    assert (outside / "precious").read_text() == "kept"


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../../x", "", "."])
async def test_a_file_name_that_leads_out_is_refused(sandbox: LocalSandbox, path: str) -> None:
    with pytest.raises(SandboxError, match="leads out"):
        await sandbox.run(Job(("true",), {path: b""}))


@pytest.mark.parametrize("files", [{"a": b"", "a/b": b""}, {"a\0b": b""}, {"x" * 300: b""}])
async def test_files_that_cannot_be_written_are_an_error(sandbox: LocalSandbox, files: dict[str, bytes]) -> None:
    with pytest.raises(SandboxError, match="cannot be written to"):
        await sandbox.run(Job(("true",), files))


async def test_a_missing_temporary_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot be written to"):
        await LocalSandbox(tmp_path / "absent").run(Job(("true",), {}))


async def test_a_command_line_that_no_system_takes_is_an_error(sandbox: LocalSandbox) -> None:
    with pytest.raises(SandboxError, match="The program cannot be started"):
        await sandbox.run(Job(("echo", "a\0b"), {}))


async def test_an_interpreter_that_does_not_come_up_is_an_error(
    sandbox: LocalSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxError, match="ended with status 1"):
        await sandbox.run(Job(("true",), {}))


async def test_a_program_that_kills_its_supervisor_is_ended_and_reported_as_killed(sandbox: LocalSandbox) -> None:
    code = "import os, time; print(os.getpid(), flush=True); os.kill(os.getppid(), 9); time.sleep(600)"
    outcome = await run_python(sandbox, code)
    assert (outcome.exit_status, outcome.signal) == (None, 9)
    assert not outcome.stdout.strip() or not alive(int(outcome.stdout))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
async def test_everything_ends_when_we_die(tmp_path: Path) -> None:
    """A host is killed while its program runs: the program goes, and its folder too."""
    host = (
        "import asyncio, sys; from pathlib import Path\n"
        "from chatdev.sandbox.local import LocalSandbox; from chatdev.sandbox.port import Job\n"
        "code = \"import os, time; open(os.environ['HOME'] + '/../../pid', 'w').write(str(os.getpid())); \"\n"
        "code += 'time.sleep(600)'\n"
        "asyncio.run(LocalSandbox(Path(sys.argv[1])).run(Job((sys.executable, '-c', code), {})))\n"
    )
    process = await asyncio.create_subprocess_exec(PYTHON, "-c", host, str(tmp_path))
    pid = tmp_path / "pid"
    await until(lambda: pid.exists() and pid.read_text() != "")
    process.kill()
    await process.wait()
    await until(lambda: not alive(int(pid.read_text())) and list(tmp_path.iterdir()) == [pid])
