"""A product is started as its user would start it, and only what is broken is called so."""

import shutil
from pathlib import Path

import pytest
from helpers.products import SANDBOX, product
from msgspec.structs import replace

from chatdev.journal.events import ProductStarted, TestResult, TestsRan
from chatdev.product.python_start import start_product
from chatdev.product.verdict import has_started, judge_start
from chatdev.sandbox import levels


async def start(main: str, *, watch: float = 20, **others: str) -> ProductStarted:
    return await start_product(SANDBOX, product(main, **others), place="p", digest="d", watch=watch)


async def test_a_program_that_ends_by_itself() -> None:
    started = await start("import sys\nprint(sys.argv, __name__)\n")
    assert (started.how, started.exit_status, started.why) == ("exited", 0, "")
    assert started.output == "['main.py'] __main__"
    assert (started.place, started.digest) == ("p", "d")
    assert started.seconds > 0


@pytest.mark.parametrize(
    ("main", "status", "output"),
    [
        ("raise SystemExit", 0, ""),
        ("raise SystemExit('usage: …')", 1, "usage: …"),
        ("raise SystemExit('Usage: main.py FILE')", 1, None),
        ("raise SystemExit('Error: expected 2 arguments, got 0')", 1, None),
        ("raise SystemExit('Please provide a file name.')", 1, None),
        ("raise SystemExit('no input file given')", 1, None),
        ("print(\"Try 'main.py --help'\"); raise SystemExit(2)", 2, None),
        ("import argparse; p = argparse.ArgumentParser(); p.add_argument('x'); p.parse_args()", 2, None),
        ("print('Traceback (most recent call last):\\nValueError: no')", 0, None),
        ("import threading; threading.Thread(target=lambda: 1 / 0).start()", 0, None),
        ("import atexit; atexit.register(print, 'bye')", 0, "bye"),
    ],
)
async def test_a_deliberate_exit_is_no_crash(main: str, status: int, output: str | None) -> None:
    started = await start(main)
    assert (started.how, started.exit_status) == ("exited", status)
    assert output is None or started.output == output


DAEMON = """
import os, sys, time
if os.fork():
    sys.exit(3)
os.setsid()
if os.fork():
    os._exit(0)
print("the daemon runs", flush=True)
time.sleep(600)
"""
CAUGHT = "try: 1 / 0\nexcept ZeroDivisionError:\n  import traceback; traceback.print_exc(); print('usage: x'); exit(1)"


@pytest.mark.parametrize(
    ("main", "why"),
    [
        ("import os; os._exit(3)", "exit status 3, without any output"),
        ("raise SystemExit(3)", "exit status 3, without any output"),
        ("import sys; sys.exit('database is locked')", "database is locked\nexit status 1"),
        (CAUGHT, None),
        (DAEMON, None),
        ("import os; os.kill(os.getppid(), 9); input()", None),
    ],
    ids=["os._exit", "silent", "message", "traceback", "daemon", "ends its watcher"],
)
async def test_a_program_that_fails_by_itself_has_not_started(main: str, why: str | None) -> None:
    started = await start(main, watch=2)
    assert started.how == "crashed", started
    assert judge_start(started).verdict == "does not start"
    assert why is None or started.why == why


async def test_a_message_about_a_screen_is_the_lack_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    started = await start("import sys; sys.exit('cannot open display')")
    assert (started.how, started.lacks) == ("crashed", "display")
    assert judge_start(started).verdict == "not run (no display)"


async def test_a_program_that_refuses_to_start_without_input_has_started_if_a_row_passes() -> None:
    started = await start("import sys; sys.exit('the stack is empty')")
    row = TestResult("tests/acceptance.txt::task: 1 2 +", "passed", tier="trusted")
    tests = TestsRan("p", "d", (row,))
    assert has_started(started, tests)
    assert not has_started(started, TestsRan("p", "d", (replace(row, tier=""),)))
    silent = await start("import os; os._exit(3)")
    assert not has_started(silent, tests)


