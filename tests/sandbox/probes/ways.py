"""What the probes share: what they are told, and how one says that it got through."""

import ctypes
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOLD: dict[str, Any] = json.loads(Path("told.json").read_text()) if Path("told.json").exists() else {}
_LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(what: str, way: Callable[[], object]) -> None:
    """Say ``what`` if the way was open."""
    try:
        way()
    except OSError:
        return
    print(what)


def call(name: str, *arguments: int | bytes | None) -> int:
    """A system call by its name. Raises OSError."""
    words = [ctypes.c_long(word) if isinstance(word, int) else word for word in arguments]
    result = int(_LIBC.syscall(ctypes.c_long(TOLD["calls"][name]), *words))
    if result < 0:
        raise OSError(ctypes.get_errno(), name)
    return result


def hold(*fills: Callable[[int], object]) -> None:
    """Fill memory in one of these ways, to four times the limit, and hold it, or say that it was refused."""
    limit, number = map(int, sys.argv[1:])
    if number >= len(fills):
        print("no more")
        return
    try:
        fills[number](4 * limit)
    except (OSError, ValueError):
        print("refused", flush=True)
        return
    time.sleep(600)
