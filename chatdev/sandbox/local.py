"""Level one: the program runs as this user, in a group of processes of its own, and nothing of it is left."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path, PurePosixPath

from chatdev.sandbox import launch
from chatdev.sandbox.pipes import Output, Reader, Writer
from chatdev.sandbox.port import Job, Outcome, SandboxError, Stopped

_GRACE = 10.0  # seconds past the time limit after which the supervisor itself is given up
# Imported rather than run as a script, so that its compiled form is used.
_SUPERVISOR = "import sys; sys.path.append(sys.argv[1]); import launch; launch.main(sys.argv[2:])"
_BY_LIMIT: Mapping[str, Stopped] = {"time": "time", "memory": "memory", "processes": "processes"}
_BY_SIGNAL: Mapping[str, Stopped] = {str(int(signal.SIGXFSZ)): "disk", str(int(signal.SIGXCPU)): "time"}


class LocalSandbox:
    """Keeps a program's processes, time, memory, output and files within limits, and ends all that it started.

    What this level does not do: the program runs as this user. It can read what the user can, reach the network, and
    signal the user's processes; a program that kills its supervisor can leave a detached process behind. ``within`` is
    the folder for the disposable folders, else the system's own for temporary files.
    """

    level = "process group"

    def __init__(self, within: Path | None = None) -> None:
        self._within = within

    async def run(self, job: Job) -> Outcome:
        """Run the job and leave nothing of it behind. Raises SandboxError; when cancelled, ends the program first."""
        folder = _lay_out(job.files, self._within)
        try:
            program = _Program(job, folder)
            following = asyncio.create_task(program.follow())
            try:
                return await asyncio.shield(following)
            except asyncio.CancelledError:
                program.stop()
                await asyncio.wait([following])
                raise
        finally:
            if folder.exists():  # the supervisor removes it, unless it was killed
                launch.remove_tree(str(folder))


def _lay_out(files: Mapping[str, bytes], within: Path | None) -> Path:
    """A new folder that only this user can enter: ``work`` with the files, ``home`` and ``tmp`` beside it."""
    folder = None
    try:
        folder = Path(tempfile.mkdtemp(prefix="chatdev-", dir=within)).resolve()
        for name in ("work", "home", "tmp"):
            (folder / name).mkdir(0o700)
        for path, content in files.items():
            place = folder / "work" / _inside(path)
            place.parent.mkdir(0o700, parents=True, exist_ok=True)
            place.write_bytes(content)
    except (OSError, ValueError, SandboxError) as error:
        if folder:
            launch.remove_tree(str(folder))
        if isinstance(error, SandboxError):
            raise
        raise SandboxError(
            f"The program's files cannot be laid out in {folder or within or tempfile.gettempdir()} ({error}).",
            do="Make room there, or point TMPDIR to a folder that can be written.",
        ) from error
    return folder


def _inside(path: str) -> PurePosixPath:
    relative = PurePosixPath(path)
    if relative.is_absolute() or ".." in relative.parts or not relative.parts:
        raise SandboxError(f"The file name {path!r} leads out of the program's folder.")
    return relative


def _environment(job: Job, folder: Path) -> dict[str, str]:
    """All that the program sees: nothing of ours, above all no key."""
    return {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin")),
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "LANG": "C.UTF-8",
        **job.environment,
    }


class _Program:
    """A program under its supervisor, seen from our side of the pipes."""

    def __init__(self, job: Job, folder: Path) -> None:
        self._job = job
        self._stopped: Stopped = ""
        self._status = bytearray()
        self._output = Output(job.limits.output, self._flooded)
        with ExitStack() as ours, ExitStack() as theirs:
            (life, lifeline), (status, status_end), (stdin_end, stdin), (out, out_end), (err, err_end) = (
                os.pipe() for _ in range(5)
            )
            for descriptor in (life, status_end, stdin_end, out_end, err_end):
                theirs.callback(os.close, descriptor)
            for descriptor in (lifeline, status, stdin, out, err):
                ours.callback(os.close, descriptor)
            self._supervisor = _launch(job, folder, (status_end, life), (stdin_end, out_end, err_end))
            ours.pop_all()
        self._lifeline: int | None = lifeline
        self._reading = Reader(status, self._status.extend)
        self._streams = (
            Reader(out, lambda data: self._output.take(self._output.stdout, data)),
            Reader(err, lambda data: self._output.take(self._output.stderr, data)),
        )
        self._writer = Writer(stdin, job.stdin, hold=job.hold_stdin)

    def stop(self) -> None:
        """Have the supervisor end everything. It does the same by itself when this process dies."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _flooded(self) -> None:
        self._stopped = "output"
        self.stop()

    async def follow(self) -> Outcome:
        """Read along until the supervisor has ended, and say how the program did. Raises SandboxError."""
        try:
            await asyncio.wait([self._reading.closed], timeout=self._job.limits.seconds + _GRACE)
            if not self._reading.closed.done():  # the program has stopped its supervisor
                self._supervisor.kill()
            await asyncio.wait([reader.closed for reader in (self._reading, *self._streams)], timeout=1)
        finally:
            self._end()
        return self._outcome()

    def _end(self) -> None:
        self.stop()
        try:
            self._supervisor.wait(timeout=1)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        for reader in (self._reading, *self._streams):
            reader.close()
        self._writer.close()
        reports = self._reports()
        if len(reports) == 1 and self._supervisor.returncode != 0:  # killed by its program; the kernel killed that one
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(int(reports[0][1]), signal.SIGKILL)

    def _reports(self) -> list[list[str]]:
        return [line.split() for line in self._status.decode().splitlines()]

    def _outcome(self) -> Outcome:
        reports = self._reports()
        stdout, stderr = (stream.decode(errors="replace") for stream in (self._output.stdout, self._output.stderr))
        if not reports:
            raise SandboxError(
                f"No program can be started here: the supervisor ended with status {self._supervisor.returncode}.",
                tried=stderr.splitlines()[-1:],
                do="Free some memory or processes, and try again.",
            )
        killed = ["signal", str(abs(self._supervisor.returncode)), "0", "0"]
        how, code, memory, seconds = reports[-1] if len(reports[-1]) == 4 else killed
        stopped: Stopped = self._stopped or (_BY_LIMIT if how == "limit" else _BY_SIGNAL).get(code, "")
        for report in reports:
            if report[0] == "failed":
                stderr = f"{self._job.argv[0]}: {os.strerror(int(report[1]))}"
        return Outcome(
            exit_status=int(code) if how == "exit" and not stopped else None,
            signal=int(code) if how == "signal" else None,
            stopped=stopped,
            stdout=stdout,
            stderr=stderr,
            seconds=float(seconds),
            memory=int(memory),
        )


def _launch(
    job: Job, folder: Path, private: tuple[int, int], streams: tuple[int, int, int]
) -> "subprocess.Popen[bytes]":
    limits = job.limits
    order = (*private, folder, limits.seconds, limits.memory, limits.processes, limits.file_size)
    stdin, stdout, stderr = streams
    try:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and program
            (
                sys.executable,
                "-I",
                "-S",
                "-B",
                "-c",
                _SUPERVISOR,
                str(Path(launch.__file__).parent),
                *map(str, order),
                *job.argv,
            ),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=private,
            env=_environment(job, folder),
            cwd=folder,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise SandboxError(f"No program can be started here ({error}).") from error
