"""What is found out about this machine, with the drivers' tools as small programs on PATH."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import machines
import pytest

from chatdev.ops import machine
from chatdev.ops.machine import Gpu, Program

GIB = 1 << 30


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH, but for the system's own."""
    folder = tmp_path / "bin"
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def test_without_a_drivers_tool_there_is_no_gpu(path: Path) -> None:
    seen = machine.detect()
    assert (seen.gpus, seen.complaint) == ((), "")
    assert 0 < seen.available <= seen.memory
    assert machine.gpus() == ()


def test_nvidia_gpus_and_who_uses_them(path: Path) -> None:
    machines.nvidia(path, (24564, 1024), (24564, 0), apps="GPU-0, 812, /usr/bin/python3\nGPU-0, 900, [Not Found]")
    first, second = machine.gpus()
    assert first == Gpu(
        0,
        "NVIDIA GeForce RTX 4090",
        "NVIDIA",
        24564 << 20,
        1 << 30,
        (Program(812, "python3"), Program(900, "[Not Found]")),
    )
    assert (second.index, second.users, second.free) == (1, (), 24564 << 20)


def test_a_gpu_without_memory_of_its_own_shares_the_machines(path: Path) -> None:
    machines.tool(path, "nvidia-smi", "#!/bin/sh\necho '0, GPU-0, NVIDIA GB10, [N/A], [N/A]'\n")
    seen = machine.detect()
    assert [(gpu.total, gpu.free) for gpu in seen.gpus] == [(seen.memory, seen.available)]


def test_a_driver_that_fails_is_quoted(path: Path) -> None:
    machines.tool(path, "nvidia-smi", "#!/bin/sh\necho 'NVIDIA-SMI has failed: no driver.'\nexit 9\n")
    seen = machine.detect()
    assert (seen.gpus, seen.complaint) == ((), "nvidia-smi says: NVIDIA-SMI has failed: no driver.")


def test_a_tool_that_cannot_be_started_is_quoted(path: Path) -> None:
    machines.tool(path, "nvidia-smi", "#!/nowhere/sh\n")
    assert machine.detect().complaint == "nvidia-smi: No such file or directory"


def test_a_driver_that_hangs_is_given_up(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "PATIENCE", 0.1)
    machines.tool(path, "nvidia-smi", "#!/bin/sh\nexec sleep 60\n")
    assert machine.detect().complaint == "nvidia-smi does not answer"


def test_an_amd_gpu_behind_a_warning(path: Path) -> None:
    machines.amd(path, machines.MI300X)
    (gpu,) = machine.gpus()
    assert (gpu.name, gpu.maker, gpu.total) == ("AMD Instinct MI300X", "AMD", 206141652992)
    assert gpu.users == (Program(4711, "python3"),)


def test_of_several_amd_gpus_it_is_not_known_who_uses_which() -> None:
    said = '{"card1": {"Card series": "B"}, "card0": {}, "system": {"PID1": "a, 2"}}'
    assert [(gpu.index, gpu.name, gpu.users) for gpu in machine.read_amd(said)] == [(0, "AMD GPU", ()), (1, "B", ())]


@pytest.mark.parametrize("expected", ["", "no cards", "{broken"])
def test_what_rocm_smi_prints_without_a_gpu(expected: str) -> None:
    assert machine.read_amd(expected) == ()


def test_the_holder_of_a_port_is_named_with_its_pid() -> None:
    script = "import socket, sys\ns = socket.create_server(('127.0.0.1', 0))\nprint(s.getsockname()[1], flush=True)\n"
    words = (sys.executable, "-c", script + "sys.stdin.read()")
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            held = machine.holder(int(process.stdout.readline()))
        finally:
            process.kill()
    assert held.startswith(Path(sys.executable).name)
    assert held.endswith(f"(pid {process.pid})")


def test_a_free_port_has_no_holder() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        assert machine.holder(bound.getsockname()[1]) == ""


def test_a_process_that_cannot_be_looked_into_is_named_by_its_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "net").mkdir()
    row = "0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000 {} 0 4242 1 0 100 0 0 10 0"
    (tmp_path / "net" / "tcp6").write_text("head\n" + row.format(os.getuid()))
    monkeypatch.setattr(machine, "PROC", tmp_path)
    assert machine.holder(8080).startswith("a process of user ")
    (tmp_path / "net" / "tcp6").write_text("head\n" + row.format(4123456789))
    assert machine.holder(8080) == "a process of user 4123456789"


def test_a_shown_command_keeps_keys_to_itself() -> None:
    words = ("/opt/v/bin/vllm", "serve", "M", "--api-key", "s3cret", "--token=s3cret", "--port", "8000", "")
    assert machine.shown_command(words) == "vllm serve M --api-key *** --token=*** --port 8000"
    assert machine.shown_command(()) == ""
    assert len(machine.shown_command(["x" * 200])) == 80


def test_this_process_may_use_some_cores() -> None:
    assert machine.cores() >= 1


def test_gpus_that_programs_are_to_use() -> None:
    gpus = tuple(Gpu(index, "G", "NVIDIA", GIB, 0) for index in range(3))
    all_ = machine.Machine(gpus, GIB, GIB)
    assert machine.only(all_, None).gpus == gpus
    assert machine.only(all_, ("2", "0")).gpus == (gpus[0], gpus[2])
    assert machine.only(all_, ("GPU-abc",)).gpus == gpus[:1]
    assert machine.only(all_, ("-1",)).gpus == machine.only(all_, ()).gpus == ()
