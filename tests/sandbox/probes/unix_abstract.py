"""Abstract Unix sockets"""

import socket

from ways import TOLD, attempt


def connect() -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect("\0" + TOLD["abstract"])


attempt("connected to an abstract socket", connect)
