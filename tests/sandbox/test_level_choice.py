"""Which level is chosen, and what is said where none holds."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatdev.errors import UserError
from chatdev.sandbox import isolated, levels, view
from chatdev.sandbox.levels import LevelCheck


async def test_the_strongest_that_holds_is_chosen() -> None:
    tried = []

    def only_landlock(level: str) -> LevelCheck:
        tried.append(level)
        return LevelCheck(level, "" if level == "landlock" else "no")

    assert (await levels.best(only_landlock)).level == "landlock"
    assert tried == ["bubblewrap", "namespaces", "landlock"]


async def test_where_none_holds_nothing_runs_and_each_reason_is_reported() -> None:
    with pytest.raises(UserError) as raised:
        await levels.best(lambda level: LevelCheck(level, f"why not {level}"))
    assert raised.value.exit_status == 2
    assert raised.value.tried[1] == "namespaces: why not namespaces"
    assert "--unsafe-no-sandbox" in raised.value.do


@pytest.mark.parametrize(("platform", "advice"), [("darwin", "virtual machine"), ("win32", "WSL 2")])
async def test_other_systems_are_refused_with_advice(
    platform: str, advice: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(UserError, match="needs Linux") as raised:
        await levels.best(levels.tried.__wrapped__)
    assert advice in raised.value.do


def test_a_processor_without_a_filter_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolated, "MACHINES", {})
    finding = levels.tried.__wrapped__("landlock")
    assert "no system call filter" in finding.why


async def test_without_a_sandbox_only_when_asked_for() -> None:
    assert (await levels.chosen(unsafe=True)).level == levels.UNSAFE


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_a_run_hides_its_memory_from_this_user() -> None:
    code = "import asyncio, os; from chatdev.sandbox import levels; asyncio.run(levels.chosen(unsafe=True))\n"
    code += "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output == "0\n"


def installed(root: Path, *links: str) -> str:
    """An executable in ``root/real/bin``, and links to it; the path of the last."""
    path = root / "real" / "bin" / "tool"
    path.parent.mkdir(parents=True)
    path.touch(0o755)
    for link in links:
        place = root / link
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(path)
        path = place
    return str(path)


def test_an_installation_is_what_lies_around_bin_of_every_link(tmp_path: Path) -> None:
    assert view.installation(installed(tmp_path)) == (str(tmp_path / "real"),)
    assert view.installation(installed(tmp_path / "2", "env/bin/tool", "shim/tool")) == (
        str(tmp_path / "2/shim"),
        str(tmp_path / "2/env"),
        str(tmp_path / "2/real"),
    )


def test_a_home_is_never_an_installation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for place in ("bin", ".cargo/bin", ".local/bin"):
        assert view.installation(str(tmp_path / place / "tool")) == (str(tmp_path / place),)
    assert view.installation(str(tmp_path / ".pyenv/versions/3/bin/tool")) == (str(tmp_path / ".pyenv/versions/3"),)
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv/pyvenv.cfg").touch()
    assert view.installation(str(tmp_path / ".venv/bin/python")) == (str(tmp_path / ".venv"),)


def test_what_is_read_holds_no_home_and_nothing_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/deep/deeper").mkdir(parents=True)
    home, deep, deeper = (str(tmp_path / path) for path in ("home", "home/deep", "home/deep/deeper"))
    reads = view.reads(("true",), ("/", str(tmp_path), home, deep, deeper, "/nowhere"))
    assert {"/usr", deep} <= set(reads)
    assert not {"/", str(tmp_path), home, deeper, "/nowhere"} & set(reads)


def test_what_lies_behind_a_link_of_the_systems_is_read_where_it_lies() -> None:
    reads = view.reads(("/bin/sh",), ("/lib",))
    assert not {link for _, link in view.links()} & set(reads)
    assert "/usr" in reads
