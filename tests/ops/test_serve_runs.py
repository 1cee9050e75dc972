"""``chatdev serve`` for real: llama.cpp's server from its start to its end, and stand-ins that fail as real ones do."""

import asyncio
import os
import signal
import socket
import sys
import urllib.request
from pathlib import Path

import machines
import pytest
from helpers import serving, tiny_gguf
from helpers.serving import SYSTEM
from test_weights import QWEN_7B, folder

from chatdev.errors import UserError
from chatdev.models.backend import VLLMModel
from chatdev.models.types import Message, Options
from chatdev.ops.serving import serve
from chatdev.ops.serving.engines import ServeSpec
from chatdev.ops.serving.processes import alive, in_session
from chatdev.ops.serving.weights import Need
from chatdev.settings import load

STAND_IN = """\
#!{python}
import http.server, json, os, signal, subprocess, sys, time
print("(EngineCore pid=7) INFO 11-25 22:49:49 [default_loader.py:501] Loading weights took 0.02 seconds", flush=True)
print("Loading shards:  50% Completed | 1/2\\rLoading shards: 100% Completed | 2/2", end="\\n", flush=True)
print("(APIServer pid=1) INFO 11-25 22:49:20 [api.py:1] Route: /health, Methods: GET", flush=True)
core = subprocess.Popen([sys.executable, "-c", "import signal, time\\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
                         "print('core', flush=True)\\ntime.sleep(600)"], stdout=subprocess.PIPE)
core.stdout.readline()
{more}
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/v1/die":
            core.kill()
            os.kill(os.getpid(), 9)
        body = json.dumps({{"data": [{{"id": sys.argv[sys.argv.index("--served-model-name") + 1],
                                       "max_model_len": 2048, "key": os.environ.get("VLLM_API_KEY")}}]}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        print("INFO: answered", self.path, flush=True)
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Answer).serve_forever()
"""
"""A ``vllm`` that starts an engine of its own, as the real one does, and answers what it serves."""


@pytest.fixture
def model(tmp_path: Path) -> str:
    return str(folder(tmp_path / "qwen", QWEN_7B, model__safetensors=100))


def stand_in(tmp_path: Path, more: str = "") -> str:
    """A PATH on which ``vllm`` is the stand-in."""
    return f"{machines.tool(tmp_path / 'bin', 'vllm', STAND_IN.format(python=sys.executable, more=more))}:{SYSTEM}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_llamacpp_is_served_used_and_gone(tmp_path: Path, number: signal.Signals) -> None:
    pytest.importorskip("xllamacpp")
    tiny_gguf.write(tmp_path / "tiny.gguf", window=4096)
    words = ("tiny.gguf", "--port", "0", "--window", "1024", "--speculate", "--", "--threads", "1")
    with serving.running(tmp_path, *words, VLLM_API_KEY="s3cret") as served:
        endpoint, name = served.exported("VLLM_ENDPOINT"), served.exported("VLLM_MODEL_NAME")
        server = serving.server_of(served.process.pid)
        model = VLLMModel(settings=load({"VLLM_ENDPOINT": endpoint, "VLLM_API_KEY": "s3cret"}, tmp_path))
        facts = await model.facts()
        question = (Message("user", "Write the file main.py."),)
        answers = await asyncio.gather(*(model.complete(question, Options(max_tokens=16)) for _ in range(4)))
        await model.aclose()
        assert alive({server}) == {server}
        status = served.stop(number)
    assert status == 130
    assert (facts.model, name, facts.window) == ("tiny", "tiny", 1024)  # four slots, and each has the window
    assert all(answer.usage.completion_tokens for answer in answers)
    output = "\n".join(served.said)
    assert "loading model" in output
    assert "Stopped. All its processes have ended." in output
    assert "s3cret" not in output
    assert not in_session(server)


async def test_what_the_engine_started_ends_with_it(tmp_path: Path, model: str) -> None:
    with serving.running(tmp_path, model, "--engine", "vllm", "--port", "0", PATH=stand_in(tmp_path)) as served:
        endpoint = served.exported("VLLM_ENDPOINT")
        leader = serving.server_of(served.process.pid)
        family = in_session(leader)
        assert len(family) == 2
        await asyncio.to_thread(lambda: urllib.request.urlopen(f"{endpoint}/hello").close())
        served.until("INFO: answered /v1/hello")  # its log is followed in full from now on
        assert served.stop(signal.SIGTERM) == 130
    assert not alive(family)  # although the engine does not heed SIGTERM
    output = "\n".join(served.said)
    assert "Loading weights took 0.02 seconds" in output
    assert "Loading shards: 100% Completed" in output
    assert "Route: /health" not in output
    assert "s3cret" not in output


