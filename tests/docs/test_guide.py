"""Every command that the guide gives for a shell works as it stands there, against playback in place of a server."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdev.playback.demo import RECORDINGS

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "vllm.md").read_text(encoding="utf-8")
COMMANDS = [block[1] for block in re.finditer(r"^```sh\n(.*?)^```", GUIDE, re.M | re.S)]
HELLO = '+++\nmodel = "default"\ntask = ""\n+++\n=== when "Say hello."\nHello!\n'


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Playback as its user starts it, with an answer for whoever says hello."""
    folder = tmp_path_factory.mktemp("playback")
    (folder / "hello.recording").write_text(HELLO)
    recordings = [folder / "hello.recording", *sorted(RECORDINGS.glob("*.recording"))]
    server = subprocess.Popen(
        [sys.executable, "-m", "chatdev", "playback", "--port", "0", *map(str, recordings)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield int(server.stdout.readline().split("/v1")[0].rpartition(":")[2])
    finally:
        server.terminate()
        server.wait()
        if server.stdout:
            server.stdout.close()


def typed(command: str, port: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block in a copy of the clone, as far as it matters. What installs is left to the machine that runs this."""
    for name in ("run.py", "requirements.txt"):
        shutil.copy(ROOT / name, folder / name)
    script = re.sub(r"^pip install.*\n", "", command, flags=re.M).replace("localhost:8000", f"127.0.0.1:{port}")
    kept = {name: value for name, value in os.environ.items() if not re.match("VLLM|OPENAI|BASE_URL", name)}
    own = {
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "VLLM_ENDPOINT": f"http://127.0.0.1:{port}/v1",
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    return subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=kept | own, capture_output=True, text=True, timeout=120
    )


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.splitlines()[-1][:60])
def test_a_command_of_the_guide_works(command: str, port: int, tmp_path: Path) -> None:
    done = typed(command, port, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    if "/v1/models" in command:
        assert json.loads(done.stdout)["data"][0]["id"] == "default"
    if "chat/completions" in command:
        assert json.loads(done.stdout)["choices"][0]["message"]["content"] == "Hello!"
    if "run.py" in command:
        assert "Verdict: passed" in done.stdout
        assert (next((tmp_path / "WareHouse").iterdir()) / "REPORT.md").is_file()
    if "VLLM_DEBUG" in command:
        assert "POST http://127.0.0.1" in done.stderr


def test_the_guide_gives_commands() -> None:
    assert len(COMMANDS) >= 5
    assert all("localhost" in command or "python3" in command for command in COMMANDS)


def test_links_between_the_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_files_that_the_architecture_names_exist() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:[a-z_]+/)+(?:[a-z_]+\.(?:py|toml))?)`", text))
    assert len(named) > 40
    assert [name for name in sorted(named) if not any((ROOT / top / name).exists() for top in ("", "chatdev"))] == []
