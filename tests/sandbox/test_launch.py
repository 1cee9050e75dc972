"""The supervisor's own tools, where they can be watched from the same process."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdev.sandbox import launch, proc, trees
from chatdev.sandbox.port import Limits

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def child() -> Iterator[int]:
    """A child with a child of its own, both waiting for the end of their input."""
    code = "import subprocess, sys; subprocess.run(['cat'])"
    with subprocess.Popen([sys.executable, "-S", "-c", code], stdin=subprocess.PIPE) as process:
        try:
            yield process.pid
        finally:
            assert process.stdin
            process.stdin.close()


def children_of(pid: int) -> list[int]:
    """The whole tree below a process, when it has come up."""
    while not (found := proc.descendants(pid)):
        pass
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("listed", [True, False], ids=["as the kernel lists them", "from every process's parent"])
def test_the_tree_of_processes_is_found(child: int, listed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not listed:
        monkeypatch.setattr(proc, "children_file", lambda pid, thread: "/nonexistent")
    grandchild = children_of(child)
    assert len(grandchild) == 1
    assert {child, *grandchild} <= set(proc.descendants(os.getpid()))
    assert proc.descendants(grandchild[0]) == []


def test_a_tree_is_removed_whatever_it_holds(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "locked" / "inner").mkdir(parents=True)
    (root / "locked" / "inner" / "file").write_text("x")
    (root / "locked").chmod(0)
    (root / "link").symlink_to(tmp_path)
    (root / "dangling").symlink_to("nowhere")
    os.mkfifo(root / "pipe")
    (root / os.fsdecode(b"not utf-8 \xff")).mkdir()
    trees.remove_tree(str(root))
    assert list(tmp_path.iterdir()) == []


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(1_500):
        os.mkdir("nested", dir_fd=here)
        below = os.open("nested", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    trees.remove_tree(str(root))
    assert list(tmp_path.iterdir()) == []


def test_a_tree_that_is_gone_is_no_error(tmp_path: Path) -> None:
    trees.remove_tree(str(tmp_path / "absent"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 1], ids=["after its whole order", "in the midst of its order"])
def test_the_one_who_wanted_the_run_dies_before_it_begins(tmp_path: Path, cut: int) -> None:
    """Nobody reads what the supervisor reports, and its lifeline is closed: it ends the program and clears up."""
    folder = tmp_path / "run"
    folder.mkdir()
    limits = Limits(seconds=60.0, memory=1 << 30, processes=9, file_size=1 << 20)
    order = launch.write_order(("sleep", "600"), {"file": b"x"}, limits)
    (status, status_end), (life, life_end), (wanted, wanted_end) = os.pipe(), os.pipe(), os.pipe()
    os.write(wanted_end, order[: len(order) // (1 + cut)])
    for descriptor in (status, life_end, wanted_end):
        os.close(descriptor)
    kept = (status_end, life, wanted)
    code = "import sys; from chatdev.sandbox import launch; launch.main(sys.argv[1:])"
    words = (sys.executable, "-c", code, *map(str, kept), str(folder))
    done = subprocess.run(words, pass_fds=kept, env={"PYTHONPATH": str(ROOT)}, cwd=tmp_path, capture_output=True)
    for descriptor in kept:
        os.close(descriptor)
    assert done.stderr == b""
    assert list(tmp_path.iterdir()) == []
