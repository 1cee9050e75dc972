"""Runs a product's tests, or the product, inside the sandbox, and reports the results.

A separate program that uses the standard library alone. It is started in the product's folder with the arguments
``start SECONDS FOLDERS ENTRY`` (the folders of this program and of the sandbox's clock, and the file to start), the
same with the path of Xvfb, or ``tests SOURCE FILE… -- FILE…`` (those after ``--`` are run by pytest; SOURCE is a
folder from which packages are imported besides the product's own, or empty). The first 32 bytes of standard input are a
nonce. Reports go to the runner's original standard output, one line each: the nonce and then the fields, each led by a
unit separator (0x1f), with record separators (0x1e) in place of line ends::

    begin FOLDER HOME TMPDIR            before anything of the product is loaded
    file FILE OUTCOME WHY MISSING       a test file that could not be loaded
    collected ID…                       the tests of a file
    unavailable                         there is no pseudo-terminal here for the product
    running ID                          a test, or the file that is started once its screen is there
    result ID OUTCOME WHY MISSING
    trouble TEXT                        why the results cannot be trusted
    end                                 everything was run
    crash WHY MISSING                   an exception that the product did not catch
    lacks MISSING                       the product exited because a module is missing
    made PATH BYTES HEAD                a file that the product left; its first bytes in hexadecimal
    ended STATUS                        the product's exit status, or minus its signal
    alive                               it is still running after SECONDS of its own, counted from when it began

MISSING is a module that was not found, else empty. The product's own standard output goes to standard error, and the
product finds no nonce on a pipe.

A product that is only started runs in a process of its own, and this one watches it: what it leaves running does not
count if it failed itself. A product that is tested shares this process. This cannot stop one that cheats on purpose: it
can search the interpreter's memory and frames for the nonce, and report anything. Prints, exits, kills, patches
of unittest, closed or overwritten descriptors, threads and forks do not suffice: after each of them a result is missing
or is reported with a trouble, and neither passes.

Modules are imported only when they are needed: an import costs time in each run, and it hides a product's module of the
same name that a user's start would find.
"""

import os
import sys

from .report import open_channel

TYPE_CHECKING = False  # as in typing, without importing it
if TYPE_CHECKING:
    from collections.abc import Callable

    from .report import Say


def main(arguments: list[str]) -> None:
    """Do what the command line says. The caller has put this package's parent folder first on the path."""
    act = _action(arguments)
    del sys.path[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == __name__]:
        del sys.modules[name]  # a product may have a module of this name
    sys.modules["__main__"] = type(sys)("__main__")  # the product's, not this program
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # what was printed before a kill is kept
    say, adopt = open_channel()
    root = os.getcwd()  # noqa: PTH109 - pathlib is large
    say("begin", root, os.environ.get("HOME", ""), os.environ.get("TMPDIR", ""))
    act(say, adopt, root)


def _action(arguments: list[str]) -> "Callable[[Say, Callable[[], None], str], None]":
    if arguments[0] == "start":
        from .start import start

        return lambda say, adopt, root: start(say, adopt, root, *arguments[1:])
    from .tests import run_tests

    return lambda say, adopt, root: run_tests(say, root, arguments[1], arguments[2:], os._exit)
