"""Watching processes of others."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    if not Path("/proc/self/stat").exists():
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # it has ended since
        return False


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another process; the deadline only ends a broken test."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)
