"""A product is started as its user would start it, and only what is broken is called so."""

import pytest
from products import SANDBOX, product

from chatdev.journal.events import ProductStarted
from chatdev.project.verdict import start_product


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
        ("raise SystemExit(3)", 3, ""),
        ("raise SystemExit('usage: …')", 1, "usage: …"),
        ("import os; os._exit(4)", 4, ""),
        ("import argparse; p = argparse.ArgumentParser(); p.add_argument('x'); p.parse_args()", 2, None),
        (
            "try: 1 / 0\nexcept ZeroDivisionError:\n  import traceback; traceback.print_exc(); raise SystemExit(1)",
            1,
            None,
        ),
        ("print('Traceback (most recent call last):\\nValueError: no')", 0, None),
        ("import threading; threading.Thread(target=lambda: 1 / 0).start()", 0, None),
        ("import atexit; atexit.register(print, 'bye')", 0, "bye"),
    ],
)
async def test_a_deliberate_exit_is_no_crash(main: str, status: int, output: str | None) -> None:
    started = await start(main)
    assert (started.how, started.exit_status) == ("exited", status)
    assert output is None or started.output == output


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
async def test_a_crash_is_told_with_its_reason(main: str, last_line: str) -> None:
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
