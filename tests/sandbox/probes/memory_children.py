"""Memory outside the resident set: locked pages of children, many mappings"""

import ctypes
import mmap
import os
import time

from ways import hold


def locked(size: int) -> None:
    for _ in range(8):
        if os.fork() == 0:
            area = mmap.mmap(-1, size // 8, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
            ctypes.CDLL(None).mlockall(3)
            area[:] = b"x" * (size // 8)
            time.sleep(600)


def mapped(size: int) -> None:
    for _ in range(size // (60_000 * 256)):
        if os.fork() == 0:
            for number in range(60_000):  # alternating, so that no two become one
                held.append(mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=1 + 2 * (number % 2)))
            time.sleep(600)


held: list[mmap.mmap] = []
hold(locked, mapped)
