"""Model servers that nobody here wrote, as processes out of ``.venv-servers``, where `make test-servers` puts them.

A server is started on a free port, waited for until it says that it is ready, and stopped by its id.
"""

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PROGRAMS = ROOT / ".venv-servers" / "bin"
PATIENCE = 900.0
"""Seconds until a server must be ready: vLLM's 24 s on a quiet machine were 200 s on one four times overbooked."""


def program(name: str) -> Path:
    """A program of the servers' environment. Fails the test if it is not installed: whoever selects these tests wants
    them run."""
    path = PROGRAMS / name
    if not path.exists():
        pytest.fail(f"{path} is missing. Install the servers, and run these tests, with: make test-servers")
    return path


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def run(name: str, *arguments: str | Path, folder: Path, timeout: float) -> None:
    """Run a program that ends by itself, within ``timeout`` seconds; what it keeps lies in ``folder``. Fails the test
    if it fails, and then pytest shows what it printed."""
    environment = {**_environment(folder), "PYTHONPATH": str(ROOT / "tests")}  # for helpers
    status = subprocess.run([program(name), *arguments], env=environment, timeout=timeout).returncode
    if status:
        pytest.fail(f"{name} {arguments[0]} ended with exit status {status}")


@contextlib.contextmanager
def serving(
    name: str, *arguments: str | Path, ready: str, folder: Path, environment: Mapping[str, str] | None = None
) -> Iterator[None]:
    """Run a server until the block ends, from the moment when ``GET ready`` is answered with 200.

    Its log (``NAME.log``), and whatever it keeps, lie in ``folder``. Fails the test, with the end of the log, if the
    server does not get ready.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [program(name), *arguments],
            env={**_environment(folder), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_the_tests,
        )
    try:
        _wait_for(server, ready, log)
        yield
    finally:
        _stop(server)


def _environment(folder: Path) -> dict[str, str]:
    """Ours without the keys, endpoints and proxies of the person who tests; caches lie in ``folder``, nothing is
    downloaded, and nobody is told."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "PATH": f"{PROGRAMS}{os.pathsep}{kept.get('PATH', os.defpath)}",
        "HOME": str(folder),
        "PYTHONUNBUFFERED": "1",
        "HF_HUB_OFFLINE": "1",
        "DO_NOT_TRACK": "1",
    }


def _end_with_the_tests() -> None:
    """In the child: ask Linux for SIGTERM when the tests die, however they do (prctl's PR_SET_PDEATHSIG is 1)."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _wait_for(server: subprocess.Popen[bytes], ready: str, log: Path) -> None:
    began = time.monotonic()
    while server.poll() is None and time.monotonic() - began < PATIENCE:
        try:
            with urllib.request.urlopen(ready, timeout=5) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    why = f"is not ready after {PATIENCE:.0f} s" if server.poll() is None else f"ended with {server.returncode}"
    pytest.fail(f"the server {why}:\n{log.read_text(errors='replace')[-4000:]}")


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Let the server go in peace, then make whatever is left of its own process group go."""
    server.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        server.wait(20)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGKILL)
    server.wait()
