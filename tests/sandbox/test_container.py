"""The level of container engines: by a stand-in for the engine's client, and by engines where that is asked for.

pytest -m podman      podman with runc, a Docker daemon that answers, or both; and an account that may use them
"""

import asyncio
import itertools
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import probing
import pytest
from click.testing import CliRunner

from chatdev.cli.sandbox import command
from chatdev.errors import UserError
from chatdev.sandbox import container, levels, seccomp, selftest
from chatdev.sandbox.container import ContainerSandbox
from chatdev.sandbox.local import LocalSandbox
from chatdev.sandbox.port import Job, Limits, Outcome, Refused
from chatdev.settings.others import ContainerEngine, load_engine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the supervisor is tried on Linux")

CLIENT = """#!{python}
import json, os, sys
words = sys.argv[1:]
with open({log!r}, "a") as log:
    log.write(json.dumps([words, os.getcwd(), dict(os.environ)]) + "\\n")
if words[0] == "inspect":
    print(os.path.exists({full!r}) and "true" or "false")
    sys.exit(0)
if words[0] in ("rm", "unshare"):
    sys.exit(0)
if words[0] == "ps":
    print(os.path.exists({names!r}) and open({names!r}).read() or "")
    sys.exit(0)
if words[0] == "run":
    profile = next(word for word in words if word.startswith("seccomp="))
    assert json.load(open(profile.removeprefix("seccomp=")))["syscalls"]
if os.path.exists({broken!r}):
    print(open({broken!r}).read() or "Error: image not known", file=sys.stderr)
    sys.exit(125)
program = words[words.index("an-image") + 1:]
assert program[:3] == ["timeout", "-s", "KILL"]
os.execvp(program[4], program[4:])
"""


class Stand:
    """A stand-in for ``podman`` that runs the program at once, and what it was told."""

    def __init__(self, folder: Path) -> None:
        self.log, self.full, self.broken = folder / "log", folder / "full", folder / "broken"
        self.names = folder / "names"
        client = folder / "podman"
        client.write_text(
            CLIENT.format(
                python=sys.executable,
                log=str(self.log),
                full=str(self.full),
                broken=str(self.broken),
                names=str(self.names),
            )
        )
        client.chmod(0o755)

    def told(self, verb: str) -> tuple[list[str], str, dict[str, str]]:
        words, cwd, environment = next(line for line in self._lines() if line[0][0] == verb)
        return words, cwd, environment

    def verbs(self) -> list[str]:
        return [line[0][0] for line in self._lines()]

    def removed(self) -> list[str]:
        return [line[0][-1] for line in self._lines() if line[0][0] == "rm"]

    def _lines(self) -> list[tuple[list[str], str, dict[str, str]]]:
        return [msgspec.json.decode(line) for line in self.log.read_bytes().splitlines()]


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("CHATDEV_SANDBOX_IMAGE", "an-image")
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere")
    monkeypatch.setenv("VLLM_API_KEY", "a-key-that-is-none")
    return Stand(folder)


def valued(words: list[str], option: str) -> list[str]:
    return [value for word, value in itertools.pairwise(words) if word == option]


