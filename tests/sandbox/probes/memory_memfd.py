"""Memory outside the resident set: files in memory (memfd_create)"""

import os

from ways import hold


def fill(size: int) -> None:
    for number in range(size >> 20):  # the size of one file has a limit
        os.write(os.memfd_create(str(number)), bytes(1 << 20))


hold(fill)
