"""Builds a product and runs one program of it inside the sandbox, for every language but Python.

A separate program with the nonce on standard input, like the others here. Its argument is JSON:
``{"steps": [[WORD…]…], "program": [WORD…], "seconds": N, "tests": [PATH…]}``. It reports on standard output, one line
each::

    NONCE ready                        all steps are done; what follows is the program's own output
    NONCE failed STEP STATUS           a step (by its number) ended with that status; its output is on standard error
    NONCE changed PATH                 the program changed one of the tests' files
    NONCE ended STATUS                 the program's exit status, or minus its signal
    NONCE alive                        it is still running after its seconds, as ``fair.Clock`` counts them

The steps' output never reaches standard output. The program inherits standard input.
"""

import json
import os
import subprocess
import sys

from .kept import remember
from .waiting import wait

_NONCE = 32
_MISSING = 127


def main(order: str) -> None:
    """Do what the order says. The caller ends all remaining processes afterwards."""
    nonce = b""
    while len(nonce) < _NONCE and (piece := os.read(0, _NONCE - len(nonce))):
        nonce += piece
    wanted = json.loads(order)

    def say(*fields: object) -> None:
        os.write(1, b"\n%s %s\n" % (nonce, " ".join(map(str, fields)).encode()))

    for number, step in enumerate(wanted["steps"]):
        os.makedirs("build", exist_ok=True)  # noqa: PTH103 - pathlib is large
        if status := call(step):
            say("failed", number, status)
            return
    changed = remember(os.getcwd(), wanted["tests"]) if wanted["tests"] else None  # noqa: PTH109 - pathlib is large
    say("ready")
    try:
        program = subprocess.Popen(wanted["program"])  # noqa: S603 - it is what this program is for
    except OSError as error:
        print(f"{wanted['program'][0]}: {error.strerror}", file=sys.stderr)
        say("ended", _MISSING)
        return
    ended = wait(program, wanted["seconds"])
    if changed and (path := changed()):
        say("changed", path.replace("\n", " "))
    say(*(("alive",) if ended is None else ("ended", ended)))


def call(step: list[str]) -> int:
    """Run one step with its output on standard error; returns its exit status, or a shell's for a missing program."""
    try:
        return subprocess.run(step, stdin=subprocess.DEVNULL, stdout=2, check=False).returncode  # noqa: S603
    except OSError as error:
        print(f"{step[0]}: {error.strerror}", file=sys.stderr)
        return _MISSING
