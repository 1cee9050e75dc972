"""What a product needs a socket for, where the sandbox has none to give: that says nothing about the product."""

import re

from msgspec.structs import replace

from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.sandbox.port import Sandbox

SOCKET = "socket"
"""What a product lacks at the sandbox's level ``landlock``, which has no network of its own."""
_WITHOUT_NETWORK = "landlock"
# The error of a refused socket as Python, node, Java, Go, Rust and C tell it.
_REFUSED = re.compile(r"EAFNOSUPPORT|[Aa]ddress family not supported|Protocol family unavailable")


def of_start(sandbox: Sandbox, started: ProductStarted) -> ProductStarted:
    """A start, with what it lacked if it crashed for want of a socket."""
    wants = started.how == "crashed" and not started.lacks and _refused(sandbox, started.why)
    return replace(started, lacks=SOCKET) if wants else started


def of_tests(sandbox: Sandbox, ran: TestsRan) -> TestsRan:
    """The tests' results, with what they lacked if one of them went wrong for want of a socket."""
    wants = any(_refused(sandbox, result.why) for result in ran.results if result.outcome != "passed")
    return replace(ran, lacks=SOCKET) if wants and not ran.lacks else ran


def _refused(sandbox: Sandbox, text: str) -> bool:
    return sandbox.level == _WITHOUT_NETWORK and _REFUSED.search(text) is not None
