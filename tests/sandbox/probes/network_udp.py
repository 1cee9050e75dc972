"""UDP to this machine's own servers"""

import socket

from ways import TOLD, attempt


def send() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for host in ("127.0.0.1", TOLD["address"]):
            sender.sendto(b"datagram", (host, TOLD["udp"]))


attempt("", send)  # whether it arrived is seen on the other side
