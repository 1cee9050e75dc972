"""llama.cpp's server from the Python wheel ``xllamacpp``, as a program.

    python -m chatdev.ops.serving.llamacpp MODEL.gguf

It answers once the model is loaded. It uses continuous batching over its slots, the model's own chat template and a
prompt cache, and reads its key from ``VLLM_API_KEY``. Ctrl-C and SIGTERM stop it.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chatdev.errors import ChatDevError
from chatdev.ops.machine import cores
from chatdev.settings import load_here
from chatdev.settings.others import is_set, suggest

INSTALL = f"{sys.executable} -m pip install xllamacpp"
"""The same wheel comes with the extra: ``pip install ".[local]"`` in a clone."""
PROMPT_CACHE = 1024
"""MiB of memory for prompts whose slot was given to another conversation; llama.cpp's own default is 8,192."""

POLL = 50
"""llama.cpp's own default for how long its threads spin before they sleep, from 0 to 100."""
_SPINS = 6_000
"""Spins of libgomp for each step of POLL: 50 give its default of 300,000, a few milliseconds (see GOMP_SPINCOUNT)."""

_STOPS = (signal.SIGINT, signal.SIGTERM)


def options(words: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; exits with status 2 and a message if it is wrong."""
    parser = argparse.ArgumentParser(prog="chatdev.ops.serving.llamacpp", description=__doc__, allow_abbrev=False)
    parser.add_argument("model", type=Path)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--name", default="default")
    parser.add_argument("--window", type=int, default=0, help="tokens for each slot; 0: the model's own maximum")
    parser.add_argument("--slots", type=int, default=1)
    parser.add_argument("--threads", type=int, default=cores())
    parser.add_argument(
        "--poll", type=int, choices=range(101), metavar="0..100", default=POLL, help="how long idle threads spin"
    )
    parser.add_argument("--speculate", action="store_true")
    return parser.parse_args(words)


def parameters(xllamacpp: Any, chosen: argparse.Namespace, key: str) -> Any:
    """llama.cpp's parameters. Its ``n_ctx`` is divided among the slots; our window is for each slot."""
    params = xllamacpp.CommonParams()
    params.model.path = str(chosen.model)
    params.model_alias = {chosen.name}
    params.hostnames = [chosen.host]
    params.port = chosen.port
    params.n_parallel = chosen.slots
    params.n_ctx = chosen.window * chosen.slots
    params.cont_batching = True
    params.use_jinja = True
    params.cache_prompt = True
    params.cache_ram_mib = PROMPT_CACHE
    params.endpoint_metrics = True
    params.ui = False
    for threads in (params.cpuparams, params.cpuparams_batch):
        threads.n_threads, threads.poll = chosen.threads, chosen.poll
    if key:
        params.api_keys = [key]
    if chosen.speculate:
        params.speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_NGRAM_SIMPLE]
    return params


def _spin(poll: int) -> None:
    """The wheel on PyPI uses OpenMP, whose threads ignore llama.cpp's setting and follow a variable that libgomp reads
    when it is loaded. The user's own setting takes precedence."""
    if not is_set("OMP_WAIT_POLICY"):
        suggest("GOMP_SPINCOUNT", str(_SPINS * poll))


def main(words: Sequence[str]) -> int:
    """Serve until a signal arrives; returns the exit status."""
    chosen = options(words)
    for number in _STOPS:
        signal.signal(number, signal.SIG_DFL)  # while the engine loads, no Python code runs, and so no handler
    try:
        _spin(chosen.poll)
        import xllamacpp

        key = load_here().vllm_api_key
        server = xllamacpp.Server(parameters(xllamacpp, chosen, key.reveal() if key else ""))
    except ImportError:
        print(f"Error: llama.cpp's server is not installed. Install it: {INSTALL}", file=sys.stderr)
        return 2
    except ChatDevError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_status
    except RuntimeError as error:
        print(f"Error: llama.cpp could not load the model: {error}", file=sys.stderr)
        return 1
    stop = threading.Event()
    for number in _STOPS:
        signal.signal(number, lambda *_: stop.set())
    print(f"serving on {server.listening_address}", flush=True)
    stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
