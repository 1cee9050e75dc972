"""Starts the product as its user would."""

import os
import sys

from .path import import_also
from .report import explain, missing_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .report import Say

_MOST_MADE = 20
_HEAD = 64
_PAUSE = 0.002
_SIZE = b"\x18\x00\x50\x00\x00\x00\x00\x00"  # struct winsize: 24 rows, 80 columns
_PIECE = 1 << 16
TERMINAL = "terminal"


def start(
    say: "Say", adopt: "Callable[[], None]", root: str, seconds: str, folders: str, entry: str, shown_on: str = ""
) -> None:
    """Run the file ``entry`` in a child process, watch it for ``seconds`` of its own time, and report how it ended.

    ``adopt`` makes the calling process the one that reports. ``folders`` are those of this package and of the sandbox's
    clock. A ``__main__.py`` in a folder is run as a package. ``shown_on`` is the path of Xvfb, that is started first
    and ends with everything else, or ``TERMINAL``.
    """
    ends: tuple[int, ...] = ()
    if shown_on == TERMINAL:
        try:
            ends = _terminal()
        except OSError:  # the sandbox does not allow one at every level
            say("unavailable")
            os._exit(0)
    elif shown_on:
        _show_on(shown_on)
    before = dict(_files(root))
    say("running", entry)
    program = os.fork()
    if not program:
        adopt()
        if ends:
            _attach_terminal(*ends)
        _run(say, root, entry)
        return
    if ends:
        _pass_on(*ends)
    status = _watched(program, float(seconds), folders)
    _report_made(say, root, before)
    say(*(("alive",) if status is None else ("ended", str(status))))
    os._exit(0)


def _terminal() -> "tuple[int, int]":
    """The two ends of a new pseudo-terminal of 80 by 24 characters: ours, and the product's."""
    import fcntl
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, _SIZE)
    for name in ("fcntl", "termios"):
        del sys.modules[name]  # a product may have a module of this name
    return ours, theirs


def _attach_terminal(ours: int, theirs: int) -> None:
    """Make the terminal the one that controls this process, and its input and output."""
    os.close(ours)
    os.setsid()
    os.environ["TERM"] = "xterm"
    os.close(os.open(os.ttyname(theirs), os.O_RDWR))  # the first terminal that a session opens becomes its own
    for stream in range(3):
        os.dup2(theirs, stream)
    os.close(theirs)


def _pass_on(ours: int, theirs: int) -> None:
    """Copy what the product writes on its terminal to standard error."""
    import threading

    def copy() -> None:
        try:
            while text := os.read(ours, _PIECE):
                os.write(2, text)
        except OSError:
            return  # the product has closed it

    os.close(theirs)
    threading.Thread(target=copy, daemon=True).start()


def _run(say: "Say", root: str, entry: str) -> None:
    """Run a file or a package as Python does, and distinguish an uncaught exception from a deliberate exit."""
    sys.argv = [entry]
    if "/" in entry:
        import runpy  # noqa: F401 - before a product's module of the same name can hide it
    found_without = list(sys.path)
    sys.path.insert(0, root)
    try:
        (_run_package if "/" in entry else _run_file)(root, entry)
    except SystemExit as stop:
        if missing := missing_module(stop):  # the product handled the error and exited
            say("lacks", missing)
        raise
    except BaseException as error:
        _set_aside(root, found_without)
        why = explain(error, root)
        say("crash", why, missing_module(error))
        print(why, file=sys.stderr)
        sys.exit(1)


def _run_file(root: str, entry: str) -> None:
    path = f"{root}/{entry}"
    module = sys.modules["__main__"]
    module.__file__ = path
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib is large
        code = compile(file.read(), path, "exec")
    exec(code, module.__dict__)  # noqa: S102 - it is what this program is for


def _run_package(root: str, entry: str) -> None:
    import runpy

    *above, package, _ = entry.split("/")
    if above:
        import_also(f"{root}/{above[0]}")
    runpy._run_module_as_main(package)  # type: ignore[attr-defined]  # as ``python -m`` does


class _Child:
    """A forked process, as far as ``waiting.wait`` needs it; only the watching process imports ``subprocess``."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def wait(self, timeout: float) -> int:
        """Its exit status, or minus its signal. Raises subprocess.TimeoutExpired."""
        import subprocess
        import time

        end = time.monotonic() + timeout
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() >= end:
                raise subprocess.TimeoutExpired("the product", timeout)
            time.sleep(_PAUSE)


def _watched(program: int, seconds: float, folders: str) -> "int | None":
    sys.path[:0] = folders.split(os.pathsep)  # this package was forgotten, so that the product's modules come first
    from runner.waiting import wait  # type: ignore[import-not-found]

    status: int | None = wait(_Child(program), seconds)
    return status


def _report_made(say: "Say", root: str, before: dict[str, tuple[int, int]]) -> None:
    """Report the files that the product made or rewrote: path, size, and the first bytes in hexadecimal."""
    made = [path for path, state in _files(root) if before.get(path) != state]
    for path in sorted(made)[:_MOST_MADE]:
        try:
            with open(f"{root}/{path}", "rb") as file:  # noqa: PTH123 - pathlib is large
                say("made", path, str(os.fstat(file.fileno()).st_size), file.read(_HEAD).hex())
        except OSError:
            continue


def _files(root: str) -> "Iterator[tuple[str, tuple[int, int]]]":
    for folder, _, names in os.walk(root):
        for name in names:
            path = f"{folder}/{name}"
            if os.path.isfile(path) and not os.path.islink(path):  # noqa: PTH113, PTH114
                state = os.stat(path)  # noqa: PTH116
                yield path[len(root) + 1 :], (state.st_mtime_ns, state.st_size)


def _show_on(screen: str) -> None:
    """Start a virtual screen and wait until it has written its number to a descriptor; see Xserver(1)."""
    import subprocess

    number, number_end = os.pipe()
    command = [screen, "-displayfd", str(number_end), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    subprocess.Popen(  # noqa: S603 - our own choice
        command, pass_fds=(number_end,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(number_end)
    with open(number, "rb") as written:  # noqa: PTH123 - pathlib is large
        if found := written.readline().strip().decode():
            os.environ["DISPLAY"] = f":{found}"


def _set_aside(root: str, found_without: list[str]) -> None:
    """The product has ended: from now on its modules do not hide those of the standard library."""
    sys.path[:] = found_without
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(root + os.sep) and name != "__main__":
            del sys.modules[name]
