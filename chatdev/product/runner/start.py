"""Starts the product as its user would."""

import os
import sys

from .report import explain, missing_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .report import Say

_MOST_MADE = 20
_HEAD = 64
_PAUSE = 0.002


def start(say: "Say", adopt: "Callable[[], None]", root: str, seconds: str, folders: str, screen: str = "") -> None:
    """Run ``main.py`` in a child process, watch it for ``seconds`` of its own time, and report how it ended.

    ``adopt`` makes the calling process the one that reports. ``folders`` are those of this package and of the sandbox's
    clock. ``screen`` is the path of Xvfb. It is started first and ends with everything else.
    """
    if screen:
        _show_on(screen)
    before = dict(_files(root))
    say("running", "main.py")
    program = os.fork()
    if not program:
        adopt()
        _run(say, root)
        return
    status = _watched(program, float(seconds), folders)
    _report_made(say, root, before)
    say(*(("alive",) if status is None else ("ended", str(status))))
    os._exit(0)


def _run(say: "Say", root: str) -> None:
    """Run ``main.py`` as Python does, and distinguish an uncaught exception from a deliberate exit."""
    path = f"{root}/main.py"
    sys.argv = ["main.py"]
    found_without = list(sys.path)
    sys.path.insert(0, root)
    module = sys.modules["__main__"]
    module.__file__ = path
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - pathlib is large
            code = compile(file.read(), path, "exec")
        exec(code, module.__dict__)  # noqa: S102 - it is what this program is for
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
                raise subprocess.TimeoutExpired("main.py", timeout)
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
