"""Sockets of other kinds (VSOCK, packets, AF_ALG, Bluetooth, XDP)"""

import socket
from functools import partial

from ways import attempt

for family in (40, 17, 38, 31, 44, 15, 21):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
        attempt(f"made a socket of family {family}", partial(socket.socket, family, kind))
attempt("made a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1))
