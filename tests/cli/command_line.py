"""Commands as a user types them, in this process or in one of their own, and a server that they talk to."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from click.testing import CliRunner

from chatdev.cli import classic, main
from chatdev.models.background import BACKGROUND
from chatdev.playback import faults
from chatdev.playback.recording import read
from chatdev.playback.server import Playback

ROOT = Path(__file__).parents[2]
FULL = ("--config", "full")
"""The company whose answers are recorded in ``ANSWERS``."""


def environment(**more: str) -> dict[str, str]:
    """The environment variables of a user who has set nothing but ``more``."""
    kept = {
        name: value for name, value in os.environ.items() if not re.match("VLLM|OPENAI|BASE_URL|OTEL|CHATDEV", name)
    }
    return kept | {"PYTHONPATH": str(ROOT)} | more


def type_in(folder: Path, *words: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """Type a command in ``folder``, ``run.py …`` or ``chatdev …``: it runs in this process, which is faster."""
    wanted = environment(**more)
    cleared: dict[str, str | None] = dict.fromkeys(os.environ.keys() - wanted.keys())
    typed = [str(ROOT / "run.py") if words[0] == "run.py" else str(ROOT / "chatdev" / "__main__.py"), *words[1:]]
    argv, output, status = sys.argv, os.dup(1), 0
    with contextlib.chdir(folder), CliRunner().isolation(stdin, {**cleared, **wanted}) as (out, err, _):
        sys.argv = typed
        try:
            (classic if words[0] == "run.py" else main).main()
        except SystemExit as exited:
            status = exited.code if isinstance(exited.code, int) else int(exited.code is not None)
        finally:
            sys.argv = argv
            os.dup2(output, 1)  # a command that cannot write closes it
            os.close(output)
        sys.stdout.flush()
        sys.stderr.flush()
        stdout, stderr = _text(out), _text(err)
    return subprocess.CompletedProcess(typed, status, stdout, stderr)


def _text(stream: io.BytesIO) -> str:
    return stream.getvalue().decode().replace("\r\n", "\n")


def type_in_process(folder: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Type a command in ``folder`` that runs in a process of its own."""
    start = [str(ROOT / "run.py")] if words[0] == "run.py" else ["-m", "chatdev"]
    done = subprocess.run(
        [sys.executable, *start, *words[1:]],
        cwd=folder,
        env=environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert "Traceback" not in done.stderr
    return done


@contextlib.contextmanager
def serving(folder: Path, name: str, *manners: str) -> Iterator[str]:
    """A model server in this process that plays a recording in ``folder``, with manners as TOML; its endpoint."""
    playback = Playback(read(folder / name), manners=tuple(map(faults.parse, manners)))
    endpoint = BACKGROUND.wait_for(playback.start())
    try:
        yield endpoint
    finally:
        BACKGROUND.wait_for(playback.stop())


@contextlib.contextmanager
def serving_process(folder: Path, *words: str) -> Iterator[str]:
    """``chatdev playback`` in a process of its own: its endpoint."""
    with subprocess.Popen(
        [sys.executable, "-m", "chatdev", "playback", "--port", "0", *words],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().split()[2]
        finally:
            process.send_signal(signal.SIGTERM)
            status = process.wait(60)
    assert status == 130
