"""Who holds a run: the kernel's word, and where it has none, the owner's."""

import errno
import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

import msgspec
import pytest

from chatdev.journal import lock
from chatdev.journal.lock import Busy, JournalError, Owner

HOLDER = """
import sys, time
from pathlib import Path
from chatdev.journal import lock
held = lock.acquire(Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def leave(path: Path, owner: Owner) -> None:
    path.write_bytes(msgspec.json.encode(owner))


@pytest.fixture
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that knows no locks."""

    def flock(_: IO[str], __: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


@pytest.mark.parametrize("locks", ["flock", "none"])
def test_another_process_is_named_while_it_lives_and_makes_way_when_it_is_killed(
    tmp_path: Path, locks: str, request: pytest.FixtureRequest
) -> None:
    path = tmp_path / "run" / ".chatdev" / "lock"
    path.parent.mkdir(parents=True)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        if locks == "none":
            request.getfixturevalue("no_locks")
        with pytest.raises(Busy, match=f"process {holder.pid} on {socket.gethostname()}"):
            lock.acquire(path)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    lock.release(lock.acquire(path))
    assert path.read_text() == ""


def test_a_number_that_another_process_has_now_is_not_the_owner(tmp_path: Path) -> None:
    me = lock.myself()
    if not me.began:
        pytest.skip("this system does not tell when a process started")
    other = subprocess.Popen(["sleep", "600"])
    try:
        began = lock.start_of(other.pid)
        leave(tmp_path / "lock", msgspec.structs.replace(me, pid=other.pid, began=began))
        with pytest.raises(Busy):
            lock.acquire(tmp_path / "lock")
        for stale in ({"began": str(int(began) - 1)}, {"boot": "the boot before"}, {"pid": 2**22 + 1}):
            leave(tmp_path / "lock", msgspec.structs.replace(me, **{"pid": other.pid, "began": began} | stale))
            lock.release(lock.acquire(tmp_path / "lock"))
    finally:
        other.kill()
        other.wait()


def test_an_owner_on_another_machine_counts_where_locks_may_not_reach_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "lock"
    leave(path, Owner(1, "elsewhere"))
    lock.release(lock.acquire(path))  # a local disk: the machine, or its container, bore another name
    leave(path, Owner(1, "elsewhere"))
    monkeypatch.setattr(lock, "file_system", lambda path: "nfs4")
    with pytest.raises(Busy, match="process 1 on elsewhere") as caught:
        lock.acquire(path)
    assert f"delete {path}" in caught.value.do
    path.unlink()
    lock.release(lock.acquire(path))


def test_a_lock_of_an_older_version_is_no_owner(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text(f"process {os.getpid()} on {socket.gethostname()}\n")
    lock.release(lock.acquire(tmp_path / "lock"))


def test_a_lock_that_cannot_be_written_is_a_plain_error(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(JournalError, match="cannot be written"):
        lock.acquire(tmp_path / "lock")


def test_a_full_disk_is_a_plain_error(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(JournalError, match="cannot be written"):
            lock.acquire(tmp_path / "lock")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_the_file_system_of_a_path_is_that_of_its_nearest_mount(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        f"2 1 0:5 / {tmp_path} rw shared:1 - nfs4 host:/x rw\n"
        f"3 1 0:6 / {tmp_path}/a\\040b rw - tmpfs none rw\n"
    )
    assert lock.file_system(Path("/usr"), table) == "ext4"
    assert lock.file_system(tmp_path / "run", table) == "nfs4"
    assert lock.file_system(tmp_path / "a b" / "run", table) == "tmpfs"
    assert lock.file_system(tmp_path, tmp_path / "absent") == ""
