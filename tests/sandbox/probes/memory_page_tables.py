"""Memory outside the resident set: page tables"""

import mmap

from ways import hold


def fill(size: int) -> None:
    for _ in range(size >> 22):  # each page of a table maps 2 MiB
        area = mmap.mmap(-1, 2 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | NO_RESERVE, prot=1)
        area.madvise(mmap.MADV_NOHUGEPAGE)
        for place in range(0, 2 << 30, 2 << 20):
            area[place]
        held.append(area)


NO_RESERVE = 0x4000
held: list[mmap.mmap] = []
hold(fill)
