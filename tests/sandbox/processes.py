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
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another process; the deadline only ends a broken test."""
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)
