"""Starts a program between walls, for the supervisor.

Runs alone beside it, on the standard library.
"""

import marshal
import os

from . import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .launch import Order


def start(
    order: "Order", confinement: "inside.Confinement", limits: "Sequence[tuple[int, int]]"
) -> "tuple[int, int | None]":
    """Fork the program, or our helper that forks it; and where the helper will report. Raises OSError."""
    # Where it shares our tree of files, a user of its own may have to pass folders that are ours alone.
    shares = order.user != os.getuid() and not confinement.alone
    searching = shares and not all(map(_passable, (*confinement.reads, *confinement.places, order.folder)))
    task = inside.Task(order.program, order.folder, order.user, limits, searching, order.status)
    supervisor = os.getpid()
    if not confinement.alone:
        program = os.fork()
        if program == 0:
            inside.execute(confinement, task, supervisor)
        return program, None
    report, report_end = os.pipe()
    if confinement.wrap:
        program = _wrap(confinement, task, report_end)
    else:
        from . import namespaces

        def live() -> None:
            try:
                namespaces.enter(confinement, order.folder)
            except OSError as error:
                inside.refuse(order.status, error)
                os._exit(126)
            inside.serve(confinement, task, report_end)

        program = namespaces.start(confinement, order.folder, order.user, live)
    os.close(report_end)
    return program, report


def _wrap(confinement: "inside.Confinement", task: "inside.Task", report: int) -> int:
    """Start the command that makes the namespaces; in them it executes ``inside.main``."""
    order, order_end = os.pipe()
    program = os.fork()
    if program == 0:
        try:
            os.close(order_end)
            for descriptor in (order, report, task.status):
                os.set_inheritable(descriptor, True)
            os.execv(confinement.wrap[0], (*confinement.wrap, str(order), str(report)))
        except OSError as error:
            inside.refuse(task.status, error)
        finally:
            os._exit(126)
    os.close(order)
    try:
        with open(order_end, "wb") as file:
            marshal.dump((confinement.packed(), task.packed()), file)
    except BrokenPipeError:  # it could not even begin, and has said why to standard error
        return program
    return program


def _passable(path: str) -> bool:
    """Whether any user may pass the folders above a path."""
    while (path := os.path.dirname(path)) != "/":
        if not os.stat(path).st_mode & 1:
            return False
    return True
