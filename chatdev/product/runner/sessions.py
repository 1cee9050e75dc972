"""Starts a product many times inside the sandbox, and reports the result of each start.

A separate program, like the others here. The first 32 bytes of standard input are a nonce; the rest is JSON::

    {"build": [[WORD…]…], "program": [WORD…], "sessions": [[{"args": [WORD…], "stdin": TEXT}…]…],
     "seconds": N, "output": BYTES}

Each session has its own copy of the product's folder, so that it finds no files of another session. A start that
exceeds its time or output limit ends its session: the calls after it are reported as stopped, too. After two such
sessions, each start is limited to two seconds, so that a product that never ends does not block the machine for
minutes. Reports go to standard output, one line each: the nonce and JSON::

    {"began": true}                                 this program has started
    {"failed": STEP, "status": N}                  a build step ended with that status; nothing was started
    {"session": S, "call": C, "status": N, "stopped": "", "stdout": TEXT, "stderr": TEXT, "seconds": T, "cpu": T}
    {"end": true}

Expected values never enter the sandbox, so the product cannot read them.
"""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from .steps import call
from .waiting import wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

    Report = Callable[[dict[str, object]], None]

_NONCE = 32
_MISSING = 127
_FEED = 1 << 16
_FLOOD = 16 << 20
"""Bytes on one stream after which a start is stopped."""
_PATIENT, _LESS = 2, 2.0
"""Stopped sessions after which each start has less time, and that time in seconds."""


def main() -> None:
    """Read the order, build, and run every session."""
    text = sys.stdin.buffer.read()
    nonce, order = text[:_NONCE], json.loads(text[_NONCE:])
    channel = os.dup(1)
    os.dup2(2, 1)

    def say(report: dict[str, object]) -> None:
        line = b"\n%s%s\n" % (nonce, json.dumps(report).encode())
        while line:
            line = line[os.write(channel, line) :]

    say({"began": True})
    root = os.getcwd()  # noqa: PTH109 - pathlib is large
    for number, step in enumerate(order["build"]):
        os.makedirs("build", exist_ok=True)  # noqa: PTH103
        if status := call(step):
            say({"failed": number, "status": status})
            return
    endless = 0
    for number, session in enumerate(order["sessions"]):
        if endless == _PATIENT:
            order["seconds"] = min(order["seconds"], _LESS)
        endless += _session(root, number, session, order, say)
    say({"end": True})


def _session(root: str, number: int, session: "list[dict[str, Any]]", order: "dict[str, Any]", say: "Report") -> bool:
    """Make every call of a session in a separate folder; returns whether one was stopped."""
    stopped: object = ""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        copy = os.path.join(folder, "product")  # noqa: PTH118
        shutil.copytree(root, copy, symlinks=True)
        for turn, call in enumerate(session):
            report = {"status": None, "stopped": stopped} if stopped else _start(copy, call, order)
            stopped = report["stopped"]
            say({"session": number, "call": turn, **report})
    return bool(stopped)


def _start(folder: str, call: "dict[str, Any]", order: "dict[str, Any]") -> "dict[str, object]":
    """Start the program once, feed it, and wait until it ends or its time is over."""
    began, before = time.monotonic(), _cpu()
    try:
        program = subprocess.Popen(  # noqa: S603 - it is what this program is for
            [*order["program"], *call["args"]],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return {"status": _MISSING, "stopped": "", "stdout": "", "stderr": f"{error}", "seconds": 0.0, "cpu": 0.0}
    taken = {name: _Taken(program, name, order["output"]) for name in ("stdout", "stderr")}
    feeding = threading.Thread(target=_feed, args=(program.stdin, call["stdin"].encode()), daemon=True)
    feeding.start()
    stopped = "time" if wait(program, order["seconds"]) is None else ""
    _end_group(program)
    status = program.wait()
    for each in taken.values():
        each.join(1.0)
    if any(each.flooded for each in taken.values()):
        stopped = stopped or "output"
    return {
        "status": None if stopped else status,
        "stopped": stopped,
        **{name: each.text() for name, each in taken.items()},
        "seconds": round(time.monotonic() - began, 3),
        "cpu": round(_cpu() - before, 3),
    }


def _end_group(program: "subprocess.Popen[bytes]") -> None:
    """End it and what it started; a process that left its group ends with the sandbox."""
    try:
        os.killpg(program.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _feed(stdin: "IO[bytes]", data: bytes) -> None:
    try:
        with stdin:
            stdin.write(data)
    except (OSError, ValueError):
        return  # it ended before it read everything


class _Taken(threading.Thread):
    """Reads a stream of a program to its end, keeps its first bytes, and ends a program that never stops printing."""

    def __init__(self, program: "subprocess.Popen[bytes]", name: str, most: int) -> None:
        super().__init__(daemon=True)
        self._program, self._stream = program, getattr(program, name)
        self._most, self._kept = most, bytearray()
        self.flooded = False
        self.start()

    def run(self) -> None:
        came = 0
        try:
            while piece := os.read(self._stream.fileno(), _FEED):
                came += len(piece)
                if len(self._kept) < self._most:
                    self._kept += piece[: self._most - len(self._kept)]
                if came > _FLOOD:
                    self.flooded = True
                    _end_group(self._program)
                    return
        except (OSError, ValueError):
            return

    def text(self) -> str:
        return bytes(self._kept).decode(errors="replace")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
