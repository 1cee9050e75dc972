"""Memory outside the resident set: System V shared memory and messages"""

import ctypes

from ways import call, hold


def fill(size: int) -> None:
    for _ in range(size >> 24):
        segment = call("shmget", 0, 1 << 24, 0o1600)
        libc.shmat.restype = ctypes.c_void_p
        place = libc.shmat(segment, None, 0)
        ctypes.memset(place, 1, 1 << 24)
        libc.shmdt(ctypes.c_void_p(place))


def send(size: int) -> None:
    for _ in range(size >> 14):
        queue = call("msgget", 0, 0o1600)
        call("msgsnd", queue, (1).to_bytes(8, "little") + bytes(8192), 8192, 0o4000)
        call("msgsnd", queue, (1).to_bytes(8, "little") + bytes(8192), 8192, 0o4000)


libc = ctypes.CDLL(None)
hold(fill, send)