async def test_a_job_is_a_container_without_network_or_powers(stand: Stand) -> None:
    sandbox = ContainerSandbox("podman", user=0)
    limits = Limits(seconds=9, memory=123 << 20, processes=7, file_size=5 << 20)
    job = Job((sys.executable, "-c", "print(open('a').read(), input())"), {"a": b"file"}, b"in", limits=limits)
    outcome = await sandbox.run(job)
    assert (outcome.exit_status, outcome.stdout, outcome.stderr) == (0, "file in\n", "")
    words, cwd, environment = stand.told("run")
    assert {"--read-only", "--interactive"} < set(words)
    assert valued(words, "--network") == ["none"]
    assert valued(words, "--cap-drop") == ["ALL"]
    assert valued(words, "--pull") == ["never"]
    assert valued(words, "--user") == ["65534:65534"]
    assert valued(words, "--pids-limit") == ["7"]
    assert valued(words, "--memory") == valued(words, "--memory-swap") == [str(123 << 20)]
    assert valued(words, "--volume") == [f"{cwd}:/product:Z"]
    no_powers, profile = valued(words, "--security-opt")
    assert no_powers == "no-new-privileges"
    assert profile == f"seccomp={cwd}/../calls.json"
    assert not Path(cwd).parent.exists()
    ending = ("timeout", "-s", "KILL", str(limits.longest + 15))
    assert words[words.index("an-image") :] == [
        "an-image",
        *ending,
        "python3",
        *job.argv[1:],
    ]
    assert environment["DOCKER_HOST"] == "tcp://elsewhere"
    assert "VLLM_API_KEY" not in environment
    assert stand.told("rm")[0] == ["rm", "--force", "--volumes", valued(words, "--name")[0]]
    assert sandbox.level == "podman"


async def test_an_ordinary_user_stays_the_same_inside(stand: Stand) -> None:
    sandbox = ContainerSandbox("podman", user=1000)
    for _ in range(2):
        await sandbox.run(Job(("true",), {}))
    words = stand.told("run")[0]
    assert stand.verbs()[:2] == ["unshare", "ps"]
    assert stand.verbs().count("unshare") == 1
    assert valued(words, "--user") == [f"1000:{os.getgid()}"]
    assert valued(words, "--userns") == ["keep-id"]


async def test_grants_and_what_a_job_reads_are_mounted_but_not_the_system(stand: Stand, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    reads = (str(tmp_path), "/usr", "/etc/hosts", "/nowhere")
    job = Job(("true",), {}, reads=reads, writes=(str(given),), online=True)
    await ContainerSandbox("podman").run(job)
    words, cwd, _ = stand.told("run")
    assert valued(words, "--volume") == [f"{tmp_path}:{tmp_path}:ro", f"{given}:{given}:z", f"{cwd}:/product:Z"]
    assert valued(words, "--network") == ["private"]


@pytest.mark.skipif(not Path("/etc/ssl/certs").is_dir(), reason="there are no certificates here")
async def test_this_machines_certificates_are_shown_to_a_job_that_reads_them(stand: Stand) -> None:
    await ContainerSandbox("podman").run(Job(("true",), {}, reads=("/etc/ssl/certs",)))
    assert "/etc/ssl/certs:/etc/ssl/certs:ro" in valued(stand.told("run")[0], "--volume")


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs programs as somebody else")
async def test_a_folder_that_is_granted_is_no_ones_for_the_time_of_the_job(stand: Stand, tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    (given / "old").touch()
    (given / "others").touch()
    os.chown(given / "others", 12345, 12345)
    code = f"import os, pathlib; os.chown({str(given)!r} + '/old', 65534, -1)\n"
    code += f"new = pathlib.Path({str(given)!r}, 'new'); new.touch(); os.chown(new, 65534, 65534)\n"
    code += f"print(os.stat({str(given)!r}).st_uid)"
    outcome = await ContainerSandbox("podman").run(Job((sys.executable, "-c", code), {}, writes=(str(given),)))
    assert outcome.stdout == "65534\n"
    owners = {path.name: path.stat().st_uid for path in (given, *given.iterdir())}
    assert owners == {"given": 0, "old": 0, "new": 0, "others": 12345}


async def test_what_killed_runs_have_left_is_removed_and_nothing_else(stand: Stand) -> None:
    sandbox = ContainerSandbox("podman", user=0)
    await sandbox.run(Job(("true",), {}))
    ours = valued(stand.told("run")[0], "--name")[0]
    start = ours.partition(f"-{os.getpid()}-")[0]
    dead = subprocess.Popen(("true",))
    dead.wait()
    another = f"{start}-1-ab"  # of a process that lives
    stand.names.write_text(f"{ours}\n{start}-{dead.pid}-ab\n{another}\nchatdev-elsewhere-{dead.pid}-ab\n{start}-x-ab")
    await ContainerSandbox("podman", user=0).run(Job(("true",), {}))
    first, swept, last = stand.removed()
    assert (first, swept) == (ours, f"{start}-{dead.pid}-ab")
    assert last.startswith(f"{start}-{os.getpid()}-") and last != ours


def test_another_users_process_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert container.is_running(1)


class Careless:
    """Walls or not, it keeps nobody to the limits that it is given; as podman without root where cgroups are of v1."""

    level = "careless"

    async def run(self, job: Job) -> Outcome:
        return await LocalSandbox().run(msgspec.structs.replace(job, limits=Limits(processes=256)))


class Fixed:
    """Answers every job with the same."""

    level = "fixed"

    def __init__(self, outcome: Outcome) -> None:
        self.outcome = outcome

    async def run(self, job: Job) -> Outcome:
        return self.outcome


async def test_an_engine_that_keeps_no_limits_does_not_hold() -> None:
    passed = await selftest.limits_passed(Careless())
    assert passed == "it starts more processes than allowed; it uses more memory than allowed"


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome(None, stopped="memory"), ""),
        (Outcome(1, stderr="Traceback\nMemoryError"), ""),
        (Outcome(None, stopped="memory", stdout="it starts more processes than allowed\n"), "it starts more processes"),
        (
            Outcome(None, stopped="time"),
            "the self-test program for limits failed: this machine was too busy to run it; try again",
        ),
        (Outcome(1, stderr="no python3\n"), "the self-test program for limits failed: no python3"),
    ],
)
async def test_limits_are_believed_when_they_have_struck(outcome: Outcome, expected: str) -> None:
    found = await selftest.limits_passed(Fixed(outcome))
    assert found.startswith(expected) and bool(found) == bool(expected)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("raise SystemExit(3)", (3, None)),
        ("raise SystemExit(139)", (None, 11)),
        ("raise SystemExit(128)", (128, None)),
    ],
)
async def test_statuses_are_the_programs(stand: Stand, code: str, expected: tuple[int | None, int | None]) -> None:
    outcome = await ContainerSandbox("podman").run(Job((sys.executable, "-c", code), {}))
    assert (outcome.exit_status, outcome.signal) == expected


