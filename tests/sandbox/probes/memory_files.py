"""Memory outside the resident set: files in /tmp and shared memory, empty ones too"""

import os

from ways import hold


def fill(size: int) -> None:
    for place in ("/tmp", "/dev/shm", "/dev", "/run"):
        try:
            for number in range(size >> 20):  # the size of one file has a limit
                with open(f"{place}/{os.getpid()}-{number}", "wb") as file:
                    file.write(bytes(1 << 20))
                size -= 1 << 20
        except OSError:
            continue
    if size > 0:
        raise OSError("full")


def empty(size: int) -> None:
    for number in range(size >> 10):
        os.mknod(f"/tmp/{number}")


hold(fill, empty)
