"""Unix sockets by path"""

import socket

from ways import TOLD, attempt


def connect() -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(TOLD["unix"])


def send_from_a_pair() -> None:
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(b"x", TOLD["unix_datagram"])


attempt("connected to a socket by its path", connect)
attempt("sent to a socket by its path, from a pair", send_from_a_pair)
