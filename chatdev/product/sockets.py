"""Products that need what the sandbox level ``landlock`` does not have: their failure says nothing about them."""

import re

from msgspec.structs import replace

from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.sandbox.port import Sandbox

SOCKET = "socket"
"""What a product lacks at the sandbox level ``landlock``, since that level has no network of its own."""
_WITHOUT_NETWORK = "landlock"
# The error of a refused socket in Python, node, Java, Go, Rust and C.
_REFUSED = re.compile(r"EAFNOSUPPORT|[Aa]ddress family not supported|Protocol family unavailable")
SEMAPHORE = "shared semaphore"
"""What a product with several processes lacks at that level: multiprocessing keeps its locks in /dev/shm."""
# The error that names no file, where its source says what it wanted.
_NO_SEMAPHORE = re.compile(
    r"(?:multiprocessing|\bPool\(|\b(?:ProcessPoolExecutor|Queue|Lock|Semaphore|Event|Manager)\()(?s:.*)"
    r"PermissionError: \[Errno 13\] Permission denied\s*$"
)


def of_start(sandbox: Sandbox, started: ProductStarted) -> ProductStarted:
    """The start, marked as lacking a socket or a semaphore if it crashed without one."""
    lacks = _lacks(sandbox, started.why) if started.how == "crashed" else ""
    return replace(started, lacks=lacks) if lacks and not started.lacks else started


def of_tests(sandbox: Sandbox, ran: TestsRan) -> TestsRan:
    """The tests' results, marked as lacking a socket or a semaphore if one of them failed without one."""
    found = (_lacks(sandbox, result.why) for result in ran.results if result.outcome != "passed")
    lacks = next(filter(None, found), "")
    return replace(ran, lacks=lacks) if lacks and not ran.lacks else ran


def _lacks(sandbox: Sandbox, text: str) -> str:
    if sandbox.level != _WITHOUT_NETWORK:
        return ""
    return SOCKET if _REFUSED.search(text) else SEMAPHORE if _NO_SEMAPHORE.search(text) else ""
