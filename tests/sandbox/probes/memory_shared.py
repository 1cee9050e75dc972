"""Memory outside the resident set: shared mappings, unmapped in part"""

import ctypes
import mmap

from ways import hold

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]


def chunks(length: int, size: int) -> None:
    shared(length, size, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS, -1)


def shared(length: int, size: int, kind: int, descriptor: int) -> None:
    for _ in range(size // length):
        place = libc.mmap(None, length, 3, kind, descriptor, 0)
        if place in (None, ctypes.c_void_p(-1).value):
            raise OSError(ctypes.get_errno(), "mmap")
        ctypes.memset(place, 1, length)
        libc.munmap(ctypes.c_void_p(place + 4096), ctypes.c_size_t(length - 4096))


def devices(size: int) -> None:
    with open("/dev/zero", "r+b") as file:
        shared(64 << 20, size, mmap.MAP_SHARED, file.fileno())


hold(lambda size: chunks(64 << 20, size), lambda size: chunks(1 << 20, size), devices)