async def test_it_ends_when_the_command_is_killed(tmp_path: Path, model: str) -> None:
    with serving.running(tmp_path, model, "--engine", "vllm", "--port", "0", PATH=stand_in(tmp_path)) as served:
        served.until("The server is ready")
        leader = serving.server_of(served.process.pid)
        core = in_session(leader) - {leader}
        served.stop(signal.SIGKILL)
        async with asyncio.timeout(30):
            while alive({leader}):
                await asyncio.sleep(0.02)
    for pid in core:  # which the stand-in, unlike vLLM, does not take with it
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_second_signal_does_not_wait_for_answers_under_way(
    tmp_path: Path, model: str, number: signal.Signals
) -> None:
    path = stand_in(tmp_path, "signal.signal(signal.SIGTERM, lambda *_: print('patience', flush=True))")
    with serving.running(tmp_path, model, "--engine", "vllm", "--port", "0", PATH=path) as served:
        served.until("The server is ready")
        family = in_session(serving.server_of(served.process.pid))
        served.process.send_signal(number)
        served.until("patience")
        assert served.stop(number) == 130
        async with asyncio.timeout(30):
            while alive(family):
                await asyncio.sleep(0.02)


def test_a_server_that_fails_is_quoted_with_what_it_means(tmp_path: Path, model: str) -> None:
    words = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB."
    dies = f"core.kill(); print({words!r}, end='', flush=True); sys.exit(1)"  # without the end of its line
    done = serving.type_in(tmp_path, model, "--engine", "vllm", "--port", "0", PATH=stand_in(tmp_path, dies))
    assert done.exit_code == 1
    assert "Error: vllm did not start (exit status 1). Its last lines:" in done.stderr
    assert "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB." in done.stderr
    assert "It needs more memory than there is: set a smaller --window" in done.stderr


def test_a_server_that_ends_by_itself_is_reported(tmp_path: Path, model: str) -> None:
    with serving.running(tmp_path, model, "--engine", "vllm", "--port", "0", PATH=stand_in(tmp_path)) as served:
        endpoint = served.exported("VLLM_ENDPOINT")
        with pytest.raises(OSError):
            urllib.request.urlopen(f"{endpoint}/die")
        served.until("vllm ended (signal 9)")
        assert served.process.wait(30) == 1


def test_a_long_start_is_reported_with_what_came_already(
    tmp_path: Path, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "HEARTBEAT", 0.2)
    slow = "time.sleep(1); core.kill(); sys.exit(1)"
    done = serving.type_in(tmp_path, model, "--engine", "vllm", "--port", "0", PATH=stand_in(tmp_path, slow))
    assert " s: still starting (Route: /health, Methods: GET)" in done.stderr


def test_a_download_is_followed_in_the_cache(tmp_path: Path) -> None:
    need = Need(name="M", form="safetensors", download=4 << 30)
    assert serve.downloaded("org/M", need, tmp_path) == "0 bytes of 4.0 GiB downloaded"
    blobs = tmp_path / "models--org--M" / "blobs"
    blobs.mkdir(parents=True)
    (blobs / "0123.incomplete").write_bytes(bytes(2 << 20))
    assert serve.downloaded("org/M", need, tmp_path) == "2 MiB of 4.0 GiB downloaded"
    assert serve.downloaded("org/M", Need(name="M", form="safetensors"), tmp_path) == ""


def test_docker_that_fails_is_explained_and_its_container_taken_away(tmp_path: Path, model: str) -> None:
    script = f'#!/bin/sh\necho "$*" >> {tmp_path}/calls\n[ "$1" = rm ] && echo gone && exit 0\n'
    script += 'echo "docker: Cannot connect to the Docker daemon at unix:///var/run/docker.sock." >&2\nexit 125\n'
    bin = machines.tool(tmp_path / "bin", "docker", script)
    done = serving.type_in(tmp_path, model, "--engine", "docker", "--port", "0", PATH=f"{bin}:{SYSTEM}")
    assert done.exit_code == 1
    assert "docker did not start (exit status 125)" in done.stderr
    assert "Docker is not running" in done.stderr
    run, remove = (tmp_path / "calls").read_text().splitlines()
    name = run.split("--name ")[1].split()[0]
    assert remove == f"rm --force {name}"


def test_a_program_that_cannot_be_started_is_reported(tmp_path: Path, model: str) -> None:
    bin = machines.tool(tmp_path / "bin", "vllm", "#!/nowhere/python\n")
    done = serving.type_in(tmp_path, model, "--engine", "vllm", "--port", "0", PATH=f"{bin}:{SYSTEM}")
    assert done.exit_code == 2
    assert "vllm cannot be started (No such file or directory)" in done.stderr


def test_a_gguf_repository_comes_with_how_to_download_a_file_of_it() -> None:
    files = ("m-Q4_K_M.gguf", "m-Q8_0.gguf")
    need = Need(name="M-GGUF", form="gguf", gguf_files=files)
    with pytest.raises(UserError, match=r"llama\.cpp needs a GGUF file on disk") as error:
        serve.check_model("llamacpp", ServeSpec(model="org/M-GGUF"), need)
    assert "hf download org/M-GGUF m-Q4_K_M.gguf --local-dir ." in error.value.do


def test_a_port_of_root_and_a_port_of_which_nothing_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(socket.socket, "bind", refuse)
    refused = serve.port_problem(80)
    assert refused is not None
    assert "Port 80 is reserved for root" in str(refused)


def test_a_port_that_is_held_for_ipv6_alone_counts_as_taken() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as held:
        found = serve.port_problem(held.getsockname()[1])
    assert found is not None
    assert f"(pid {os.getpid()})" in found.what
