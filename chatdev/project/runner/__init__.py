"""Runs a product's tests, or the product, inside the sandbox, and reports what came of it.

A program of its own on the standard library alone, started in the product's folder with the arguments ``start``,
``start XVFB`` (the path of that program), or ``tests FILE…``. The first 32 bytes of standard input are a nonce. Reports
go to the standard output that the runner was given, a line for each: the nonce and then the fields, each led by a unit
separator (0x1f), with record separators (0x1e) for the ends of lines in them::

    begin FOLDER HOME TMPDIR            before anything of the product is loaded
    file FILE OUTCOME WHY MISSING       a test file that could not be loaded
    collected ID…                       the tests of a file
    running ID                          a test, or main.py once its screen is there
    result ID OUTCOME WHY MISSING
    trouble TEXT                        why the results are not to be believed
    end                                 all that was to be run was run
    crash WHY MISSING                   nobody in the product caught this exception
    lacks MISSING                       the product ended itself for want of a module
    made PATH BYTES HEAD                a file that the product left when it ended; its first bytes in hexadecimal

MISSING is a module that was not found, else empty. The product itself finds its standard output joined to standard
error, and no nonce on a pipe.

What this cannot stop: the product shares this process. One that sets out to deceive can search the interpreter's memory
and frames for the nonce, and report what it likes. Prints, exits, kills, patches of unittest, closed or overwritten
descriptors, threads and forks are no such thing: after each of them a result is missing or comes with a trouble, and
neither passes.

Nothing is imported before it is needed: it would cost each run, and would stand in the way of a product's own module of
the same name, which a user's start would find.
"""

import os
import sys

from .report import open_channel

TYPE_CHECKING = False  # as in typing, which need not be imported
if TYPE_CHECKING:
    from collections.abc import Callable

    from .report import Say


def main(arguments: list[str]) -> None:
    """Do what the command line says. The caller has put the folder that holds this package first on the path."""
    act = _action(arguments)
    del sys.path[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == __name__]:
        del sys.modules[name]  # a product may have a module of this name
    sys.modules["__main__"] = type(sys)("__main__")  # the product's, not this program
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # what was printed before a kill is kept
    say = open_channel()
    root = os.getcwd()  # noqa: PTH109 - pathlib is large
    say("begin", root, os.environ.get("HOME", ""), os.environ.get("TMPDIR", ""))
    act(say, root)


def _action(arguments: list[str]) -> "Callable[[Say, str], None]":
    if arguments[0] == "start":
        from .start import start

        return lambda say, root: start(say, root, *arguments[1:])
    from .tests import run_tests

    return lambda say, root: run_tests(say, root, arguments[1:], os._exit)