async def test_limits_are_distinguished(stand: Stand) -> None:
    stand.full.touch()
    outcome = await ContainerSandbox("podman").run(Job((sys.executable, "-c", "raise SystemExit(1)"), {}))
    assert (outcome.stopped, outcome.exit_status) == ("memory", None)
    stand.full.unlink()
    for status, limit in ((137, "memory"), (153, "disk")):
        outcome = await ContainerSandbox("podman").run(Job((sys.executable, "-c", f"raise SystemExit({status})"), {}))
        assert (outcome.stopped, outcome.signal) == (limit, None)
    job = Job((sys.executable, "-c", "import time; time.sleep(600)"), {}, limits=Limits(seconds=0.5))
    assert (await ContainerSandbox("podman").run(job)).stopped == "time"
    assert len([line for line in stand.log.read_text().splitlines() if '"rm"' in line]) == 4


async def test_an_engine_or_image_that_is_not_there_is_reported(
    stand: Stand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.broken.touch()
    with pytest.raises(Refused, match="could not start a container from an-image") as raised:
        await ContainerSandbox("podman").run(Job(("true",), {}))
    assert "podman pull an-image" in str(raised.value)
    stand.broken.write_text("Error: no daemon\n\nRun 'podman run --help' for more\n")
    with pytest.raises(Refused, match="no daemon") as raised:
        await ContainerSandbox("podman").run(Job(("true",), {}))
    assert raised.value.tried == ("Error: no daemon",)
    assert 'Make sure that "podman run --rm an-image true" works' in raised.value.do
    stand.broken.write_text("")
    levels.tried.cache_clear()
    with pytest.raises(UserError, match="cannot run in podman containers") as refused:
        await levels.chosen(unsafe=False, engine="podman")
    assert "image not known" in str(refused.value)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused, match="docker was not found on PATH"):
        await ContainerSandbox("docker").run(Job(("true",), {}))
    levels.tried.cache_clear()


