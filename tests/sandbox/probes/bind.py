"""Listening where others on this machine can connect"""

import os
import socket

from ways import TOLD, attempt


def bind(kind: int) -> None:
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))


if not os.path.exists("/proc/self/ns/net") or os.readlink("/proc/self/ns/net") == TOLD["network"]:
    attempt("bound a TCP port", lambda: bind(socket.SOCK_STREAM))
    attempt("bound a UDP port", lambda: bind(socket.SOCK_DGRAM))
