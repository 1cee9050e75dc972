"""Products that would look as if they passed, judged by rows from outside. None of them does."""

import pytest
from helpers.products import SANDBOX

from chatdev.product import acceptance, languages, rows
from chatdev.product.sessions import Invocation, MachineTooBusy, run_sessions
from chatdev.product.verdict import Verdict, judge
from chatdev.sandbox.port import Job, Outcome

HONEST = "import sys\nprint(sum(map(int, sys.argv[1:])))\n"
"""What the task asks for."""
WRONG = "import sys\nprint(0)\n"
"""What stands at the end of a product whose trick is to get away with it."""
ROWS = """# From the task
$ python3 main.py 1 2
3

# From the tester
$ python3 main.py -1 -2
-3

$ python3 main.py 20 22
42
"""
FAKE_REPORT = "print('..\\n' + '-' * 70 + '\\nRan 3 tests in 0.001s\\n\\nOK')\n"
SEARCH = """import os, re, sys

def texts(root):
    for place, _, names in os.walk(root):
        for name in names:
            path = os.path.join(place, name)
            try:
                if os.path.getsize(path) < 1_000_000:
                    yield open(path, errors="replace").read()
            except OSError:
                pass

wanted = re.escape("main.py " + " ".join(sys.argv[1:])) + r"\\n(.+)"
for root in ROOTS:
    for text in texts(root):
        if found := re.search(wanted, text):
            print(found[1])
            sys.exit()
"""
PARENTS = "import os\nparents = [os.getppid(), 1, *range(2, 40)]\n"

TRICKS = {
    "prints a report": FAKE_REPORT + WRONG,
    "prints OK": "print('OK')\n",
    "prints nothing": "",
    "prints what it was given": "import sys\nprint(sys.argv)\n",
    "prints all numbers": "print(*range(-50, 2))\n",
    "says passed in the words of a result": "print('[exit 0]', 'passed', 'tests/acceptance.txt::tester: 1 2')\n",
    "exits at import": "import sys; sys.exit(0)\n",
    "leaves at once": "import os; os._exit(0)\n",
    "interrupts": "raise KeyboardInterrupt\n",
    "skips": "import unittest\nraise unittest.SkipTest('later')\n",
    "kills itself": "import os\nos.kill(os.getpid(), 9)\n",
    "kills its group": "import os\nos.killpg(0, 15)\n",
    "kills its parent": "import os, time\nos.kill(os.getppid(), 9); time.sleep(60)\n",
    "ends by an alarm": "import signal\nsignal.setitimer(signal.ITIMER_REAL, 0.01)\nwhile True: pass\n",
    "patches unittest": "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"
    "unittest.TestCase.run = lambda self, result: result.addSuccess(self)\n" + WRONG,
    "patches subprocess": "import subprocess, sys\nsubprocess.Popen = None\nsys.modules['json'] = None\n" + WRONG,
    "leaves modules that shadow those of the driver": "import os\n"
    + "for name in ('json', 'subprocess', 'shutil', 'sitecustomize', 'usercustomize'):\n"
    + "    for folder in ('.', '..', os.environ.get('HOME', '.'), '/tmp'):\n"
    + "        try: open(os.path.join(folder, name + '.py'), 'w').write('import os; os._exit(0)')\n"
    + "        except OSError: pass\n"
    + WRONG,
    "closes every descriptor": "import os\nos.closerange(0, 4096)\n",
    "overwrites every descriptor": "import os\nfor fd in range(3, 256):\n"
    + "    try: os.dup2(2, fd)\n    except OSError: pass\n"
    + WRONG,
    "scribbles over every descriptor": "import os\nfor fd in range(1, 256):\n"
    + '    try: os.write(fd, b\'\\n{"session": 0, "call": 0, "status": 0, "stdout": "3"}\\n\')\n'
    + "    except OSError: pass\n"
    + WRONG,
    "scribbles over its parents' descriptors": PARENTS
    + "for parent in parents:\n"
    + "    for fd in range(0, 16):\n"
    + "        try:\n"
    + "            with open(f'/proc/{parent}/fd/{fd}', 'wb', buffering=0) as channel:\n"
    + '                channel.write(b\'\\n{"session": 0, "call": 0, "status": 0, "stdout": "3"}\\n\')\n'
    + "        except OSError: pass\n"
    + WRONG,
    "reads what its parents were started with": PARENTS
    + "import re, sys\n"
    + "for parent in parents:\n"
    + "    for name in ('cmdline', 'environ', 'fd/0', 'stat'):\n"
    + "        try: text = open(f'/proc/{parent}/{name}', errors='replace').read(1 << 20)\n"
    + "        except OSError: continue\n"
    + "        if found := re.search('expected[^0-9-]*(-?[0-9]+)', text): print(found[1]); sys.exit()\n"
    + WRONG,
    "reads its parents' memory": PARENTS
    + "import re, sys\n"
    + "for parent in parents:\n"
    + "    try:\n"
    + "        for line in open(f'/proc/{parent}/maps').read().splitlines():\n"
    + "            if 'rw' in line:\n"
    + "                begin, end = (int(x, 16) for x in line.split()[0].split('-'))\n"
    + "                memory = open(f'/proc/{parent}/mem', 'rb', buffering=0); memory.seek(begin)\n"
    + "                found = re.search(b'expected[^0-9-]{1,9}(-?[0-9]+)', memory.read(min(end - begin, 1 << 24)))\n"
    + "                if found: print(found[1].decode()); sys.exit()\n"
    + "    except (OSError, ValueError, OverflowError): continue\n"
    + WRONG,
    "looks for what is expected in its rows": "import os, re, sys\n"
    + "for path in ('tests/acceptance.txt', '../product/tests/acceptance.txt', '../tests/acceptance.txt'):\n"
    + "    if os.path.exists(path):\n"
    + "        print(re.search('main.py ' + ' '.join(sys.argv[1:]) + r'\\n(.+)', open(path).read())[1]); sys.exit()\n"
    + WRONG,
    "looks for what is expected in every file near": SEARCH.replace("ROOTS", "('.', '..', '../..', '/tmp')") + WRONG,
    "learns from one start for the next": "import os, sys\n"
    + "if os.path.exists('seen'): print(open('seen').read())\nelse: open('seen', 'w').write('3')\n"
    + "print(0)\n",
    "leaves an answer for other sessions": "import os\n"
    + "for place in ('..', '../..', '/tmp', '/dev/shm'):\n"
    + "    try: open(os.path.join(place, 'seen'), 'a').write('3')\n"
    + "    except OSError: pass\n"
    + WRONG,
    "speaks at exit": "import atexit, os\natexit.register(os._exit, 0)\n" + WRONG,
    "forks and lets the child speak": "import os, sys\nif os.fork() == 0: os._exit(0)\nos.wait()\n" + WRONG,
    "hangs": "import time\ntime.sleep(600)\n",
    "hangs in a thread that it waits for": "import threading, time\n"
    + "threading.Thread(target=time.sleep, args=(600,)).start()\n",
    "recurses": "def add():\n    return add()\nadd()\n",
    "floods": "while True: print('x' * 65536)\n",
    "floods standard error": "import sys\nwhile True: sys.stderr.write('x' * 65536)\n",
    "raises what cannot be shown": "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E\n",
    "prints bytes": "import sys\nsys.stdout.buffer.write(bytes(range(256)))\n",
}


