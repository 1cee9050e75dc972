"""The supervisor: the parent of one model-written program; it ends everything that this program starts.

It is a separate process with the standard library only, so that the program's parent holds nothing worth reading::

    python -I -S -B -c "…launch.main…" STATUS LIFELINE ORDER FOLDER TEMPORARY...

The first three are file descriptors that the program does not inherit. ORDER provides the result of ``write_order``.
On STATUS the supervisor writes ``unlaid ERRNO`` if the program's files cannot be written, ``pid N`` when the program
was forked, ``confined`` when it is confined or ``refused WHY`` if it cannot be, ``failed ERRNO`` if it could not be
executed, and at the end ``exit|signal|limit CODE BYTES SECONDS WAITED``: how it ended, the most memory it held, its
wall time, and how much of that it had to wait for the machine. The other end of LIFELINE closes to stop the run, or
when the process that requested it dies. FOLDER exists and is empty; the supervisor creates ``product`` (the files, and
where the program starts), ``home`` and ``tmp`` in it, and removes it after its last report. If the run was stopped
through LIFELINE, it removes the TEMPORARY folders, too. Standard input, output, error and environment are passed on.

Where the program has no process namespace, the supervisor is the child of a process that ends everything if it is
killed (see ``keeper``), and ``kept PID`` is its first report.

Imports are few on purpose, since each run pays for them: ``signal`` alone would cost 5 ms, so its numbers are here.
"""

import marshal
import os
import resource
import select
import sys
import time

from . import fair, keeper, proc, system, trees

TYPE_CHECKING = False  # as in typing, without the 5 ms of importing it
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .inside import Confinement
    from .port import Limits

_LONGEST_WAIT = 0.05
_DESCRIPTORS = 1024
_SHORTEST_LEFT = 0.01  # the remaining time may not change for long if a program gets no CPU
_FILL_RATE = 4e9  # bytes per second that a program can make resident, approximately
_SIGKILL, _SIGPIPE, _SIGXFSZ = 9, 13, 25
_EINVAL = 22
_UNUSED, _UNUSED_COUNT = 60578, 606  # user ids that are never assigned: uid_gid.md, "Special Systemd UID Ranges"


def write_order(
    program: "Sequence[str]",
    files: "Mapping[str, bytes]",
    limits: "Limits",
    *,
    confinement: "Confinement | None" = None,
    ordered_at: "float | None" = None,
) -> bytes:
    """The supervisor's order, for the same interpreter: ``files`` maps relative paths to content.

    ``ordered_at`` is the monotonic time of the order, given if processes other than the program's own do its work.
    """
    packed = confinement.packed() if confinement else None
    bounds = (limits.seconds, limits.memory, limits.processes, limits.file_size, limits.patience, ordered_at)
    return marshal.dumps((tuple(program), dict(files), bounds, packed))


class LaunchSpec:
    """The command line and the order that came with it, by name. Raises EOFError if its sender died while writing."""

    def __init__(self, arguments: list[str]) -> None:
        self.status, self.lifeline, order = (int(argument) for argument in arguments[:3])
        self.folder, *self.temporary = arguments[3:]
        with open(order, "rb") as file:
            words = marshal.load(file)  # noqa: S302 - our own
        self.program, self.files, bounds, packed = words
        self.seconds, self.memory, self.processes, self.file_size, self.patience, self.ordered_at = bounds
        self.longest = fair.longest(self.seconds, self.patience)
        self.confinement: Confinement | None = None
        self.user = os.getuid()
        if packed:
            from . import inside

            self.confinement = inside.Confinement(*packed)
            if self.user == 0:
                self.user = _UNUSED + os.getpid() % _UNUSED_COUNT

    @property
    def places(self) -> tuple[str, ...]:
        """Our folders that the program may write to."""
        return self.confinement.places if self.confinement else ()


class ProgramEnd:
    """How the program ended, as far as it is known."""

    def __init__(self, report: int | None = None) -> None:
        self.how = ""
        self.memory = 0
        self.waited = 0.0
        self._report = report

    def note(self, status: int, peak: int) -> None:
        """Record the program's wait status and peak in bytes; for a helper, what it reported about the program."""
        if self._report is not None and (reported := os.read(self._report, 100)):
            status, peak = map(int, reported.split())
        code = os.waitstatus_to_exitcode(status)
        self.how = f"exit {code}" if code >= 0 else f"signal {-code}"
        self.memory = max(self.memory, peak)


