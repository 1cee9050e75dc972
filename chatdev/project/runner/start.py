"""Starts the product as its user would."""

import os
import sys

from .report import explain, missing_module

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .report import Say


def start(say: "Say", root: str) -> None:
    """Run ``main.py`` as Python does, and tell an exception that nobody caught from a deliberate exit."""
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


def _set_aside(root: str, found_without: list[str]) -> None:
    """The product is over: from now on its modules hide none of the standard library's."""
    sys.path[:] = found_without
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(root + os.sep) and name != "__main__":
            del sys.modules[name]
