"""Runs programs in Docker or podman containers, for users who prefer an engine's isolation or have no other.

Used only on request, since it costs half a second a run and needs an image with the languages. The engine's client runs
under our supervisor for the limits of time and output and for standard input; the engine limits memory, processes
and the rest. The user fetches the image with ``docker pull``: nothing is downloaded implicitly.
https://docs.docker.com/reference/cli/docker/container/run/
"""

import asyncio
import hashlib
import os
import platform
import secrets
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from chatdev.sandbox import launch, seccomp, view
from chatdev.sandbox.local import LocalSandbox
from chatdev.sandbox.port import Job, Limits, Outcome, Refused, Stopped
from chatdev.settings.others import ContainerEngine, load_engine

_NOBODY = 65534
_FAILED, _SIGNALLED = 125, 128
"""Exit statuses: 125 if the client itself failed, 128 plus its number for a signal; docker-run(1), "Exit Status"."""
_BY_STATUS: dict[int, Stopped] = {128 + 9: "memory", 128 + 25: "disk"}
"""The limits behind signals 9 and 25: in a container no other process can send them. The engine reports the first only
if it hit the container's main process."""
_SCRATCH = 64 << 20
_GRACE = 15.0
"""Seconds after its longest allowed time at which a container ends by itself, if no process is left to end it."""
_CLIENT = Limits(memory=1 << 30, processes=256)
_CERTIFICATES = ("/etc/ssl", "/etc/pki", "/usr/share/ca-certificates", "/usr/local/share/ca-certificates")
"""An image has these, too, but without the certificates that this machine's user has added."""
_NO_IMAGE = ("image not known", "unable to find image", "no such image", "image does not exist")
"""The wording of podman and Docker."""


