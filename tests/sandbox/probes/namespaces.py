"""Nested namespaces"""

import os
import struct
from functools import partial

from ways import attempt, call

FLAGS = (0x80, 0x20000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)


def clone(flags: int) -> None:
    if (child := call("clone", flags | 17, 0, 0, 0, 0)) == 0:
        os._exit(0)
    os.waitpid(child, 0)


def clone3(flags: int) -> None:
    if (child := call("clone3", struct.pack("=11Q", flags, 0, 0, 0, 17, 0, 0, 0, 0, 0, 0), 88)) == 0:
        os._exit(0)
    os.waitpid(child, 0)


for flag in FLAGS:
    attempt(f"unshared {flag:#x}", partial(call, "unshare", flag))
    attempt(f"cloned {flag:#x}", partial(clone, 0x10000000 | flag & ~0xFF))
    attempt(f"cloned the new way {flag:#x}", partial(clone3, 0x10000000 | flag))
attempt("joined a namespace", lambda: call("setns", os.open("/proc/self/ns/net", os.O_RDONLY), 0))
