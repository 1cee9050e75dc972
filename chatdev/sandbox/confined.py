"""Starts a confined program for the supervisor.

Runs standalone beside it, with the standard library only.
"""

import marshal
import os

from . import inside

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .launch import LaunchSpec


def start(
    order: "LaunchSpec", confinement: "inside.Confinement", limits: "Sequence[tuple[int, int]]"
) -> "tuple[int, int | None]":
    """Fork the program, or our helper that forks it; its id, and the helper's report pipe if any. Raises OSError."""
    # In a shared file tree, a separate user may have to traverse folders that only we may enter.
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
    """Start the command that creates the namespaces and executes ``inside.main`` in them."""
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
    except BrokenPipeError:  # it failed to start; its standard error has the reason
        return program
    return program


def _passable(path: str) -> bool:
    """Whether every user may traverse the folders above a path."""
    while (path := os.path.dirname(path)) != "/":
        if not os.stat(path).st_mode & 1:
            return False
    return True
