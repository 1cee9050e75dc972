"""``chatdev serve --dry-run``: each engine on machines with and without a GPU, the drivers' tools being faked."""

import os
import re
import shlex
import shutil
import socket
import sys
from pathlib import Path

import machines
import pytest
from helpers import tiny_gguf
from helpers.serving import SYSTEM, type_in
from test_weights import QWEN_7B, folder

GIB = 1024  # in nvidia-smi's MiB


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``tiny.gguf`` and a folder ``qwen`` of a model of 15 GB, which take no place on the disk."""
    path = tmp_path_factory.mktemp("models")
    tiny_gguf.write(path / "tiny.gguf", window=8192)
    folder(path / "qwen", QWEN_7B)
    with (path / "qwen" / "model.safetensors").open("wb") as file:
        file.truncate(15 * 10**9)
    return path


@pytest.fixture
def bin(tmp_path: Path) -> Path:
    """A folder for PATH, with a vllm and a docker that are never started."""
    for name in ("vllm", "docker"):
        machines.tool(tmp_path / "bin", name, "#!/bin/sh\nexit 1\n")
    return tmp_path / "bin"


def dry(folder: Path, bin: Path, *words: str, **more: str) -> str:
    done = type_in(folder, "--dry-run", "--port", "0", *words, PATH=f"{bin}:{SYSTEM}", **more)
    assert done.exit_code == 0, done.stderr
    return done.stdout


def command(said: str) -> list[str]:
    """The command as a shell takes it, which is the second paragraph."""
    return shlex.split(said.split("\n\n")[1].replace("\\\n", " "))


def flag(said: str, name: str) -> str:
    words = command(said)
    return words[words.index(name) + 1]


def test_with_an_nvidia_gpu_vllm_is_chosen(models: Path, bin: Path) -> None:
    machines.nvidia(bin, (24 * GIB, 0))
    output = dry(models, bin, "qwen")
    assert "Engine:  vllm, as there is an NVIDIA GPU" in output
    assert (
        "14.0 GiB of weights + 1.8 GiB of KV cache (56 KiB a token x 32,768 tokens) + 1.5 GiB for the engine" in output
    )
    assert command(output)[:3] == ["vllm", "serve", str(models / "qwen")]
    expected = {
        "--host": "127.0.0.1",
        "--served-model-name": "qwen",
        "--max-model-len": "32768",
        "--tensor-parallel-size": "1",
        "--gpu-memory-utilization": "0.92",
        "--structured-outputs-config": '{"backend":"xgrammar","disable_any_whitespace":true}',
        "--shutdown-timeout": "30",
    }
    assert {name: flag(output, name) for name in expected} == expected
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details"} <= set(command(output))
    assert "--speculative-config" not in output


def test_every_flag_has_a_reason(models: Path, bin: Path) -> None:
    machines.nvidia(bin, (24 * GIB, 0))
    for engine in ("vllm", "docker", "tgi"):
        output = dry(models, bin, "qwen", "--engine", engine, "--speculate")
        reasons = output.split("\n\n")[2]
        for word in command(output):
            if word.startswith("-"):
                assert re.search(rf"^  {word}( .*)?  \w", reasons, re.M), (engine, word)


def test_several_gpus_share_a_model_by_its_heads(models: Path, bin: Path) -> None:
    machines.nvidia(bin, *[(24 * GIB, 0)] * 3)
    assert flag(dry(models, bin, "qwen"), "--tensor-parallel-size") == "2"  # 28 heads, 3 GPUs
    assert flag(dry(models, bin, "qwen", CUDA_VISIBLE_DEVICES="1"), "--tensor-parallel-size") == "1"
    assert flag(dry(models, bin, "org/M-7B"), "--tensor-parallel-size") == "2"


def test_memory_that_others_use_is_left_to_them(models: Path, bin: Path) -> None:
    machines.nvidia(bin, (48 * GIB, 20 * GIB), apps="GPU-0, 812, /usr/bin/python3")
    output = dry(models, bin, "qwen")
    assert flag(output, "--gpu-memory-utilization") == "0.57"
    assert "20.0 GiB of it is already used by python3 (pid 812)" in output


def test_with_an_amd_gpu_vllm_is_chosen_and_docker_takes_its_image(models: Path, bin: Path) -> None:
    machines.amd(bin, machines.MI300X)
    assert "Engine:  vllm, as there is an AMD GPU" in dry(models, bin, "qwen")
    docker = dry(models, bin, "qwen", "--engine", "docker")
    assert {"/dev/kfd", "/dev/dri", "vllm/vllm-openai-rocm:latest"} <= set(command(docker))
    assert "--gpus" not in command(docker)
    tgi = command(dry(models, bin, "qwen", "--engine", "tgi"))
    assert "ghcr.io/huggingface/text-generation-inference:latest-rocm" in tgi


def test_docker_with_an_nvidia_gpu(models: Path, bin: Path) -> None:
    machines.nvidia(bin, (24 * GIB, 0))
    output = dry(models, bin, "qwen", "--engine", "docker", HF_TOKEN="hf_s3cret", VLLM_API_KEY="k3y")
    assert "the ChatDev project has not tested it" in output
    words = command(output)
    assert words[:3] == ["docker", "run", "--rm"]
    assert (flag(output, "--gpus"), flag(output, "--pull"), flag(output, "--model")) == ("all", "missing", "/model")
    assert re.fullmatch(r"127\.0\.0\.1:\d+:8000", flag(output, "-p"))
    assert {"--ipc=host", f"{models}/hf/hub:/root/.cache/huggingface/hub", f"{models}/qwen:/model:ro"} <= set(words)
    assert {"HF_TOKEN", "VLLM_API_KEY", "vllm/vllm-openai:latest"} <= set(words)
    assert "Key:     clients must send it" in output
    assert not re.search("hf_s3cret|k3y", output)
    one = dry(models, bin, "qwen", "--engine", "docker", CUDA_VISIBLE_DEVICES="0")
    assert flag(one, "--gpus") == '"device=0"'


def test_docker_without_a_gpu(models: Path, bin: Path) -> None:
    words = command(dry(models, bin, "org/M-500M", "--engine", "docker"))
    assert {"vllm/vllm-openai-cpu:latest-x86_64", "VLLM_CPU_KVCACHE_SPACE=1", "org/M-500M"} <= set(words)
    assert not {"--gpus", "--gpu-memory-utilization"} & set(words)


def test_tgi_with_and_without_a_gpu(models: Path, bin: Path) -> None:
    without = command(dry(models, bin, "org/M-500M", "--engine", "tgi"))
    assert "--disable-custom-kernels" in without
    machines.nvidia(bin, (24 * GIB, 0))
    output = dry(models, bin, "qwen", "--engine", "tgi", "--speculate", VLLM_API_KEY="k3y")
    expected = {
        "--model-id": "/model",
        "--max-total-tokens": "32768",
        "--max-input-tokens": "24576",
        "--num-shard": "1",
    }
    assert {name: flag(output, name) for name in expected} == expected
    assert {"API_KEY", "--speculate", "ghcr.io/huggingface/text-generation-inference:latest"} <= set(command(output))
    assert re.fullmatch(r"127\.0\.0\.1:\d+:80", flag(output, "-p"))


def test_without_a_gpu_llamacpp_is_chosen(models: Path, bin: Path) -> None:
    output = dry(models, bin, "tiny.gguf", "--speculate", "--name", "my model")
    assert "no GPU;" in output
    expected = {"--host": "127.0.0.1", "--name": "my model", "--window": "8192", "--slots": "4", "--poll": "0"}
    assert {name: flag(output, name) for name in expected} == expected
    assert command(output)[1:4] == ["-m", "chatdev.ops.serving.llamacpp", str(models / "tiny.gguf")]
    assert "--speculate" in command(output)


def test_a_gguf_file_is_llamacpps_with_a_gpu_too(models: Path, bin: Path) -> None:
    machines.nvidia(bin, (24 * GIB, 0))
    assert "Engine:  llamacpp, as GGUF is llama.cpp's format" in dry(models, bin, "tiny.gguf")


def test_a_gpu_that_is_too_small_for_any_model_does_not_count(models: Path, bin: Path) -> None:
    machines.nvidia(bin, (2 * GIB, 0))
    done = type_in(models, "org/M-500M", "--dry-run", PATH=f"{bin}:{SYSTEM}")
    assert done.exit_code == 2
    assert "org/M-500M is a model for GPUs (safetensors), but llama.cpp" in done.stderr
    assert "--engine vllm" in done.stderr


def test_a_broken_driver_is_shown(models: Path, bin: Path) -> None:
    machines.tool(bin, "nvidia-smi", "#!/bin/sh\necho 'no driver'\nexit 9\n")
    assert "no GPU (nvidia-smi says: no driver)" in dry(models, bin, "tiny.gguf")


def test_vllm_on_the_cpu(models: Path, bin: Path) -> None:
    output = dry(models, bin, "org/M-500M", "--engine", "vllm")
    assert command(output)[:3] == ["VLLM_CPU_KVCACHE_SPACE=1", "vllm", "serve"]
    assert re.search("^  VLLM_CPU_KVCACHE_SPACE=1 +GiB for the KV cache", output, re.M)
    assert "--gpu-memory-utilization" not in command(output)
    assert flag(output, "--max-model-len") == "auto"  # the model's own window is not known
    assert "about 954 MiB of weights (from its name alone, since http://127.0.0.1:1 did not answer" in output


def test_what_stands_behind_two_dashes_is_passed_on_and_wins(models: Path, bin: Path) -> None:
    machines.nvidia(bin, (24 * GIB, 0))
    output = dry(models, bin, "qwen", "--", "--max-model-len=2048", "--dtype", "half")
    assert command(output)[-3:] == ["--max-model-len=2048", "--dtype", "half"]
    assert "--max-model-len" not in command(output)
    assert "your own flags, given after --" in output


def test_two_models_are_one_too_many(models: Path, bin: Path) -> None:
    done = type_in(models, "tiny.gguf", "qwen")
    assert (done.exit_code, "One model at a time" in done.stderr) == (2, True)


def test_a_model_that_does_not_fit_is_reported_before_with_the_form_that_would(models: Path, bin: Path) -> None:
    machines.nvidia(bin, (12 * GIB, 0))
    done = type_in(models, "qwen", PATH=f"{bin}:{SYSTEM}")
    assert done.exit_code == 2
    assert "qwen does not fit: 14.0 GiB of weights" in done.stderr
    assert "of 11.0 GiB on 1 GPU (share 0.92)" in done.stderr
    assert "A 4-bit build (look for NAME-AWQ or NAME-GPTQ-Int4) would fit: about 4.8 GiB" in done.stderr
    assert "An FP8 build (look for NAME-FP8) would fit: about 7.6 GiB" in done.stderr
    assert "does not fit" in dry(models, bin, "qwen", "--force")


@pytest.mark.parametrize("engine", ["vllm", "docker", "tgi"])
def test_a_gguf_file_with_another_engine_is_reported_in_words(models: Path, bin: Path, engine: str) -> None:
    done = type_in(models, "tiny.gguf", "--engine", engine, PATH=f"{bin}:{SYSTEM}")
    assert done.exit_code == 2
    assert f"tiny.gguf is a GGUF model. GGUF is llama.cpp's format; {engine} does not read it." in done.stderr


def test_safetensors_with_llamacpp_are_reported_in_words(models: Path, bin: Path) -> None:
    done = type_in(models, "qwen", "--engine", "llamacpp", PATH=f"{bin}:{SYSTEM}")
    assert done.exit_code == 2
    assert "qwen is a folder of safetensors" in done.stderr
    assert "look for qwen-GGUF" in done.stderr


@pytest.mark.parametrize(
    ("engine", "model", "expected"),
    [
        ("vllm", "org/M-500M", "vllm is not on your PATH.\nInstall it, preferably in its own environment:"),
        ("docker", "org/M-500M", "docker is not on your PATH.\nInstall it: https://docs.docker.com"),
        ("tgi", "org/M-500M", "docker is not on your PATH."),
    ],
)
def test_a_missing_engine_is_reported_with_how_to_install_it(
    models: Path, engine: str, model: str, expected: str
) -> None:
    nowhere = models / "empty"
    nowhere.mkdir(exist_ok=True)
    done = type_in(models, model, "--engine", engine, "--port", "0", PATH=str(nowhere))
    assert done.exit_code == 2
    assert expected in done.stderr
    shown = type_in(models, model, "--engine", engine, "--dry-run", "--port", "0", PATH=str(nowhere))
    assert f"Before it can start: {expected}" in shown.stdout


def test_vllm_for_amd_is_not_the_one_of_pypi(models: Path, tmp_path: Path) -> None:
    machines.amd(tmp_path / "only", machines.MI300X)
    for name in ("sh", "cat"):
        (tmp_path / "only" / name).symlink_to(str(shutil.which(name)))
    done = type_in(models, "qwen", "--port", "0", PATH=str(tmp_path / "only"))
    assert "AMD's build" in done.stderr


def test_a_missing_llamacpp_is_reported_with_its_extra(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    done = type_in(models, "tiny.gguf", "--port", "0")
    assert done.exit_code == 2
    assert f"llama.cpp's server is not installed.\nInstall it:\n  {sys.executable} -m pip install" in done.stderr


def test_other_systems_learn_that_they_are_not_served(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    done = type_in(models, "tiny.gguf")
    assert (done.exit_code, "on Linux only" in done.stderr) == (2, True)


def test_a_taken_port_is_reported_with_who_has_it_and_a_free_one(models: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        done = type_in(models, "tiny.gguf", "--port", str(port))
        shown = type_in(models, "tiny.gguf", "--port", str(port), "--dry-run")
    assert done.exit_code == 2
    assert re.search(
        rf"Port {port} is in use by .* \(pid {os.getpid()}\)\.\nStop that process, or choose another port: --port \d+",
        done.stderr,
    )
    assert f"Before it can start: Port {port} is in use by" in shown.stdout
