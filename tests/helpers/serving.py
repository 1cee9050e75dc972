"""``chatdev serve`` as a user types it: in this process, or as one of its own that a signal stops."""

import contextlib
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner, Result

from chatdev.cli.main import cli
from chatdev.ops.serving.processes import in_session

ROOT = Path(__file__).parent.parent.parent
SYSTEM = "/usr/bin:/bin"


def environment(folder: Path, **more: str) -> dict[str, str]:
    """A user who has set nothing, with an empty cache of models and a Hub that is out of reach."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not re.match(r"VLLM|OPENAI|BASE_URL|HF_|HUGGING|XDG|CUDA_VIS|HIP_VIS|ROCR_VIS|https?_proxy", name, re.I)
    }
    nowhere = {"HF_HOME": str(folder / "hf"), "HF_ENDPOINT": "http://127.0.0.1:1", "PATH": SYSTEM}
    return kept | nowhere | {"PYTHONPATH": str(ROOT)} | more


def type_in(folder: Path, *words: str, **more: str) -> Result:
    """Type ``chatdev serve …`` in ``folder``, in this process, and wait for its end."""
    wanted = environment(folder, **more)
    cleared: dict[str, str | None] = dict.fromkeys(os.environ.keys() - wanted.keys())
    with contextlib.chdir(folder):
        done = CliRunner().invoke(cli, ["serve", *words], env={**cleared, **wanted})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done


class Running:
    """``chatdev serve`` while it runs; ``said`` are its lines so far, on both streams, as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, text: str, seconds: float = 60) -> str:
        """The first line that holds ``text``; the deadline only ends a broken test."""
        while (line := self._lines.get(timeout=seconds)) is not None:
            self.said.append(line)
            if text in line:
                return line
        raise AssertionError("It ended before that:\n" + "\n".join(self.said))

    def exported(self, name: str) -> str:
        """The value of an ``export`` line."""
        return self.until(f"export {name}=").partition("=")[2]

    def stop(self, number: signal.Signals, seconds: float = 60) -> int:
        """Send a signal and wait; the exit status."""
        self.process.send_signal(number)
        status = self.process.wait(seconds)
        self._reader.join(10)
        while (line := self._lines.get(timeout=10)) is not None:
            self.said.append(line)
        return status


@contextlib.contextmanager
def running(folder: Path, *words: str, **more: str) -> Iterator[Running]:
    """Start ``chatdev serve …`` in ``folder``; whatever happens, nothing of it stays."""
    process = subprocess.Popen(
        [sys.executable, "-m", "chatdev", "serve", *words],
        cwd=folder,
        env=environment(folder, **more),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield Running(process)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                for pid in in_session(process.pid):
                    os.kill(pid, signal.SIGKILL)


def server_of(process: int) -> int:
    """The server that ``chatdev serve`` has started: its only child."""
    (child,) = map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split())
    return child
