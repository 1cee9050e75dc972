"""Products that need a socket in a sandbox without a network: their failure says nothing about them."""

import re

from msgspec.structs import replace

from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.sandbox.port import Sandbox

SOCKET = "socket"
"""What a product lacks at the sandbox level ``landlock``, since that level has no network of its own."""
_WITHOUT_NETWORK = "landlock"
# The error of a refused socket in Python, node, Java, Go, Rust and C.
_REFUSED = re.compile(r"EAFNOSUPPORT|[Aa]ddress family not supported|Protocol family unavailable")


def of_start(sandbox: Sandbox, started: ProductStarted) -> ProductStarted:
    """The start, marked as lacking a socket if it crashed without one."""
    wants = started.how == "crashed" and not started.lacks and _refused(sandbox, started.why)
    return replace(started, lacks=SOCKET) if wants else started


def of_tests(sandbox: Sandbox, ran: TestsRan) -> TestsRan:
    """The tests' results, marked as lacking a socket if one of them failed without one."""
    wants = any(_refused(sandbox, result.why) for result in ran.results if result.outcome != "passed")
    return replace(ran, lacks=SOCKET) if wants and not ran.lacks else ran


def _refused(sandbox: Sandbox, text: str) -> bool:
    return sandbox.level == _WITHOUT_NETWORK and _REFUSED.search(text) is not None
