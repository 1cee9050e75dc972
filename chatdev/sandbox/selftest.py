"""Runs a program that tries to escape from a sandbox. Each success is reported, and makes the level unusable."""

import os
import socket
import sys
import tempfile
from pathlib import Path

from chatdev.sandbox import patience
from chatdev.sandbox.port import Job, Limits, Outcome, Sandbox

# Each try that succeeds is an escape. The program runs on the bare interpreter; its inputs are arguments.
PROGRAM = """
import os, sys
import _ctypes, _socket
outside, folder, port, host = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
class Long(_ctypes._SimpleCData): _type_ = "l"
class Function(_ctypes.CFuncPtr): _flags_ = _ctypes.FUNCFLAG_CDECL
def read(path): open(path).close()
def write(path): open(path, "a").close()
def connect():
    s = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM); s.settimeout(1); s.connect(("127.0.0.1", port))
def abstract():
    s = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM); s.connect("\\0" + folder)
def asks(*words):
    if Function(_ctypes.dlsym(_ctypes.dlopen(None, 0), "syscall"))(*map(Long, words)) < 0: raise OSError
def elsewhere():
    if os.getpid() <= 2: raise OSError  # isolated: this id would be ours or our parent's
    return host
tries = {
    "it reads a file outside": lambda: read(outside),
    "it creates a file outside": lambda: write(folder + "/new"),
    "it empties a file outside": lambda: os.truncate(outside, 0),
    "it deletes a file outside": lambda: os.unlink(outside),
    "it reaches this machine's network": connect,
    "it reaches an abstract socket": abstract,
    "it reads the environment of another process": lambda: open("/proc/%d/environ" % elsewhere()).read(1),
    "it can signal another process": lambda: os.kill(elsewhere(), 0),
    "it creates namespaces": lambda: asks(SYS_UNSHARE, 0x10000000),
    "it traces a process": lambda: asks(SYS_PTRACE, 0, 0, 0, 0),
    "it uses io_uring": lambda: asks(425, 1, 0),
}
for what, attempt in tries.items():
    try: attempt()
    except (OSError, MemoryError): continue
    print(what)
open("made", "w").close()
print("tried")
"""
_GREEDY = """
import os, sys, time
processes, memory = int(sys.argv[1]), int(sys.argv[2])
children = []
try:
    for _ in range(processes):
        child = os.fork()
        if child == 0: time.sleep(60); os._exit(0)
        children.append(child)
    print("it starts more processes than allowed", flush=True)
except OSError: pass
for child in children:
    os.kill(child, 9); os.waitpid(child, 0)
held = b"x" * memory
print("it uses more memory than allowed", flush=True)
"""
_LITTLE = Limits(seconds=20, memory=96 << 20, processes=24)
_NUMBERS = {"x86_64": ("272", "101"), "aarch64": ("97", "117")}


async def ways_out(sandbox: Sandbox) -> str:
    """The escapes that a program in this sandbox has found, as text; empty if there are none. Raises SandboxError."""
    unshare, ptrace = _NUMBERS.get(os.uname().machine, ("-1", "-1"))
    program = PROGRAM.replace("SYS_UNSHARE", unshare).replace("SYS_PTRACE", ptrace)
    with (
        tempfile.TemporaryDirectory(prefix="chatdev-outside-", ignore_cleanup_errors=True) as folder,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        Path(folder).chmod(0o777)  # so that only the sandbox denies access
        outside = Path(folder, "secret")
        outside.write_text("secret")
        outside.chmod(0o666)
        abstract.bind(f"\0{folder}")
        abstract.listen()
        words = (str(outside), folder, str(server.getsockname()[1]), str(os.getpid()))
        command = (sys.executable, "-I", "-S", "-B", "-c", program, *words)
        job = Job(command, {}, limits=Limits(seconds=20), temporary=(folder,))
        outcome = await patience.run(sandbox, job, _was_done)
    lines = outcome.stdout.splitlines()
    if outcome.exit_status != 0 or lines[-1:] != ["tried"]:
        return f"the self-test program failed: {_why(outcome)}"
    return "; ".join(lines[:-1])


async def limits_passed(sandbox: Sandbox) -> str:
    """The limits that a program in this sandbox was able to exceed, as text; empty if there are none. Raises
    SandboxError."""
    words = (str(2 * _LITTLE.processes), str(2 * _LITTLE.memory))
    job = Job((sys.executable, "-I", "-S", "-B", "-c", _GREEDY, *words), {}, limits=_LITTLE)
    outcome = await patience.run(sandbox, job, _was_done)
    if passed := outcome.stdout.splitlines():
        return "; ".join(passed)
    if outcome.stopped in ("memory", "processes") or "MemoryError" in outcome.stderr:
        return ""
    return f"the self-test program for limits failed: {_why(outcome)}"


def _was_done(outcome: Outcome) -> bool:
    """Whether the program ended: running out of time never decides whether a level is usable."""
    return outcome.stopped != "time"


def _why(outcome: Outcome) -> str:
    if outcome.stopped == "starved":
        return "this machine was too busy to run it; try again"
    if outcome.stopped:
        return f"stopped by the {outcome.stopped} limit after {outcome.seconds:.0f} s"
    return (outcome.stderr.strip().splitlines() or [f"status {outcome.exit_status}, signal {outcome.signal}"])[-1]
