"""This machine's resources: GPUs and the processes on them, memory, and which process holds a port. Linux only.

GPUs are queried with their drivers' tools, ``nvidia-smi`` and ``rocm-smi``; everything else is read from ``/proc``.
"""

import csv
import json
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

Maker = Literal["NVIDIA", "AMD"]

_MIB = 1 << 20
PROC = Path("/proc")
PATIENCE = 15.0  # seconds; the first call after boot wakes the driver up


class Program(msgspec.Struct, frozen=True):
    """A process that uses a GPU."""

    pid: int
    name: str


class Gpu(msgspec.Struct, frozen=True):
    """One GPU. Memory in bytes, 0 if its driver does not report it. ``users`` are the processes seen on it."""

    index: int
    name: str
    maker: Maker
    total: int
    used: int
    users: tuple[Program, ...] = ()

    @property
    def free(self) -> int:
        """Unused bytes."""
        return max(0, self.total - self.used)


class Machine(msgspec.Struct, frozen=True):
    """GPUs, memory in bytes (total and available), and the error message of a driver's tool."""

    gpus: tuple[Gpu, ...]
    memory: int
    available: int
    complaint: str = ""


def gpus() -> tuple[Gpu, ...]:
    """The GPUs of this machine; empty if no driver answers."""
    return detect().gpus


def detect() -> Machine:
    """Query the drivers and the kernel. Takes a moment, at most half a minute if a driver hangs."""
    total, available = read_memory((PROC / "meminfo").read_text())
    found, complaint = _nvidia()
    if not found:
        found, also = _amd()
        complaint = complaint or also
    # A GPU that shares the machine's memory, such as NVIDIA's GB10, reports none of its own.
    shared = [g if g.total else msgspec.structs.replace(g, total=total, used=total - available) for g in found]
    return Machine(tuple(shared), total, available, complaint)


def only(machine: Machine, visible: Sequence[str] | None) -> Machine:
    """The machine with only the GPUs that programs may use: by index, or as many as are named in another way."""
    if visible is None:
        return machine
    by_index = all(name.isdigit() for name in visible)
    kept = [gpu for gpu in machine.gpus if str(gpu.index) in visible] if by_index else machine.gpus[: len(visible)]
    return msgspec.structs.replace(machine, gpus=() if "-1" in visible else tuple(kept))


def read_memory(meminfo: str) -> tuple[int, int]:
    """All memory and what is available, in bytes, from ``/proc/meminfo``."""
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", meminfo, re.M))
    return int(sizes["MemTotal"]) << 10, int(sizes["MemAvailable"]) << 10


def _nvidia() -> tuple[tuple[Gpu, ...], str]:
    output_format = "--format=csv,noheader,nounits"
    cards, complaint = _output_of("nvidia-smi", "--query-gpu=index,uuid,name,memory.total,memory.used", output_format)
    if not cards:
        return (), complaint
    apps, _ = _output_of("nvidia-smi", "--query-compute-apps=gpu_uuid,pid,process_name", output_format)
    return read_nvidia(cards, apps), ""


def read_nvidia(cards: str, apps: str) -> tuple[Gpu, ...]:
    """GPUs from nvidia-smi's two tables: index, uuid, name, total MiB, used MiB; and uuid, pid, process name."""
    users = [(uuid, Program(int(pid), Path(name).name)) for uuid, pid, name in _rows(apps, 3) if pid.isdigit()]
    return tuple(
        Gpu(
            index=int(index),
            name=name,
            maker="NVIDIA",
            total=int(total) * _MIB if total.isdigit() else 0,  # else [N/A], [Not Supported]
            used=int(used) * _MIB if used.isdigit() else 0,
            users=tuple(user for on, user in users if on == uuid),
        )
        for index, uuid, name, total, used in _rows(cards, 5)
        if index.isdigit()
    )


def _rows(table: str, columns: int) -> Iterator[list[str]]:
    for row in csv.reader(table.splitlines(), skipinitialspace=True):
        if len(row) == columns:
            yield [cell.strip() for cell in row]


def _amd() -> tuple[tuple[Gpu, ...], str]:
    output, complaint = _output_of("rocm-smi", "--showproductname", "--showmeminfo", "vram", "--showpids", "--json")
    found = read_amd(output)
    return found, "" if found else complaint


def read_amd(output: str) -> tuple[Gpu, ...]:
    """GPUs from rocm-smi's JSON: an object per card, and ``system`` with the processes, but not on which card."""
    start = output.find("{")  # warnings may precede it
    try:
        table = json.loads(output[start:]) if start >= 0 else {}
    except json.JSONDecodeError:
        return ()
    cards = {int(key[4:]): card for key, card in table.items() if re.fullmatch(r"card\d+", key)}
    named = ((key, str(value).split(",")[0]) for key, value in table.get("system", {}).items())
    users = tuple(Program(int(key[3:]), name) for key, name in named if re.fullmatch(r"PID\d+", key))
    return tuple(
        Gpu(
            index=index,
            name=card.get("Card Series") or card.get("Card series") or card.get("Card Model") or "AMD GPU",
            maker="AMD",
            total=int(card.get("VRAM Total Memory (B)", 0)),
            used=int(card.get("VRAM Total Used Memory (B)", 0)),
            users=users if len(cards) == 1 else (),
        )
        for index, card in sorted(cards.items())
    )


def _output_of(program: str, *arguments: str) -> tuple[str, str]:
    """The output of a driver's tool, and its error message. Both are empty if the tool is not installed."""
    path = shutil.which(program)
    if path is None:
        return "", ""
    try:
        done = subprocess.run(  # noqa: S603 - a driver's own tool, with our own arguments
            (path, *arguments), capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return "", f"{program} does not answer"
    except OSError as error:
        return "", f"{program}: {error.strerror}"
    if done.returncode == 0:
        return done.stdout, ""
    words = " ".join((done.stdout + done.stderr).split())
    return "", f"{program} says: {words[:200] or f'exit status {done.returncode}'}"


def holder(port: int) -> str:
    """What listens on a TCP port of this machine, such as ``python3 -m http.server (pid 812)``; empty if nothing does.

    The processes of other users cannot be inspected: then only the user is named.
    """
    listeners = [
        listener
        for table in ("tcp", "tcp6")
        if (path := PROC / "net" / table).exists()
        for listener in read_listeners(path.read_text(), port)
    ]
    sockets = {f"socket:[{inode}]" for inode, _ in listeners}
    for process in PROC.glob("[0-9]*") if sockets else ():
        with suppress(OSError):  # it ended, or is not ours
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
                return f"{shown_command(words)} (pid {process.name})"
    return f"a process of user {_user(listeners[0][1])}" if listeners else ""


def read_listeners(table: str, port: int) -> list[tuple[int, int]]:
    """Inode and user id of each socket that listens on ``port``, from ``/proc/net/tcp`` or ``tcp6``."""
    rows = (line.split() for line in table.splitlines()[1:])
    return [(int(row[9]), int(row[7])) for row in rows if row[3] == "0A" and int(row[1].rpartition(":")[2], 16) == port]


def shown_command(words: Sequence[str]) -> str:
    """A short form of a command, enough to recognise it: without folders and without keys."""
    hidden = re.compile(r"(key|token|secret|password)", re.IGNORECASE)
    shown, mask = [], False
    for word in (word for word in words if word):
        name, equals, _ = word.partition("=")
        shown.append("***" if mask else f"{name}=***" if equals and hidden.search(name) else word)
        mask = word.startswith("-") and not equals and hidden.search(word) is not None
    if shown:
        shown[0] = Path(shown[0]).name
    text = " ".join(shown)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0))
