"""Runs programs under a supervisor, within limits, and leaves nothing behind. Isolation is up to the level."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path

from chatdev.sandbox import launch, proc
from chatdev.sandbox.inside import Confinement
from chatdev.sandbox.pipes import Output, Reader, Writer
from chatdev.sandbox.port import Job, Outcome, Refused, SandboxError, Stopped

CLEARING = 10.0
"""Seconds after the program's end for which a run waits until its folder is removed. That then goes on by itself."""
GRACE = 10.0
"""Seconds after the time limit at which the supervisor itself is checked, and killed if it is suspended."""
# Imported rather than run as a script, so that its compiled form is used.
_HERE = str(Path(__file__).parent.parent)
_BARE = ("-I", "-S", "-B", "-c")
_SUPERVISOR = "import sys; sys.path.append(sys.argv[1]); from sandbox import launch; launch.main(sys.argv[2:])"
_REMOVER = "import sys; sys.path.append(sys.argv[1]); from sandbox import trees; trees.remove_tree(sys.argv[2])"
_ENDS = ("exit", "signal", "limit")
_BY_LIMIT: Mapping[str, Stopped] = {name: name for name in ("time", "starved", "memory", "processes")}
_BY_SIGNAL: Mapping[str, Stopped] = {str(int(signal.SIGXFSZ)): "disk", str(int(signal.SIGXCPU)): "time"}


class LocalSandbox:
    """Keeps a program's processes, time, memory, output and files within limits, and ends all that it started.

    There is no isolation: the program runs as this user. It can read what the user can, use the network, and signal
    the user's processes; a program that kills both processes of its supervisor can leave others behind. ``within`` is
    the parent of the disposable folders; by default, the system's temporary folder. ``seen``: the program's own
    processes do the work, so its CPU time can be observed.
    """

    def __init__(self, within: Path | None = None, *, seen: bool = True) -> None:
        self._within, self._seen = within, seen

    @property
    def level(self) -> str:
        """The name of this sandbox level, for the report."""
        return "process group"

    def confinement(self, job: Job, folder: Path) -> Confinement | None:
        """What the program in this folder may access; None if it may access all that this user may."""
        return None

    async def run(self, job: Job) -> Outcome:
        """Run the job and leave nothing of it behind. Raises SandboxError; when cancelled, ends the program first."""
        folder = _new_folder(self._within)
        program: _Program | None = None
        try:
            program = _Program(job, folder, self.confinement(job, folder), seen=self._seen)
            following = asyncio.create_task(program.follow())
            try:
                return await asyncio.shield(following)
            except asyncio.CancelledError:
                program.stop()
                await asyncio.wait([following])
                following.exception()  # marks its error as seen: no caller waits for it any more
                raise
        finally:
            if folder.exists() and not (program and program.is_clearing):  # the supervisor was killed, or did not start
                await _remove(folder)


async def _remove(folder: Path) -> None:
    """Remove a folder in a process of its own: it may hold many files, and this process has other work."""
    with suppress(OSError):
        folder.rmdir()
        return
    remover = await asyncio.create_subprocess_exec(
        *(sys.executable, *_BARE, _REMOVER, _HERE, str(folder)), start_new_session=True
    )
    await asyncio.wait([asyncio.ensure_future(remover.wait())], timeout=CLEARING)


def _new_folder(within: Path | None) -> Path:
    """A new folder that only this user can enter."""
    try:
        return Path(tempfile.mkdtemp(prefix="chatdev-", dir=within)).resolve()
    except OSError as error:
        raise _not_laid_out(within or Path(tempfile.gettempdir()), error.strerror) from error


def _not_laid_out(folder: Path, why: str | None) -> SandboxError:
    return SandboxError(
        f"The program's files cannot be written to {folder} ({why}).",
        do="Free space there, or set TMPDIR to a writable folder.",
    )


def _order(job: Job, confinement: Confinement | None, *, seen: bool) -> bytes:
    """The job in the supervisor's format. Checks its paths, since the supervisor trusts them."""
    if any("\0" in word for word in job.argv):
        raise SandboxError("The program cannot be started: its command line contains a null character.")
    for path in job.files:
        segments = set(path.split("/"))
        if path.startswith("/") or ".." in segments or segments <= {"", "."}:
            raise SandboxError(f"The file name {path!r} leads out of the program's folder.")
    return launch.write_order(
        job.argv,
        job.files,
        job.limits,
        confinement=confinement,
        ordered_at=None if seen else time.monotonic(),
    )


def _environment(job: Job, folder: Path) -> dict[str, str]:
    """The program's environment variables: none of ours, above all no key."""
    return {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin")),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        **job.environment,
    }


