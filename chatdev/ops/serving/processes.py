"""A server as our child process: in its own session, its output line by line, and completely stopped at the end."""

import asyncio
import codecs
import contextlib
import ctypes
import os
import re
import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

from chatdev.errors import UserError

_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_POLL = 0.05  # seconds
_MOMENTS = 200
_KEPT = 200  # last lines, for error messages


class Child:
    """A program that runs until it ends or is stopped. ``last`` holds the last lines that it printed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.pid = process.pid
        self.last: deque[str] = deque(maxlen=_KEPT)

    @classmethod
    async def start(cls, argv: Sequence[str], environment: Mapping[str, str]) -> "Child":
        """Start a program. Raises UserError if there is no such program.

        It leads its own session, so that Ctrl-C in our terminal reaches it only through us. It gets SIGTERM if we are
        killed.
        """
        libc = ctypes.CDLL(None)
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM),
            )
        except OSError as error:
            raise UserError(f"{argv[0]} cannot be started ({error.strerror}).") from None
        return cls(process)

    async def lines(self) -> AsyncIterator[str]:
        """Its output, line by line; each state of a progress bar is a line. Ends when it closes its output."""
        stream = self._process.stdout
        assert stream is not None
        rest, decode = "", codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        while chunk := await stream.read(65536):
            *whole, rest = re.split(r"[\r\n]+", rest + decode(chunk))
            for line in filter(None, whole):
                self.last.append(line)
                yield line
        if rest:
            self.last.append(rest)
            yield rest

    @property
    def exit_status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.returncode

    async def ended(self) -> int:
        """Wait for its end, even if its output stays open; returns its exit status, negative for a signal."""
        while (status := self.exit_status) is None:  # noqa: ASYNC110 - asyncio's own wait may wait for its output
            await asyncio.sleep(_POLL)
        return status

    async def stop(self, grace: float) -> None:
        """Send SIGTERM, and after ``grace`` seconds kill it; then kill all that it started. If cancelled: immediately.

        The caller must keep reading its lines, or it may block on a full pipe.
        """
        family = descendants(self.pid)
        try:
            if self.exit_status is None:
                self._process.terminate()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.ended(), grace)
        finally:
            family |= in_session(self.pid)
            for pid in alive({self.pid, *family}):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
        await self.ended()
        for _ in range(_MOMENTS):  # a killed process takes a moment to release its memory
            if not alive(family):
                break
            await asyncio.sleep(_POLL)


def alive(pids: set[int]) -> set[int]:
    """Those of the processes that run; zombies do not count."""
    return pids & {pid for pid, _, _ in _processes()}


def descendants(pid: int) -> set[int]:
    """All descendants of a process."""
    parents = {child: parent for child, parent, _ in _processes()}
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in {pid, *found}} - found:
        found |= more
    return found


def in_session(leader: int) -> set[int]:
    """The processes of a session: its leader's descendants, even if their parents have ended."""
    return {pid for pid, _, session in _processes() if session == leader}


def _processes() -> list[tuple[int, int, int]]:
    """Pid, parent and session of every process that is not a zombie, from ``/proc/PID/stat``."""
    found = []
    for stat in _PROC.glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
            state, parent, _, session, *_ = stat.read_text().rpartition(")")[2].split()
            if state != "Z":
                found.append((int(stat.parent.name), int(parent), int(session)))
    return found
