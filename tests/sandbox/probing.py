"""Runs the probes, which try each way out of the sandbox, at a level, as root or as an ordinary user.

``python tests/sandbox/probing.py`` prints the table of ``SECURITY.md`` for this machine. With a level as its argument
it prints what got through at that level, as JSON, for the user that it is run by.
"""

import ast
import asyncio
import contextlib
import ctypes
import json
import os
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from msgspec import structs  # noqa: E402

from chatdev.sandbox import levels, seccomp, system  # noqa: E402
from chatdev.sandbox.port import Job, Limits, Sandbox  # noqa: E402

PROBES = Path(__file__).parent / "probes"
HELPERS = ("ways", "drive")
BY_A_LIMIT = {
    "fork_bomb": "processes",
    "memory_hog": "memory",
    "memory_hogs": "memory",
    "endless_loop": "time",
    "ignored_sigterm": "time",
    "endless_output": "output",
    "huge_file": "disk",
}
HOLDING = sorted(path.stem for path in PROBES.glob("memory_*.py") if path.stem not in BY_A_LIMIT)
"""The probes that hold memory in no resident set: stopped by the limit, or refused."""
HOLDING_ANYWHERE = ("memory_memfd", "memory_pipes", "memory_shared", "memory_sockets")
"""Those that leave nothing behind where no level stops them."""
TRIED = sorted(path.stem for path in PROBES.glob("*.py") if path.stem not in (*HELPERS, *BY_A_LIMIT, *HOLDING))
HARMLESS = """bind delete_outside home network_tcp network_udp others_environment signals unix_abstract unix_by_path
    without_files write_outside""".split()
"""The probes that may run without walls, by an ordinary user: they reach for nothing but the ground laid for them."""
ORDINARY = 65534
_LIBC = ctypes.CDLL(None)
_ROOMY = Limits(seconds=20, processes=24, memory=16 << 30)
_BRIEF = Limits(seconds=1.0)
_SMALL = Limits(seconds=20, memory=128 << 20, output=1 << 16, file_size=1 << 20)
_OTHER_CALLS = {"clone": (56, 220), "clone3": (435, 435), "tgkill": (234, 131)}


def title(probe: str) -> str:
    """What a probe tries, in the words of its first line."""
    return str(ast.get_docstring(ast.parse((PROBES / f"{probe}.py").read_text())))