@pytest.mark.parametrize(
    "main",
    [
        "name = input('name? ')",
        "import sys; print('name? ', end='', flush=True); sys.stdin.readline()",
        "print('name? '); import socket; s = socket.create_server(('127.0.0.1', 0)); s.accept()",
        "print('name? '); import threading, time; threading.Thread(target=time.sleep, args=(600,)).start()",
    ],
    ids=["input", "reads", "serves", "works in a thread"],
)
async def test_a_program_that_waits_is_alive(main: str) -> None:
    started = await start(main, watch=0.7)
    assert (started.how, started.exit_status, started.output) == ("alive", None, "name? ")


@pytest.mark.parametrize(
    ("main", "last_line"),
    [
        ("import helper; helper.go()", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError: invalid syntax"),
        ("\0", "SyntaxError: source code string cannot contain null bytes"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("def f(): f()\nf()", "RecursionError: maximum recursion depth exceeded"),
        ("import no_such_thing", "ModuleNotFoundError: No module named 'no_such_thing'"),
        ("import os; os.kill(os.getpid(), 11)", "killed by signal 11"),
        ("import os; os.abort()", "killed by signal 6"),
        ("while True: print('x' * 9999)", "stopped by the output limit"),
        ("import sys; sys.path.clear(); sys.stderr = None; 1 / 0", "ZeroDivisionError: division by zero"),
        ("import token\ntoken.own()", "ValueError: own"),
    ],
    ids=lambda value: value[:30],
)
async def test_a_crash_is_reported_with_its_reason(main: str, last_line: str) -> None:
    started = await start(
        main, helper="def go():\n    return 1 / 0\n", token="def own():\n    raise ValueError('own')\n"
    )
    assert (started.how, started.why.splitlines()[-1]) == ("crashed", last_line)


async def test_a_crash_shows_the_product_and_nothing_of_ours() -> None:
    started = await start("import helper\nhelper.go()\n", helper="def go():\n    return 1 / 0\n")
    assert (
        started.why
        == started.output
        == (
            "Traceback (most recent call last):\n"
            '  File "main.py", line 2, in <module>\n'
            "    helper.go()\n"
            '  File "helper.py", line 2, in go\n'
            "    return 1 / 0\n"
            "ZeroDivisionError: division by zero"
        )
    )


async def test_a_product_without_a_main_is_missing() -> None:
    started = await start_product(SANDBOX, {"app/main.py": b""})
    assert (started.how, started.why) == ("missing", "there is no main.py to start")


@pytest.mark.parametrize(
    "main",
    [
        "import pygame_menu",
        "try:\n    import pygame_menu\nexcept ImportError:\n    raise SystemExit('please install it')",
    ],
    ids=["crashes", "says so"],
)
async def test_a_package_that_is_not_installed_is_named(main: str) -> None:
    assert (await start(main)).needs == "pygame-menu"


async def test_a_program_finds_itself_as_a_user_would() -> None:
    main = """
import sys
loaded = set(sys.modules)
import os, pickle
import runner

class Thing:
    pass

def work(n):
    return n + 1

if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(Thing())).__class__ is Thing
    assert os.path.samefile(__file__, "main.py") and sys.path[0] == os.getcwd()
    assert not loaded & {"json", "traceback", "unittest"}, "loaded beforehand"
    import multiprocessing
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(runner.name, pool.map(work, [1]))
"""
    started = await start(main, runner="name = 'own'\n")
    assert (started.output, started.how) == ("own [2]", "exited")


WINDOW = "import tkinter\nwindow = tkinter.Tk()\nprint('shown', flush=True)\nwindow.mainloop()\n"
LIKE_PYGAME = "import os\nclass error(Exception): pass\nif 'DISPLAY' not in os.environ:\n"
LIKE_PYGAME += "  raise error('No available video device')\n"
LIKE_PYGAME += "print(os.environ['DISPLAY'], flush=True)\ninput()\n"


async def test_a_window_program_without_a_screen_lacks_a_display(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    started = await start(LIKE_PYGAME)
    assert (started.how, started.lacks) == ("crashed", "display")


async def test_tkinter_without_a_screen_lacks_a_display(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tkinter", reason="no tkinter here")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (await start(WINDOW)).lacks == "display"


async def test_a_window_program_gets_the_virtual_screen_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for Xvfb that says its number as Xvfb does, so that this is tried where there is none."""
    (tmp_path / "Xvfb").write_text('#!/bin/sh\neval "echo 77 >&$2"\neval "exec $2>&-"\nexec sleep 60\n')
    (tmp_path / "Xvfb").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    started = await start(LIKE_PYGAME, watch=0.7)
    assert (started.how, started.lacks, started.output) == ("alive", "", ":77")


async def test_the_watch_begins_with_the_program_and_not_with_its_screen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails after three seconds of its own; the screen alone takes longer to start than the watch lasts."""
    (tmp_path / "Xvfb").write_text('#!/bin/sh\nsleep 1\neval "echo 77 >&$2"\neval "exec $2>&-"\nexec sleep 60\n')
    (tmp_path / "Xvfb").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    started = await start(f"{LIKE_PYGAME.replace('input()', '')}import time; time.sleep(3); 1 / 0\n", watch=0.5)
    assert (started.how, started.output) == ("alive", ":77")


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="tkinter on a virtual screen: no Xvfb here")
async def test_a_tkinter_program_is_alive_on_a_virtual_screen() -> None:
    pytest.importorskip("tkinter", reason="no tkinter here")
    started = await start(WINDOW, watch=5)
    assert (started.how, started.output) == ("alive", "shown")


async def test_an_error_that_only_speaks_of_a_display_is_a_crash() -> None:
    started = await start("raise ValueError('no display name and no $DISPLAY environment variable')")
    assert (started.how, started.lacks) == ("crashed", "")


async def test_files_that_a_program_leaves_are_reported_if_they_are_what_they_seem() -> None:
    main = """
import pathlib, sys
pathlib.Path("out").mkdir()
pathlib.Path("out/report.md").write_text("# Überschrift")
pathlib.Path("plot.png").write_bytes(bytes.fromhex("89504e470d0a1a0a") + b"...")
pathlib.Path("fake.png").write_text("no picture")
pathlib.Path("empty.csv").write_text("")
pathlib.Path("cache.bin").write_text("x")
pathlib.Path("data.csv").write_text("a,b,c")
sys.exit(0)
"""
    started = await start_product(SANDBOX, {**product(main), "data.csv": b"a"}, watch=20)
    assert (started.how, started.made) == ("exited", ("data.csv", "out/report.md", "plot.png"))


@pytest.mark.parametrize("level", ["best", levels.UNSAFE])
@pytest.mark.parametrize(
    "main",
    [
        "import curses\ndef show(w):\n    w.addstr(0, 0, 'shown'); w.refresh(); w.getch()\ncurses.wrapper(show)\n",
        "import sys, tty\ntty.setcbreak(sys.stdin.fileno())\nprint('shown', flush=True)\nsys.stdin.read(1)\n",
        "import os\nassert os.get_terminal_size() == (80, 24)\nprint('shown', flush=True)\ninput()\n",
        "import sys\nif not sys.stdin.isatty():\n    sys.exit('stdin is not a terminal')\nprint('shown')\ninput()\n",
        "import os, sys\nif not sys.stdin.isatty():\n    sys.exit('not a terminal')\n"
        "open('/dev/tty', 'w').write('shown')\nos.read(0, 1)\n",
    ],
    ids=["curses", "termios", "size", "asks", "its terminal by name"],
)
async def test_a_program_for_a_terminal_gets_one(main: str, level: str) -> None:
    sandbox = levels.at(level) if level != "best" else SANDBOX
    if sandbox.level == "landlock":
        pytest.skip("a program shares the host's /dev at this level, and may not open its terminals")
    started = await start_product(sandbox, product(main), watch=1)
    assert started.how == "alive"
    assert started.output.strip().endswith("shown")


async def test_a_program_for_a_terminal_is_not_called_broken_where_the_sandbox_has_none() -> None:
    started = await start("import os\nos.get_terminal_size()\nprint('shown', flush=True)\ninput()\n", watch=1)
    if started.how == "alive":
        pytest.skip("the sandbox has pseudo-terminals here")
    assert (started.how, started.lacks) == ("crashed", "terminal")
    assert judge_start(started).verdict == "not run (no terminal here)"


async def test_a_program_that_fails_on_a_terminal_too_is_a_crash() -> None:
    files = product("import curses\ncurses.wrapper(lambda w: 1 / 0)\n")
    started = await start_product(levels.at(levels.UNSAFE), files)
    assert (started.how, started.why.splitlines()[-1]) == ("crashed", "ZeroDivisionError: division by zero")