def test_a_client_that_walls_nothing_does_not_hold(stand: Stand) -> None:
    levels.tried.cache_clear()
    shown = CliRunner().invoke(command, ["check"])
    assert "podman       not usable: it reads a file outside" in shown.output
    levels.tried.cache_clear()


def test_the_image_and_the_clients_variables_are_settings() -> None:
    assert load_engine({"HOME": "/h", "OPENAI_API_KEY": "x"}) == ContainerEngine(environment={"HOME": "/h"})
    assert load_engine({"CHATDEV_SANDBOX_IMAGE": " mine:1 "}).image == "mine:1"


def test_the_profile_refuses_what_the_filter_refuses() -> None:
    profile = msgspec.json.decode(seccomp.profile())
    names = [name for rule in profile["syscalls"] for name in rule["names"]]
    assert {"ptrace", "unshare", "io_uring_setup", "keyctl", "clone", "clone3", "socket", "personality"} <= set(names)
    assert all(rule["action"] == "SCMP_ACT_ERRNO" for rule in profile["syscalls"])


# By the engines themselves.

_COMMANDS = ("python3", "timeout", "dash", "sleep", "cat", "touch")


@pytest.fixture(scope="module", params=levels.ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine, podman by runc, with an image made of this machine's own interpreter: nothing is fetched."""
    chosen: str = request.param
    client, python = shutil.which(chosen), Path("/usr/bin/python3").resolve()
    answers = client is not None and subprocess.run([client, "info"], capture_output=True, check=False).returncode == 0
    if client is None or not answers or shutil.which("runc") is None or not python.exists():
        pytest.skip(f"{chosen} that answers, runc and a python3 of the system are needed")
    binaries = [
        python,
        *(Path(found).resolve() for name in _COMMANDS if (found := shutil.which(name, path="/usr/bin"))),
    ]
    modules = Path("/usr/lib") / python.name
    files = [*binaries, *modules.rglob("lib-dynload/*.so")]
    listed = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False).stdout.split()
    libraries = {Path(word) for word in listed if word.startswith("/") and not word.endswith(":")}
    archive = tmp_path_factory.mktemp("image") / "image.tar"
    with tarfile.open(archive, "w") as tar:
        for library in sorted(libraries):
            tar.add(library.resolve(), str(library).lstrip("/"))
        for name in _COMMANDS:
            if found := shutil.which(name, path="/usr/bin"):
                tar.add(Path(found).resolve(), f"usr/bin/{name}")
        tar.add(Path("/usr/bin/dash").resolve(), "bin/sh")
        tar.add(modules, f"usr/lib/{modules.name}")
        for name in ("tmp", "product", "proc", "dev", "sys", "etc"):
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(folder)
    image = f"localhost/chatdev-test-{chosen}-{os.getpid()}:1"
    subprocess.run([client, "import", str(archive), image], check=True, capture_output=True)

    wrapper = archive.with_name(chosen)
    wrapper.write_text(f'#!/bin/sh\nexec {client} {"--runtime=runc" if chosen == "podman" else ""} "$@"\n')
    wrapper.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(wrapper.parent), prepend=":")
        patch.setenv("CHATDEV_SANDBOX_IMAGE", image)
        levels.tried.cache_clear()
        yield chosen
    levels.tried.cache_clear()
    subprocess.run([client, "rmi", "--force", image], check=False, capture_output=True)


def containers(engine: str) -> str:
    words = (engine, "ps", "--all", "--quiet", "--filter", f"name={container.name_start()}{os.getpid()}-")
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


@pytest.mark.podman
async def test_an_engine_leaves_no_way_out(engine: str) -> None:
    sandbox = await levels.chosen(unsafe=False, engine=engine)
    assert sandbox.level == engine
    assert containers(engine) == ""