class Ground:
    """What there is to get at: servers, a home with a key, files, and this process with a key in its environment."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._mark = folder, uuid.uuid4().hex
        for name in ("home/.ssh", "outside/empty"):
            (folder / name).mkdir(parents=True)
        (folder / "home/.ssh/id_ed25519").write_text("secret")
        self._precious = folder / "outside/precious"
        self._precious.write_text("kept")
        for path in (folder, *folder.rglob("*")):  # nothing but the sandbox keeps a program from them
            path.chmod(0o777)
        os.setxattr(folder / "outside", "user.given", b"x")
        self._objects = _make_objects()
        self._tcp = socket.create_server(("", 0))
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind(("", 0))
        self._udp.setblocking(False)
        self._unix = [socket.socket(socket.AF_UNIX, kind) for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM)]
        for number, one in enumerate(self._unix):
            one.bind(f"{folder}/unix{number}")
            Path(f"{folder}/unix{number}").chmod(0o777)
        self._abstract = socket.socket(socket.AF_UNIX)
        self._abstract.bind(f"\0{folder}")
        for listener in (self._unix[0], self._abstract):
            listener.listen()

    def told(self) -> dict[str, object]:
        """What a probe is told of all this."""
        column = seccomp.MACHINES[os.uname().machine].column
        calls = seccomp.REFUSED | seccomp.REFUSED_UNCOUNTED | seccomp.REFUSED_WITHOUT_NAMESPACES | _OTHER_CALLS
        return {
            "tcp": self._tcp.getsockname()[1],
            "udp": self._udp.getsockname()[1],
            "unix": f"{self._folder}/unix0",
            "unix_datagram": f"{self._folder}/unix1",
            "abstract": str(self._folder),
            "address": _outer_address(),
            "network": str(Path("/proc/self/ns/net").readlink()),
            "key": os.environ["PROBED_KEY"],
            "host": os.getpid(),
            **self._objects,
            "home": f"{self._folder}/home",
            "real_home": str(Path.home()),
            "outside": f"{self._folder}/outside",
            "calls": {name: numbers[column] for name, numbers in calls.items()},
            "mark": self._mark,
        }

    def after(self) -> dict[str, list[str]]:
        """What a probe did that only this side can see."""
        seen: dict[str, list[str]] = {"network_udp": [], "planted_links": [], "daemon": []}
        with contextlib.suppress(BlockingIOError):
            seen["network_udp"] = [self._udp.recv(100).decode()]
        if not self._precious.exists() or self._precious.read_text() != "kept":
            seen["planted_links"] = ["a file outside is gone"]
        if self._mark in "".join(map(_command, Path("/proc").glob("[0-9]*"))):
            seen["daemon"] = ["a daemon is alive"]
        return seen

    def close(self) -> None:
        for one in (self._tcp, self._udp, self._abstract, *self._unix):
            one.close()
        for name, remove in (("shared_memory", "shmctl"), ("messages", "msgctl")):
            getattr(_LIBC, remove)(self._objects[name], 0, None)
        _LIBC.semctl(self._objects["semaphores"], 0, 0)
        _LIBC.mq_unlink(str(self._objects["queue"]).encode())


def _make_objects() -> dict[str, Any]:
    """System V objects by number and a POSIX queue by name, which any user may use."""
    queue = f"/{uuid.uuid4().hex}"
    usual = os.umask(0)
    os.close(_LIBC.mq_open(queue.encode(), os.O_CREAT | os.O_RDWR, 0o666, None))
    os.umask(usual)
    return {
        "shared_memory": _LIBC.shmget(0, 4096, 0o1666),
        "semaphores": _LIBC.semget(0, 1, 0o1666),
        "messages": _LIBC.msgget(0, 0o1666),
        "queue": queue,
    }


def _outer_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return "127.0.0.1"
        return str(one.getsockname()[0])


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text(errors="replace")
    except OSError:
        return ""


async def get_through(level: str) -> dict[str, list[str]]:
    """What got through at a level, by probe; an empty list where it was stopped."""
    sandbox = levels.at(level)
    if level != levels.UNSAFE:
        levels.hide_memory()
    tried = HARMLESS if level == levels.UNSAFE else TRIED
    files = {path.name: path.read_bytes() for path in PROBES.glob("*.py")}
    with tempfile.TemporaryDirectory(prefix="ground-") as folder:
        ground = Ground(Path(folder))
        try:
            given = json.dumps(ground.told()).encode()
            files["told.json"] = given
            job = Job((sys.executable, "drive.py", *tried), files, limits=Limits(seconds=60))
            outcome = await sandbox.run(job)
            assert outcome.exit_status == 0, outcome
            found: dict[str, list[str]] = json.loads(outcome.stdout.splitlines()[-1])
            for probe, seen in ground.after().items():
                found[probe] = [line for line in found.get(probe, []) if line] + seen
        finally:
            ground.close()
    if tried == TRIED:  # side by side, since some only wait for their limit
        stopped = await asyncio.gather(*(_stopped(sandbox, files, *one) for one in BY_A_LIMIT.items()))
        found |= dict(zip(BY_A_LIMIT, stopped, strict=True))
    for probe in HOLDING if tried == TRIED else HOLDING_ANYWHERE:
        found[probe] = await _held(sandbox, files, probe)
    return found


async def _stopped(sandbox: Sandbox, files: Mapping[str, bytes], probe: str, limit: str) -> list[str]:
    limits = _BRIEF if limit == "time" else _ROOMY if limit == "processes" else _SMALL
    outcome = await sandbox.run(Job((sys.executable, f"{probe}.py"), files, limits=limits))
    return [] if outcome.stopped == limit else [f"not stopped by the {limit} limit: {outcome}"]


async def _held(sandbox: Sandbox, files: Mapping[str, bytes], probe: str) -> list[str]:
    """The ways in which a probe held four times the memory limit: it has as many as it says."""
    found: list[str] = []
    for number in range(9):
        limits = _SMALL if sandbox.level != levels.UNSAFE else structs.replace(_SMALL, seconds=4)
        job = Job((sys.executable, f"{probe}.py", str(limits.memory), str(number)), files, limits=limits)
        outcome = await sandbox.run(job)
        if outcome.stdout == "no more\n":
            return found
        if outcome.stopped != "memory" and outcome.stdout != "refused\n":
            found.append(f"{number}: {outcome}")
    raise AssertionError(f"{probe} does not end.")


def as_this_user(level: str) -> dict[str, list[str]]:
    """``get_through`` in a process of its own, which has a key in its environment."""
    return _asked([sys.executable, __file__, level])


def as_ordinary_user(level: str) -> dict[str, list[str]]:
    """The same as a user without rights, whom root becomes in a process of its own."""
    return _asked([sys.executable, __file__, level, "ordinary"])


def _asked(command: list[str]) -> dict[str, list[str]]:
    environment = {**os.environ, "PROBED_KEY": uuid.uuid4().hex, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str]] = json.loads(done.stdout)
    return answer


def become_ordinary() -> None:
    """Leave root for good; folders of root's home that hold our interpreter stay in sight, in a copy of the tree."""
    prefixes = {prefix for prefix in (sys.base_prefix, sys.prefix) if prefix.startswith(f"{Path.home()}/")}
    system.call(_UNSHARE[os.uname().machine], 0x20000)
    system.mount("none", "/", flags=system.PRIVATE | system.RECURSIVE)
    held = {prefix: os.open(prefix, os.O_PATH) for prefix in prefixes}
    system.mount("tmpfs", str(Path.home()), "tmpfs", 0, "mode=755")
    for prefix, descriptor in held.items():
        Path(prefix).mkdir(parents=True)
        system.mount(f"/proc/self/fd/{descriptor}", prefix, flags=system.BIND)
        os.close(descriptor)
    os.setgroups([])
    os.setresgid(ORDINARY, ORDINARY, ORDINARY)
    os.setresuid(ORDINARY, ORDINARY, ORDINARY)
    system.prctl(system.SET_DUMPABLE, 1)  # as any process that a user starts


