"""Starts the product as its user would."""

import os
import sys

from .report import explain, missing_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .report import Say


def start(say: "Say", root: str, screen: str = "") -> None:
    """Run ``main.py`` as Python does, and tell an exception that nobody caught from a deliberate exit.

    ``screen`` is the path of Xvfb, which is started first and ended with everything else.
    """
    if screen:
        _show_on(screen)
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
        if missing := missing_module(stop):  # the product said politely what it lacks
            say("lacks", missing)
        raise
    except BaseException as error:
        _set_aside(root, found_without)
        why = explain(error, root)
        say("crash", why, missing_module(error))
        print(why, file=sys.stderr)
        sys.exit(1)


def _show_on(screen: str) -> None:
    """Start a virtual screen and wait until it has written its number to a descriptor, as Xserver(1) has it."""
    import subprocess

    number, number_end = os.pipe()
    command = [screen, "-displayfd", str(number_end), "-screen", "0", "1280x800x24", "-nolisten", "tcp"]
    subprocess.Popen(  # noqa: S603 - our own choice
        command, pass_fds=(number_end,), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    os.close(number_end)
    with open(number, "rb") as told:  # noqa: PTH123 - pathlib is large
        if found := told.readline().strip().decode():
            os.environ["DISPLAY"] = f":{found}"


def _set_aside(root: str, found_without: list[str]) -> None:
    """The product is over: from now on its modules hide none of the standard library's."""
    sys.path[:] = found_without
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(root + os.sep) and name != "__main__":
            del sys.modules[name]