class _Program:
    """A program under its supervisor, seen from our side of the pipes."""

    def __init__(self, job: Job, folder: Path, confinement: Confinement | None, *, seen: bool) -> None:
        self._job = job
        self._folder = folder
        self._is_confined = confinement is not None
        self._stopped: Stopped = ""
        self._status = bytearray()
        self._output = Output(job.limits.output, self._flooded)
        order = _order(job, confinement, seen=seen)
        with ExitStack() as ours, ExitStack() as theirs:
            (
                (life, lifeline),
                (status, status_end),
                (stdin_end, stdin),
                (out, out_end),
                (err, err_end),
                (
                    order_end,
                    order_out,
                ),
            ) = (os.pipe() for _ in range(6))
            for descriptor in (life, status_end, stdin_end, out_end, err_end, order_end):
                theirs.callback(os.close, descriptor)
            for descriptor in (lifeline, status, stdin, out, err, order_out):
                ours.callback(os.close, descriptor)
            self._supervisor = _launch(job, folder, (status_end, life, order_end), (stdin_end, out_end, err_end))
            ours.pop_all()
        self._lifeline: int | None = lifeline
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading = Reader(status, self._read_status)
        self._streams = (
            Reader(out, lambda data: self._output.append(self._output.stdout, data)),
            Reader(err, lambda data: self._output.append(self._output.stderr, data)),
        )
        self._writers = (
            Writer(order_out, order, hold=False),
            Writer(stdin, job.stdin, hold=job.hold_stdin),
        )

    def stop(self) -> None:
        """Have the supervisor end everything. It does the same by itself when this process dies."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _read_status(self, data: bytes) -> None:
        self._status += data
        if self._end_report() and not self._ended.done():
            self._ended.set_result(None)

    @property
    def is_clearing(self) -> bool:
        """Whether the program has ended, and its supervisor is still removing what it left."""
        return self._ended.done() and self._supervisor.returncode is None

    def _flooded(self) -> None:
        self._stopped = "output"
        self.stop()

    async def follow(self) -> Outcome:
        """Read until the supervisor has ended, and return the program's outcome. Raises SandboxError."""
        try:
            await self._wait_for_end()
            await asyncio.wait([reader.closed for reader in self._streams], timeout=1)
            await asyncio.wait([self._reading.closed], timeout=CLEARING)
        finally:
            self._end()
        return self._outcome()

    async def _wait_for_end(self) -> None:
        """Wait until the supervisor reports the program's end, or ends. It is killed if its program has suspended it,
        or if it outlasts the longest limit: that is the machine's fault."""
        limits, loop = self._job.limits, asyncio.get_running_loop()
        last = loop.time() + limits.longest + GRACE
        pause = limits.seconds + GRACE
        ends = [self._ended, self._reading.closed]
        while not any(end.done() for end in ends):
            await asyncio.wait(ends, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            pause = GRACE
            if any(end.done() for end in ends):
                return
            if loop.time() > last:
                self._stopped = "starved"
            if self._stopped == "starved" or proc.is_stopped(self._supervisor.pid):
                self._kill()
                return

    def _kill(self) -> None:
        """Kill the supervisor. If a process of ours waits for it, that ends what it has left."""
        if kept := self._reported("kept"):
            with suppress(ProcessLookupError, PermissionError):
                self._supervisor.send_signal(signal.SIGCONT)
                os.kill(int(kept[0]), signal.SIGKILL)
        else:
            self._supervisor.kill()

    def _wait(self) -> None:
        try:
            self._supervisor.wait(timeout=GRACE)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()

    def _end(self) -> None:
        self.stop()
        if self._ended.done() and not self._reading.closed.done():
            threading.Thread(target=self._supervisor.wait, daemon=True).start()
        else:
            if not self._reading.closed.done():
                self._kill()
            self._wait()  # returns immediately: it closes its status by ending
        for reader in (self._reading, *self._streams):
            reader.close()
        for writer in self._writers:
            writer.close()
        program = self._reported("pid")
        if program and self._supervisor.returncode:  # killed by its program; the kernel then killed the program
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(int(program[0]), signal.SIGKILL)

    def _reports(self) -> list[list[str]]:
        return [line.split() for line in self._status.decode().splitlines()]

    def _reported(self, kind: str) -> list[str]:
        """The supervisor's report of this kind; empty if there is none."""
        return next((report[1:] or [kind] for report in self._reports() if report[0] == kind), [])

    def _end_report(self) -> list[str]:
        """How the program ended; empty before that. A supervisor that is killed while it clears up reports twice."""
        complete = self._status[: self._status.rfind(b"\n") + 1].decode().splitlines()
        return next((line.split() for line in complete if line.startswith(_ENDS)), [])

    def _outcome(self) -> Outcome:
        reports = [report for report in self._reports() if report[0] != "kept"]
        stdout, stderr = (stream.decode(errors="replace") for stream in (self._output.stdout, self._output.stderr))
        if failed := self._reported("unlaid"):
            raise _not_laid_out(self._folder, os.strerror(int(failed[0])))
        refused = " ".join(self._reported("refused"))
        late = self._stopped or ["limit", "starved"] in (report[:2] for report in reports)
        if refused or (self._is_confined and reports and not self._reported("confined") and not late):
            raise Refused("The sandbox cannot be set up.", tried=[refused] if refused else stderr.splitlines()[-1:])
        if not reports and not late:
            raise SandboxError(
                f"Programs cannot be started here: the supervisor ended with status {self._supervisor.returncode}.",
                tried=stderr.splitlines()[-1:],
                do="Free some memory or processes, and try again.",
            )
        killed = ["signal", str(abs(self._supervisor.returncode or signal.SIGKILL)), "0", "0", "0"]
        how, code, memory, seconds, waited = self._end_report() or killed
        stopped: Stopped = self._stopped or (_BY_LIMIT if how == "limit" else _BY_SIGNAL).get(code, "")
        if failed := self._reported("failed"):
            stderr = f"{self._job.argv[0]}: {os.strerror(int(failed[0]))}"
        return Outcome(
            exit_status=int(code) if how == "exit" and not stopped else None,
            signal=int(code) if how == "signal" and stopped != "starved" else None,
            stopped=stopped,
            stdout=stdout,
            stderr=stderr,
            seconds=float(seconds),
            memory=int(memory),
            waited=float(waited),
        )


def _launch(
    job: Job, folder: Path, private: tuple[int, int, int], streams: tuple[int, int, int]
) -> "subprocess.Popen[bytes]":
    stdin, stdout, stderr = streams
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and program
            (sys.executable, *_BARE, _SUPERVISOR, _HERE, *map(str, private), str(folder), *job.temporary),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=private,
            env=_environment(job, folder),
            cwd=folder,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise SandboxError(f"The program cannot be started ({error}).") from error