@pytest.mark.podman
def test_no_probe_gets_through_an_engine(engine: str) -> None:
    found = probing.as_this_user(engine)
    assert {probe: found[probe] for probe in probing.TRIED if found[probe] and probe != "planted_links"} == {}
    # What it plants beside its project, it can only plant in the container.
    assert "FileNotFoundError" in found["planted_links"][-1]
    assert containers(engine) == ""


@pytest.mark.podman
async def test_an_engine_keeps_a_programs_limits(engine: str) -> None:
    async def python(code: str, **limits: float) -> Outcome:
        bounds = Limits(**{"seconds": 20, **limits})  # type: ignore[arg-type]
        return await ContainerSandbox(engine).run(Job((sys.executable, "-c", code), {}, limits=bounds))

    loops = await python("while True: pass", seconds=2)
    assert loops.stopped == "time"
    ignores = await python("import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(600)", seconds=2)
    assert ignores.stopped == "time"
    floods = await python("while True: print('x' * 1000)", output=1 << 16)
    assert floods.stopped == "output"
    hog = await python("held = b'x' * (400 << 20); print(len(held))", memory=100 << 20)
    assert hog.stopped == "memory"
    forks = await python("import os\ntry:\n  while True: os.fork()\nexcept OSError: print('no more')", processes=20)
    assert "no more" in forks.stdout or forks.stopped
    large = await python("open('x', 'w').write('x' * (9 << 20))", file_size=1 << 20)
    assert large.exit_status == 1 and "File too large" in large.stderr
    assert containers(engine) == ""


@pytest.mark.podman
async def test_an_engine_ends_a_cancelled_run(engine: str) -> None:
    run = asyncio.create_task(
        ContainerSandbox(engine).run(Job((sys.executable, "-c", "import time; time.sleep(600)"), {}))
    )
    while not await asyncio.to_thread(containers, engine):
        await asyncio.sleep(0.1)
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    assert containers(engine) == ""


@pytest.mark.podman
async def test_what_a_killed_run_has_left_is_removed_by_the_next(engine: str) -> None:
    code = "import asyncio, sys; from chatdev.sandbox import container, port; asyncio.run(container.ContainerSandbox("
    code += f"{engine!r}).run(port.Job((sys.executable, '-c', 'import time; time.sleep(600)'), {{}})))"
    killed = subprocess.Popen((sys.executable, "-c", code), env={**os.environ, "PYTHONPATH": str(probing.ROOT)})
    found = (engine, "ps", "--all", "--quiet", "--filter", f"name={container.name_start()}{killed.pid}-")

    def left() -> str:
        return subprocess.run(found, capture_output=True, text=True, check=True).stdout

    try:
        while not left():
            assert killed.poll() is None
            await asyncio.sleep(0.1)
    finally:
        killed.kill()
        killed.wait()
    assert (await ContainerSandbox(engine).run(Job((sys.executable, "-c", "print(1)"), {}))).stdout == "1\n"
    assert left() == ""


@pytest.mark.podman
async def test_an_engine_writes_to_a_granted_folder_alone(engine: str, tmp_path: Path) -> None:
    given, kept = tmp_path / "given", tmp_path / "kept"
    for folder in (given, kept):
        folder.mkdir()
        (folder / "old").write_text("old")
    code = f"open({str(given / 'old')!r}, 'a').write(' and new'); open({str(given / 'new')!r}, 'w')\n"
    code += f"print(open({str(kept / 'old')!r}).read())\nopen({str(kept / 'new')!r}, 'w')"
    job = Job((sys.executable, "-c", code), {}, reads=(str(kept),), writes=(str(given),))
    outcome = await ContainerSandbox(engine).run(job)
    assert (outcome.exit_status, outcome.stdout) == (1, "old\n")
    assert "Read-only file system" in outcome.stderr
    assert (given / "old").read_text() == "old and new"
    assert [path.name for path in kept.iterdir()] == ["old"]
    assert {path.stat().st_uid for path in (given, *given.iterdir())} == {os.getuid()}
