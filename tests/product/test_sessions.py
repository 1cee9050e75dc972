"""A product is started from outside: what goes in, what comes out."""

import sys

import pytest

from chatdev.product.sessions import BuildFailed, Invocation, run_sessions
from chatdev.sandbox import levels
from chatdev.sandbox.port import Sandbox

PROGRAM = (sys.executable, "-s", "-B", "main.py")


@pytest.fixture
async def sandbox() -> Sandbox:
    return await levels.chosen(unsafe=False)


def product(text: str) -> dict[str, bytes]:
    return {"main.py": text.encode()}


async def test_each_start_gets_its_arguments_and_its_input(sandbox: Sandbox) -> None:
    files = product("import sys\nprint(sys.argv[1:], sys.stdin.read(), end='')")
    ended = await run_sessions(sandbox, files, PROGRAM, [[Invocation(("a", "b c"), "hi\n")], [Invocation()]])
    assert [one.stdout for (one,) in ended] == ["['a', 'b c'] hi\n", "[] "]
    assert [one.status for (one,) in ended] == [0, 0]


async def test_starts_of_one_session_share_a_folder_and_sessions_do_not(sandbox: Sandbox) -> None:
    files = product("import os\nprint(os.path.exists('kept'))\nopen('kept', 'w').close()")
    ended = await run_sessions(sandbox, files, PROGRAM, [[Invocation(), Invocation()], [Invocation()]])
    assert [[one.stdout for one in session] for session in ended] == [["False\n", "True\n"], ["False\n"]]


async def test_a_status_a_signal_and_a_limit_are_distinguished(sandbox: Sandbox) -> None:
    files = product(
        "import os, signal, sys, time\n"
        "{'exit': lambda: sys.exit(3), 'kill': lambda: os.kill(os.getpid(), 9), 'sleep': lambda: time.sleep(60)}"
        "[sys.argv[1]]()"
    )
    calls = [[Invocation(("exit",))], [Invocation(("kill",))], [Invocation(("sleep",))]]
    ended = await run_sessions(sandbox, files, PROGRAM, calls, seconds=2)
    assert [(one.status, one.stopped) for (one,) in ended] == [(3, ""), (-9, ""), (None, "time")]


async def test_the_output_of_a_start_is_kept_up_to_a_size_and_never_fails_to_decode(sandbox: Sandbox) -> None:
    files = product("import sys\nsys.stdout.buffer.write(b'\\xff' + b'x' * 1_000_000)\nsys.stderr.write('told')")
    ((one,),) = await run_sessions(sandbox, files, PROGRAM, [[Invocation()]])
    assert one.stdout.startswith("\ufffdxxx") and len(one.stdout) == 64 << 10
    assert (one.stderr, one.status) == ("told", 0)


async def test_a_start_that_is_stopped_ends_its_session_and_no_other(sandbox: Sandbox) -> None:
    files = product("import sys, time\nif sys.argv[1:]:\n    time.sleep(60)\nprint('well')")
    ended = await run_sessions(
        sandbox, files, PROGRAM, [[Invocation(), Invocation(("x",)), Invocation()], [Invocation()]], seconds=1
    )
    assert [[one.stopped for one in session] for session in ended] == [["", "time", "time"], [""]]
    assert [[one.stdout for one in session] for session in ended] == [["well\n", "", ""], ["well\n"]]


async def test_a_program_that_never_stops_printing_is_stopped_long_before_its_time(sandbox: Sandbox) -> None:
    files = product("while True:\n    print('x' * 1000)")
    ((one,),) = await run_sessions(sandbox, files, PROGRAM, [[Invocation()]], seconds=1000)
    assert (one.status, one.stopped) == (None, "output")
    assert one.stdout.startswith("xxx")


async def test_a_program_that_never_ends_has_less_time_after_two_sessions(sandbox: Sandbox) -> None:
    files = product("while True:\n    pass")
    ended = await run_sessions(sandbox, files, PROGRAM, [[Invocation()]] * 4, seconds=4)
    assert [one.stopped for (one,) in ended] == ["time"] * 4
    assert [one.cpu > 3 for (one,) in ended] == [True, True, False, False]


async def test_what_a_start_leaves_running_is_ended(sandbox: Sandbox) -> None:
    files = product(
        "import subprocess, sys, os\n"
        "if os.path.exists('pid'):\n"
        "    pid = int(open('pid').read())\n"
        "    print(open(f'/proc/{pid}/stat').read().split()[2] == 'Z' if os.path.exists(f'/proc/{pid}') else True)\n"
        "else:\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    open('pid', 'w').write(str(child.pid))\n"
    )
    ended = await run_sessions(sandbox, files, PROGRAM, [[Invocation(), Invocation()]])
    assert ended[0][1].stdout == "True\n"


async def test_a_product_that_cannot_be_built_says_why(sandbox: Sandbox) -> None:
    build = [(sys.executable, "-c", "import sys; sys.exit('no such thing as a semicolon')")]
    with pytest.raises(BuildFailed, match="semicolon"):
        await run_sessions(sandbox, product(""), PROGRAM, [[Invocation()]], build=build)


async def test_a_program_that_does_not_exist_ends_with_the_shells_status(sandbox: Sandbox) -> None:
    ((one,),) = await run_sessions(sandbox, product(""), ("no-such-program",), [[Invocation()]])
    assert one.status == 127 and "no-such-program" in one.stderr