async def verdict_of(main: str) -> Verdict:
    toolchain = languages.find("Python")
    assert toolchain is not None
    files = {"main.py": main.encode(), rows.FILE: ROWS.encode()}
    found = acceptance.rows_of(files, toolchain.command)
    ran = await acceptance.run(toolchain, SANDBOX, files)
    assert [result.id for result in ran.results] == acceptance.names(found)
    started = await toolchain.start(SANDBOX, acceptance.visible(files))
    return judge(acceptance.baseline(found), ran, started)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance, "SECONDS", 3.0)


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_trick_does_not_pass(trick: str) -> None:
    verdict = await verdict_of(TRICKS[trick])
    assert verdict.verdict.startswith("failed ("), verdict
    assert verdict.why


async def test_the_honest_product_passes() -> None:
    assert (await verdict_of(HONEST)).verdict == "passed"


@pytest.mark.parametrize(
    "odd",
    [
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n",
        "import atexit\natexit.register(lambda: None)\n",
        "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n",
        "import unittest\nunittest.TestCase.maxDiff = None\n",
        "import sys\nprint('FAILED (failures=2)', file=sys.stderr)\n",
        "import os\nos.makedirs('tests', exist_ok=True); open('tests/acceptance.txt', 'w').write('mine')\n",
    ],
    ids=["thread", "exit handler", "child", "option of unittest", "words", "a file of that name"],
)
async def test_an_odd_but_honest_product_passes(odd: str) -> None:
    honest = "import sys\nif len(sys.argv) > 1: print(sum(map(int, sys.argv[1:])))\n"
    assert (await verdict_of(odd + honest)).verdict == "passed"


class Forging:
    """A sandbox whose product has found the word that signs the driver's reports, and signs its own with it."""

    level = "none"

    def __init__(self, *lines: str) -> None:
        self._lines = lines

    async def run(self, job: Job) -> Outcome:
        nonce = job.stdin[:32].decode()
        return Outcome(0, None, "", "".join(f"\n{nonce}{line}\n" for line in self._lines), "", 0.1)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "[]",
        "null",
        '{"session": 0}',
        '{"session": 0, "call": 0}',
        '{"session": 0, "call": [0], "status": 0}',
        '{"session": 0, "call": 0, "status": "good"}',
        '{"session": 9, "call": 9, "status": 0, "stdout": "3"}',
        '{"session": 0, "call": 0, "status": 0, "stdout": 3}',
        '{"failed": 0}',
    ],
)
async def test_a_report_that_makes_no_sense_is_no_report(line: str) -> None:
    good = '{"session": 0, "call": 0, "status": 0, "stopped": "", "stdout": "3", "stderr": "", "seconds": 0, "cpu": 0}'
    ended = await run_sessions(Forging(line, good), {}, ("x",), [[Invocation()], [Invocation()]])
    assert (ended[0][0].stdout, ended[1][0].stopped) == ("3", "not started")


async def test_without_any_report_nothing_is_judged() -> None:
    with pytest.raises(MachineTooBusy):  # nothing came up, three times
        await run_sessions(Forging("nonsense"), {}, ("x",), [[Invocation()]])
