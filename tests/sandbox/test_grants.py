"""What a job of our own is granted beyond the walls, such as pip's: the network, a folder; and nothing else with it."""

import functools
import http.server
import os
import socket
import sys
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatdev.errors import UserError
from chatdev.sandbox import levels
from chatdev.sandbox.environment import install
from chatdev.sandbox.port import Job, Sandbox
from chatdev.settings.others import PipSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the sandbox's levels need Linux")
PYTHON = sys.executable


@pytest.fixture(params=levels.LEVELS)
def sandbox(request: pytest.FixtureRequest) -> Sandbox:
    finding = levels.tried(request.param)
    if finding.why:
        pytest.skip(f"{finding.level} does not hold here: {finding.why}")
    return levels.at(finding.level)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """A package index with one wheel and one source archive, as PEP 503 has it."""
    pages = tmp_path / "index"
    for name in ("arcade", "built"):
        (pages / "simple" / name).mkdir(parents=True)
    with zipfile.ZipFile(pages / "simple" / "arcade" / "arcade-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("arcade.py", "SCORE = 7\n")
        wheel.writestr("arcade-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: arcade\nVersion: 1.0\n")
        wheel.writestr("arcade-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("arcade-1.0.dist-info/RECORD", "")
    (pages / "simple" / "built" / "built-1.0.tar.gz").write_bytes(b"what a stranger wants to run")
    for name, file in (("arcade", "arcade-1.0-py3-none-any.whl"), ("built", "built-1.0.tar.gz")):
        (pages / "simple" / name / "index.html").write_text(f'<a href="{file}">{file}</a>')
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(pages))) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple/"
        finally:
            server.shutdown()
            serving.join()


def pip(index: str) -> PipSettings:
    return PipSettings(environment={"PIP_INDEX_URL": index, "PIP_RETRIES": "0"})


async def test_a_wheel_comes_over_the_network_into_the_products_environment(
    sandbox: Sandbox, index: str, tmp_path: Path
) -> None:
    place = tmp_path / "product" / "environment"
    for _ in range(2):  # the second time in the place of the first
        python = await install(sandbox, place, ("arcade",), pip(index))
        outcome = await sandbox.run(Job((python, "-c", "import arcade; print(arcade.SCORE)"), {}))
        assert (outcome.stdout, outcome.stderr) == ("7\n", "")
    mine = os.getuid(), os.getgid()
    assert {(path.lstat().st_uid, path.lstat().st_gid) for path in (place, *place.rglob("*"))} == {mine}


async def test_what_would_have_to_be_built_is_not_taken(sandbox: Sandbox, index: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="The packages cannot be installed") as raised:
        await install(sandbox, tmp_path / "environment", ("built",), pip(index))
    assert "No matching distribution found for built" in str(raised.value)


TRIES = """
import os, socket, sys
decoy, elsewhere, given, port, unix = sys.argv[1:]
def tried(name, act):
    try:
        act()
    except OSError:
        print(name, "refused")
    else:
        print(name, "done")
def reached(family, address):
    with socket.socket(family) as it:
        it.connect(address)
tried("read", lambda: open(decoy).read())
tried("write elsewhere", lambda: open(elsewhere + "/new", "w"))
tried("write here", lambda: open(given + "/new", "w"))
tried("network", lambda: reached(socket.AF_INET, ("127.0.0.1", int(port))))
tried("abstract socket", lambda: reached(socket.AF_UNIX, "\\0" + unix))
tried("socket by path", lambda: reached(socket.AF_UNIX, given + "/" + unix))
tried("our environment", lambda: open(f"/proc/{os.getppid()}/environ").read())
"""


@pytest.mark.parametrize("granted", [True, False])
async def test_a_grant_opens_the_network_and_the_folder_and_nothing_else(
    sandbox: Sandbox, tmp_path: Path, granted: bool
) -> None:
    decoy, elsewhere, given = tmp_path / "home" / ".ssh" / "id", tmp_path / "elsewhere", tmp_path / "given"
    for folder in (decoy.parent, elsewhere, given):
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    decoy.write_text("a key that is none")
    name = f"chatdev-test-{os.getpid()}"
    abstract, by_path = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    with socket.create_server(("127.0.0.1", 0)) as server, abstract, by_path:
        abstract.bind(f"\0{name}")
        by_path.bind(f"{given}/{name}")
        (given / name).chmod(0o777)
        abstract.listen()
        by_path.listen()
        words = (str(decoy), str(elsewhere), str(given), str(server.getsockname()[1]), name)
        writes = (str(given),) if granted else ()
        outcome = await sandbox.run(Job((PYTHON, "-c", TRIES, *words), {}, writes=writes, online=granted))
    done = {line.removesuffix(" done") for line in outcome.stdout.splitlines() if line.endswith(" done")}
    assert outcome.stderr == ""
    assert len(outcome.stdout.splitlines()) == 7
    assert done == ({"write here", "network"} if granted else set())
    assert (given / "new").exists() == granted
    assert not (elsewhere / "new").exists()


async def test_what_others_own_in_a_granted_folder_stays_theirs(sandbox: Sandbox, tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("only root can give a file to somebody else")
    theirs, link = tmp_path / "given" / "theirs", tmp_path / "given" / "link"
    theirs.parent.mkdir()
    theirs.write_text("theirs")
    outside = tmp_path / "outside"
    outside.write_text("ours")
    link.symlink_to(outside)
    os.chown(theirs, 1234, 1234)
    os.chown(outside, 1234, 1234)
    outcome = await sandbox.run(Job(("touch", f"{theirs.parent}/new"), {}, writes=(str(theirs.parent),)))
    assert outcome.exit_status == 0
    assert [path.lstat().st_uid for path in (theirs, outside, link, theirs.parent / "new")] == [1234, 1234, 0, 0]