def main(arguments: list[str]) -> None:
    """Run the program, watch it, kill everything left of it, and report."""
    up, work = time.monotonic(), time.process_time()
    try:
        order = LaunchSpec(arguments)
    except (EOFError, ValueError, TypeError):  # its sender died while writing it
        trees.remove_all(arguments[3:])
        os._exit(1)
    order.seconds *= fair.slowness(work, None if order.ordered_at is None else up - order.ordered_at)
    if not (order.confinement and order.confinement.alone):
        keeper.separate(order.status, order.lifeline, order.folder, order.temporary)
    try:
        _lay_out(order)
    except (OSError, ValueError) as error:
        trees.remove_tree(order.folder)
        keeper.report(order.status, f"unlaid {getattr(error, 'errno', _EINVAL)}")
        os._exit(1)
    for descriptor in (order.status, order.lifeline):
        os.set_inheritable(descriptor, False)
    _prctl(system.SET_CHILD_SUBREAPER, 1)
    preference = _prefer_for_killing()
    _prctl(system.SET_DUMPABLE, 0)  # an ordinary user's program cannot open our descriptors through /proc
    began = time.monotonic()
    try:
        program, report = _start(order)
    except OSError as error:
        from . import inside

        trees.remove_tree(order.folder)
        inside.refuse(order.status, error)
        os._exit(1)
    preference()
    keeper.report(order.status, f"pid {program}")
    ending = watch(order, program, ProgramEnd(report), began)
    seconds = time.monotonic() - began
    keeper.end_all(program)
    for place in order.places:
        change_owner(place, order.user, os.getuid())
    for stream in range(3):  # clearing may take long: all that reads them is to know that this is the end
        os.close(stream)
    keeper.report(order.status, f"{ending.how} {ending.memory} {seconds:.6f} {ending.waited:.6f}")
    trees.remove_tree(order.folder)
    if _is_abandoned(order):
        trees.remove_all(order.temporary)
    os._exit(0)


def _is_abandoned(order: LaunchSpec) -> bool:
    """Whether the process that requested the run has died, or has stopped it."""
    poll = select.poll()
    poll.register(order.lifeline, 0)
    return bool(poll.poll(0))


def _lay_out(order: LaunchSpec) -> None:
    """Write the files to ``product``, with ``home`` and ``tmp`` beside it, all owned by the program's user."""
    os.chdir(order.folder)  # the other user may be unable to traverse the folders above
    if order.confinement:
        _lay_out_system(order.user)
    if order.user != os.getuid():
        os.chown(".", order.user, order.user)
        for stream in range(3):  # otherwise it could not open /dev/stdout
            os.fchown(stream, order.user, order.user)
        for place in order.places:
            change_owner(place, os.getuid(), order.user)
        os.setegid(order.user)
        os.seteuid(order.user)
    for name in ("product", "home", "tmp"):
        os.mkdir(name, 0o700)
    made = {""}
    for path, content in order.files.items():
        folder = path.rpartition("/")[0]
        if folder not in made:
            os.makedirs(f"product/{folder}", 0o700, exist_ok=True)
            made.add(folder)
        with open(f"product/{path}", "xb", buffering=0) as file:
            file.write(content)
    order.files.clear()
    os.seteuid(os.getuid())
    os.setegid(os.getgid())


def change_owner(place: str, owner: int, user: int) -> None:
    """Give ``owner``'s files and folders at and below ``place`` to ``user``. Links are not followed."""
    if owner == user:
        return
    for folder, folders, files in os.walk(place, onerror=_raise):
        for path in (folder, *(f"{folder}/{name}" for name in (*folders, *files))):
            if os.lstat(path).st_uid == owner:
                os.chown(path, user, user, follow_symlinks=False)


def _raise(error: OSError) -> None:
    raise error


def _lay_out_system(user: int) -> None:
    """Write the files that replace the system's, and the folder in which the file tree is assembled."""
    os.mkdir("root")
    os.mkdir("etc")
    accounts = (("passwd", f"user:x:{user}:{user}::/:/bin/sh\n"), ("group", f"user:x:{user}:\n"))
    for name, text in (*accounts, ("hosts", "127.0.0.1 localhost sandbox\n::1 localhost\n")):
        with open(f"etc/{name}", "x") as file:
            file.write(text)