class ContainerSandbox:
    """Runs each job in its own container, with an installed engine. ``user`` is this process's user id."""

    def __init__(
        self,
        engine: str,
        within: Path | None = None,
        setup: ContainerEngine | None = None,
        user: int | None = None,
    ) -> None:
        self._engine = engine
        self._setup = setup or load_engine()
        self._local = LocalSandbox(within, seen=False)  # the engine is its containers' parent, not this process
        self._user = os.getuid() if user is None else user
        self._ready: asyncio.Future[None] | None = None

    @property
    def level(self) -> str:
        """The engine's name."""
        return self._engine

    async def run(self, job: Job) -> Outcome:
        """See ``Sandbox``."""
        client = shutil.which(self._engine)
        if client is None:
            raise Refused(
                f"{self._engine} was not found on PATH.", do=f"Install it, or run without --sandbox {self._engine}."
            )
        if self._ready is None:
            self._ready = asyncio.ensure_future(self._make_ready(client))
        await asyncio.shield(self._ready)
        name = f"{name_start()}{os.getpid()}-{secrets.token_hex(8)}"
        # Our supervisor writes the files to a folder that only this user can enter, and removes it afterwards.
        profile = f"printf %s {shlex.quote(seccomp.profile().decode())} >../calls.json"
        words = shlex.join((client, "run", "--name", name, *self._bounds(job)))
        rest = shlex.join((self._setup.image, *self._program(job)))
        added = '--security-opt seccomp="$PWD"/../calls.json --volume "$PWD":/product:Z'
        script = f"{profile} && chmod -R a+rwX . && exec {words} {added} {rest}"
        order = msgspec.structs.replace(
            job,
            argv=("/bin/sh", "-c", script),
            limits=msgspec.structs.replace(
                _CLIENT,
                seconds=job.limits.seconds,
                output=job.limits.output,
                file_size=job.limits.file_size,
                patience=job.limits.patience,
            ),
            environment=self._setup.environment,
            reads=(),
            writes=(),
        )
        with self._owned_by_job(job.writes):
            try:
                outcome = await self._local.run(order)
                full = await self._out_of_memory(client, name)
            finally:
                await asyncio.shield(self._removed(client, name))
        return self._program_outcome(outcome, full)

    async def _make_ready(self, client: str) -> None:
        """One-time set-up: remove the containers of processes that were killed before they could do it."""
        if self._engine == "podman" and self._user:
            await self._user_namespace(client)
        status, text = await self._ask(
            client, "ps", "--all", "--filter", f"name={name_start()}", "--format", "{{.Names}}"
        )
        for name in text.split() if status == 0 else ():
            owner = name.removeprefix(name_start()).partition("-")[0]
            if name.startswith(name_start()) and owner.isdigit() and not is_running(int(owner)):
                await self._removed(client, name)

    async def _user_namespace(self, client: str) -> None:
        """Have podman create the user namespace that all containers of a user share, held open by a podman process.

        Creating it takes a more privileged program, unavailable under the supervisor: programs there join it.
        """
        making = await asyncio.create_subprocess_exec(
            *(client, "unshare", "true"),
            env=dict(self._setup.environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        await making.wait()  # if it fails, so does the first container, and that reports the reason

    @contextmanager
    def _owned_by_job(self, places: tuple[str, ...]) -> Iterator[None]:
        """Give a job's writable folders to its user while it runs: an unprivileged user id if we are root."""
        user = self._user or _NOBODY
        for place in places:
            launch.change_owner(place, self._user, user)
        try:
            yield
        finally:
            for place in places:
                launch.change_owner(place, user, self._user)

    def _bounds(self, job: Job) -> tuple[str, ...]:
        """The container's limits and permissions, as options of the engine's ``run``."""
        limits = job.limits
        keep = ("--userns", "keep-id") if self._engine == "podman" and self._user else ()
        user = f"{self._user}:{os.getgid()}" if self._user else f"{_NOBODY}:{_NOBODY}"
        network = "private" if self._engine == "podman" else "bridge"  # podman has ``private`` without root, too
        room = f"rw,nosuid,nodev,size={_SCRATCH},mode=1777"
        reads = [path for path in (*job.reads, *_installed(job.argv[0])) if _is_missed(path)]
        return (
            *(
                "--pull",
                "never",
                "--interactive",
                "--init",
                "--read-only",
                "--cap-drop",
                "ALL",
                "--security-opt",
                "no-new-privileges",
            ),
            *("--network", network if job.online else "none", "--hostname", "sandbox", "--log-driver", "none"),
            *("--pids-limit", str(limits.processes), "--memory", str(limits.memory)),
            *("--memory-swap", str(limits.memory), "--ulimit", "nofile=1024:1024", "--ulimit", "core=0:0"),
            *("--ulimit", f"fsize={limits.file_size}:{limits.file_size}", "--ulimit", "nproc=4096:4096"),
            *("--user", user, *keep, "--tmpfs", f"/tmp:{room}", "--shm-size", str(_SCRATCH)),  # noqa: S108 - in the container
            *("--workdir", "/product", "--env", "HOME=/tmp", "--env", "TMPDIR=/tmp", "--env", "LANG=C.UTF-8"),
            *(word for key, value in job.environment.items() for word in ("--env", f"{key}={value}")),
            *(word for path in reads for word in ("--volume", f"{path}:{path}:ro")),
            *(word for path in job.writes for word in ("--volume", f"{path}:{path}:z")),
        )

    def _program(self, job: Job) -> tuple[str, ...]:
        """The command line inside the container, where the image's interpreter replaces ours."""
        first, *others = job.argv
        seconds = str(job.limits.longest + _GRACE)
        return ("timeout", "-s", "KILL", seconds, "python3" if first == sys.executable else first, *others)

    def _program_outcome(self, outcome: Outcome, out_of_memory: bool) -> Outcome:
        """The program's outcome, derived from the client's and the container's. Raises Refused."""
        stopped: Stopped = "memory" if out_of_memory else _BY_STATUS.get(outcome.exit_status or 0, "")
        if stopped:
            return msgspec.structs.replace(outcome, exit_status=None, signal=None, stopped=stopped)
        if outcome.stopped or outcome.exit_status is None:
            return outcome
        if outcome.exit_status == _FAILED:
            image, missing = self._setup.image, any(words in outcome.stderr.lower() for words in _NO_IMAGE)
            fetch = f"Fetch the image ({self._engine} pull {image}), or set CHATDEV_SANDBOX_IMAGE to another one."
            raise Refused(
                f"{self._engine} could not start a container from {image}.",
                tried=_last_lines(outcome.stderr),
                do=fetch if missing else f'Make sure that "{self._engine} run --rm {image} true" works.',
            )
        if outcome.exit_status > _SIGNALLED:
            return msgspec.structs.replace(outcome, exit_status=None, signal=outcome.exit_status - _SIGNALLED)
        return outcome

    async def _out_of_memory(self, client: str, name: str) -> bool:
        """Whether the engine killed the container for exceeding its memory limit."""
        status, text = await self._ask(client, "inspect", "--format", "{{.State.OOMKilled}}", name)
        return status == 0 and text.strip() == "true"

    async def _removed(self, client: str, name: str) -> None:
        """Kill the container if it is running, and remove it completely."""
        await self._ask(client, "rm", "--force", "--volumes", name)

    async def _ask(self, client: str, *words: str) -> tuple[int, str]:
        job = Job((client, *words), {}, environment=self._setup.environment, limits=_CLIENT)
        outcome = await self._local.run(job)
        return (-1 if outcome.exit_status is None else outcome.exit_status), outcome.stdout


def _last_lines(client: str) -> list[str]:
    """The last lines of a client's output, without hints at its own options."""
    return [line.strip() for line in client.splitlines() if line.strip() and "--help" not in line][-2:]


def name_start() -> str:
    """The name prefix of containers whose owners' process ids are valid here: an engine may serve other machines and
    process namespaces, too."""
    here = [platform.node()]
    with suppress(OSError):
        here += [Path("/proc/sys/kernel/random/boot_id").read_text(), str(Path("/proc/self/ns/pid").readlink())]
    return f"chatdev-{hashlib.sha256(' '.join(here).encode()).hexdigest()[:12]}-"


def is_running(pid: int) -> bool:
    """Whether a process with this id runs here, of any user."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _is_missed(path: str) -> bool:
    """Whether an image lacks the content of this machine's path."""
    of_ours = any(Path(path).is_relative_to(each) for each in _CERTIFICATES) and Path(path).exists()
    return of_ours or view.is_no_part_of_the_system(path)


def _installed(first: str) -> tuple[str, ...]:
    """The installation of a program that a job names by path (such as an environment's interpreter), not by name."""
    return view.installation(first) if Path(first).is_absolute() and first != sys.executable else ()