_UNSHARE = {"x86_64": 272, "aarch64": 97}


def holds(level: str, *, ordinary: bool) -> str:
    """Why a level does not hold for a user here; empty if it does."""
    command = [sys.executable, __file__, level, "check", *(["ordinary"] if ordinary else [])]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def table() -> str:
    """What each probe came to at each level on this machine, in Markdown."""
    users: Mapping[str, bool] = {"root": False, "user": True} if os.getuid() == 0 else {"user": False}
    columns = {}
    for level in levels.LEVELS:
        for user, ordinary in users.items():
            why = holds(level, ordinary=ordinary)
            run = as_ordinary_user if ordinary else as_this_user
            columns[f"{level}, {user}"] = {} if why else run(level)
    lines = [f"| tried by a program | {' | '.join(columns)} |", f"| --- {'| --- ' * len(columns)}|"]
    for probe in (*TRIED, *BY_A_LIMIT, *HOLDING):
        marks = (("not here" if not found else "**open**" if found[probe] else "stopped") for found in columns.values())
        lines.append(f"| {title(probe)} | {' | '.join(marks)} |")
    return "\n".join(lines)


def main(level: str, *words: str) -> None:
    """Answer for one level, on standard output."""
    if "ordinary" in words:
        become_ordinary()
    if "check" in words:
        print(levels.tried(level).why)
    else:
        print(json.dumps(asyncio.run(get_through(level))))


if __name__ == "__main__":
    main(*sys.argv[1:]) if sys.argv[1:] else print(table())
