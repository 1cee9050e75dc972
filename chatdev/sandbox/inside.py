"""The last steps between the supervisor and the program, in which our own code runs inside the sandbox.

Runs standalone, with the standard library only. At the levels with namespaces a process of ours is the first in them:
it reaps dead processes, and when it ends, the kernel kills all the others.
"""

import marshal
import os
import resource

from . import landlock, system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Packed = tuple[Any, ...]

_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25
_DAC_READ_SEARCH = 2  # linux/capability.h
_NO_SETUID_FIXUP = 1 << 2  # linux/securebits.h
_WRITTEN = ("product", "home", "tmp")
_DEVICES = ("/dev/null", "/dev/full", "/dev/random", "/dev/urandom")
_TERMINALS = ("/dev/pts", "/dev/tty")
"""The devices of terminals, in a file tree of the program's own: only those that it makes itself."""
_READ_DEVICES = ("/dev/zero",)  # a writable shared mapping of it is memory that no limit of ours counts


class Confinement:
    """What a program may access; ``level`` is bubblewrap, namespaces or landlock.

    ``reads`` are paths of the host, parents before children, ``links`` the symbolic links among the system's folders
    as (target, path), ``calls`` the seccomp filter, ``scratch`` the bytes that /tmp and shared memory may each hold,
    ``wrap`` the command that creates the namespaces, if any. ``places`` are folders of the host that it may write to,
    and ``online`` means that it uses the host's network.
    """

    def __init__(
        self,
        level: str,
        reads: "Sequence[str]",
        links: "Sequence[tuple[str, str]]",
        calls: bytes,
        scratch: int,
        places: "Sequence[str]" = (),
        online: bool = False,
        wrap: "Sequence[str]" = (),
    ) -> None:
        self.level, self.reads, self.links, self.calls = level, tuple(reads), tuple(links), calls
        self.scratch, self.places, self.online, self.wrap = scratch, tuple(places), online, tuple(wrap)

    def packed(self) -> "Packed":
        """The fields, for ``marshal``."""
        fields = (self.level, self.reads, self.links, self.calls, self.scratch)
        return (*fields, self.places, self.online, self.wrap)

    @property
    def alone(self) -> bool:
        """Whether the program has namespaces of its own."""
        return self.level != "landlock"

    @property
    def helpers(self) -> int:
        """How many processes of ours are between the supervisor and the program."""
        return {"bubblewrap": 2, "namespaces": 1}.get(self.level, 0)

    def writes(self, folder: str) -> tuple[str, ...]:
        """The folders that the program may write to."""
        return (*(f"{folder}/{name}" for name in _WRITTEN), *self.places)

    def made(self, folder: str) -> tuple[tuple[str, str], ...]:
        """Our files that replace the system's, as (path on the host, path that the program sees)."""
        names = ("passwd", "group", *(() if self.online else ("hosts",)))
        return tuple((f"{folder}/etc/{name}", f"/etc/{name}") for name in names)


class Task:
    """One program and its limits. ``user`` is the user id that it switches to if that is not ours, ``status`` the pipe
    to its supervisor's reader, ``searching`` whether it may traverse folders that are not its user's."""

    def __init__(
        self,
        program: "Sequence[str]",
        folder: str,
        user: int,
        limits: "Sequence[tuple[int, int]]",
        searching: bool,
        status: int,
    ) -> None:
        self.program, self.folder, self.user, self.limits = tuple(program), folder, user, tuple(limits)
        self.searching, self.status = searching, status

    def packed(self) -> "Packed":
        """The fields, for ``marshal``."""
        return (self.program, self.folder, self.user, self.limits, self.searching, self.status)


def main(arguments: list[str]) -> None:
    """The first process inside bubblewrap. It reads both of the above from ORDER and writes how it ended to REPORT."""
    order, report = (int(argument) for argument in arguments)
    with open(order, "rb") as file:
        confinement, task = marshal.load(file)  # noqa: S302 - our own
    task = Task(*task)
    for descriptor in (report, task.status):
        os.set_inheritable(descriptor, False)
    system.prctl(system.SET_DUMPABLE, 0)
    serve(Confinement(*confinement), task, report)
    os._exit(0)


def serve(confinement: Confinement, task: Task, report: int) -> None:
    """Run the program as a child and reap processes until it has ended; report its wait status and peak, in bytes."""
    program = os.fork()
    if program == 0:
        os.close(report)
        execute(confinement, task, parent=1)
    while True:
        pid, status, usage = os.wait4(-1, 0)
        if pid == program:
            os.write(report, f"{status} {usage.ru_maxrss * 1024}".encode())
            return


def execute(confinement: Confinement, task: Task, parent: int) -> None:
    """Become the program, confined, unless the parent has died. Does not return."""
    try:
        os.setsid()
        for what, value in task.limits:
            limit(what, value)
        if task.user != os.getuid():
            _become(task.user, task.searching)
        system.prctl(system.SET_PDEATHSIG, _SIGKILL)  # after that, since a change of user clears it
        if os.getppid() != parent:
            os._exit(1)
        system.prctl(system.SET_NO_NEW_PRIVS, 1)
        _restrict(confinement, task.folder)
        os.chdir(f"{task.folder}/product")
        for ignored in (_SIGPIPE, _SIGXFSZ):
            system.default_signal(ignored)
        system.filter_calls(confinement.calls)
    except OSError as error:
        refuse(task.status, error)
        os._exit(126)
    try:
        os.write(task.status, b"confined\n")
        os.execvp(task.program[0], task.program)
    except OSError as error:
        os.write(task.status, f"failed {error.errno}\n".encode())
    finally:
        os._exit(127)


def limit(what: int, wanted: int) -> None:
    """Set a limit of this process, as far as the hard limit allows."""
    hard = resource.getrlimit(what)[1]
    value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(what, (value, value))


def refuse(status: int, error: OSError) -> None:
    """Report to the reader that this level cannot be set up, and why."""
    place = f"{error.filename}: " if error.filename else ""
    os.write(status, f"refused {place}{error.strerror or error}\n".encode())


def _become(user: int, searching: bool) -> None:
    """Switch to another, unprivileged user. ``searching``: it may traverse and list folders of any owner."""
    os.setgroups([])
    os.setresgid(user, user, user)
    if searching:  # change only the user id; otherwise access(2) would check without any capability
        system.prctl(system.SET_SECUREBITS, _NO_SETUID_FIXUP)
    os.setresuid(user, user, user)
    if searching:
        system.keep_only_capability(_DAC_READ_SEARCH)


def _restrict(confinement: Confinement, folder: str) -> None:
    writes = confinement.writes(folder)
    if not confinement.alone:
        reads = (*confinement.reads, *_READ_DEVICES)
        landlock.restrict(reads, writes, _DEVICES, network=confinement.online)
    elif landlock.version():  # a second line of defence: the file tree contains nothing else anyway
        landlock.restrict(("/",), (*writes, "/tmp", "/dev/shm", *_TERMINALS), _DEVICES, network=True)