def _prefer_for_killing() -> "Callable[[], None]":
    """Have the kernel kill what this process now starts before all else, if the machine's memory is exhausted. Returns
    what ends this for the process itself."""
    try:
        descriptor = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return lambda: None
    usual = os.read(descriptor, 16)
    os.pwrite(descriptor, b"1000", 0)

    def restore() -> None:
        os.pwrite(descriptor, usual, 0)
        os.close(descriptor)

    return restore


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        system.prctl(option, value)


def _start(order: LaunchSpec) -> "tuple[int, int | None]":
    """Fork the program, or our helper that forks it; its id, and the helper's report pipe if any. Raises OSError."""
    if order.confinement:
        from . import confined

        return confined.start(order, order.confinement, limits_of(order))
    supervisor = os.getpid()
    program = os.fork()
    if program:
        return program, None
    try:
        os.setsid()
        _prctl(system.SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != supervisor:
            os._exit(1)
        _prctl(system.SET_NO_NEW_PRIVS, 1)
        for what, wanted in limits_of(order):
            hard = resource.getrlimit(what)[1]
            value = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(what, (value, value))
        for ignored in (_SIGPIPE, _SIGXFSZ):  # Python ignores them, and the program would inherit that
            system.default_signal(ignored)
        os.chdir(f"{order.folder}/product")
        os.execvp(order.program[0], order.program)
    except OSError as error:
        os.write(order.status, f"failed {error.errno}\n".encode())
    finally:
        os._exit(127)


def limits_of(order: LaunchSpec) -> list[tuple[int, int]]:
    """The limits that the kernel itself enforces."""
    limits = [
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, order.file_size),
        (resource.RLIMIT_CPU, int(order.seconds * (os.cpu_count() or 1)) + 5),  # a backstop: the time is watched
    ]
    if order.confinement:
        limits.append((resource.RLIMIT_NOFILE, _DESCRIPTORS))
    if order.user != os.getuid():  # a separate user
        limits.append((resource.RLIMIT_NPROC, 16 * order.processes))
    elif order.user != 0 and (running := proc.read("/proc/loadavg")):
        # The kernel counts all threads of the user, not of this run: allow those of the whole machine plus a margin.
        threads = int(running.split()[3].split(b"/")[1])
        limits.append((resource.RLIMIT_NPROC, threads + 16 * order.processes))
    return limits


def watch(order: LaunchSpec, program: int, ending: ProgramEnd, began: float) -> ProgramEnd:
    """Return when the program has ended, has passed a limit, or is to be stopped."""
    supervisor = os.getpid()
    helpers = order.confinement.helpers if order.confinement else 0
    counted = proc.Memory(order.confinement)
    poll = select.poll()
    poll.register(order.lifeline, 0)  # only the hang-up is of interest, and that is always reported
    if hasattr(os, "pidfd_open"):
        poll.register(os.pidfd_open(program), select.POLLIN)
    clock: fair.Clock | None = None
    pause, wait = 0.002, 0.0
    while _reap(program, ending) and not ending.how:
        now = time.monotonic()
        members = proc.descendants(supervisor)[helpers:] if helpers else proc.descendants(supervisor) or [program]
        if members and clock is None:  # it is confined, or confines itself: now its time begins
            clock = fair.Clock(now)
        if clock:
            clock.observe(now, wait, *proc.usage(members))
            ending.waited = clock.waited
        memory = counted.held(members, now)
        ending.memory = max(ending.memory, memory)
        left = order.seconds - (clock.had if clock else 0.0)
        if memory > order.memory:
            ending.how = "limit memory"
        elif len(members) > order.processes:
            ending.how = "limit processes"
        elif left <= 0:
            ending.how = "limit time"
        elif now - began > (order.longest if clock else order.patience * fair.SETUP):
            ending.how = "limit starved"
        else:
            # Look again before the remaining memory could be filled, but spend at most a twentieth of the time looking.
            pause = min(pause * 1.5, _LONGEST_WAIT, (order.memory - memory) / _FILL_RATE)
            wait = min(max(pause, 0.001, 20 * (time.monotonic() - now)), max(left, _SHORTEST_LEFT))
            if any(descriptor == order.lifeline for descriptor, _ in poll.poll(wait * 1000)):
                ending.how = "limit request"
    return ending


def _reap(program: int, ending: ProgramEnd) -> bool:
    """Reap the dead: orphans are reparented to us, and the program's own status is noted. False once none is left."""
    while True:
        try:
            pid, status, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return False
        if pid == 0:
            return True
        if pid == program:
            ending.note(status, usage.ru_maxrss * (1024 if sys.platform == "linux" else 1))
