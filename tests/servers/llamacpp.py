"""A real llama.cpp server, from its wheel, in a process of its own: ``with running(folder, window=…) as server``.

The process runs this file as a script. It makes its own model, chooses its own free port, tells its address on standard
output, and ends when its standard input does, so that it cannot outlive the tests even if they are killed.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from helpers import scripts

MODEL_NAME = "gibberish"


class Server(NamedTuple):
    """One that runs: its base URL, and its process."""

    url: str
    process: subprocess.Popen[str]


@contextlib.contextmanager
def running(folder: Path, *, window: int) -> Iterator[Server]:
    """Serve the tiny random model with a context window of ``window`` tokens (a multiple of 256), half of what it was
    made for. Its file and the server's log lie in ``folder``.

    Skips the test if what the server needs is not installed, and fails with the server's log if it does not come up.
    """
    log = folder / "server.log"
    with (
        log.open("wb") as stderr,
        subprocess.Popen(
            [sys.executable, __file__, str(folder / "tiny.gguf"), str(window)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=scripts.environment(),
            text=True,
        ) as server,
    ):
        try:
            assert server.stdout is not None
            word, _, rest = server.stdout.readline().strip().partition(" ")
            if word == "missing":
                pytest.skip(f"no llama.cpp server here: {rest}")
            if word != "serving":
                pytest.fail(f"llama.cpp's server did not come up:\n{log.read_text(errors='replace')[-2000:]}")
            yield Server(f"{rest}/v1", server)
        finally:
            stop(server)


def stop(server: subprocess.Popen[str]) -> None:
    """Let the server go in peace; make it, if it stays."""
    assert server.stdin is not None
    server.stdin.close()
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()


def main(path: Path, window: int) -> None:
    """Serve until standard input ends."""
    try:
        import xllamacpp
        from helpers import tiny_gguf
    except ImportError as error:
        print(f"missing {error}", flush=True)
        return
    tiny_gguf.write(path, window=2 * window)
    params = xllamacpp.CommonParams()
    params.n_ctx = window
    params.model.path = str(path)
    params.model_alias = {MODEL_NAME}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.endpoint_metrics = True
    params.sampling.seed = 1  # the same question gets the same gibberish, as far as its batch allows
    # One thread: a model this small only waits for the second, and two that spin on a busy machine are 5 times slower.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    server = xllamacpp.Server(params)  # returns when the model is loaded and /health says so
    print(f"serving {server.listening_address}", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
