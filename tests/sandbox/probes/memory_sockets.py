"""Memory outside the resident set: socket buffers"""

import os
import socket
import time

from ways import hold


def pairs(size: int) -> None:
    for _ in range(8):  # each process has a limit of descriptors
        if os.fork() == 0:
            for _ in range(240):
                fill(*socket.socketpair())
            time.sleep(600)


def fill(one: socket.socket, other: socket.socket) -> None:
    for end in (one, other):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        end.setblocking(False)
        try:
            while end.send(bytes(65536)):
                continue
        except BlockingIOError:
            held.append(end)


def unaccepted(size: int) -> None:
    servers = [socket.socket(socket.AF_UNIX) for _ in range(20)]
    for number, server in enumerate(servers):
        server.bind(f"\0{os.getpid()} {number}")
        server.listen(4096)
        held.append(server)
    for number in range(size >> 17):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"\0{os.getpid()} {number % len(servers)}")
            client.setblocking(False)
            try:
                while client.send(bytes(65536)):
                    continue
            except BlockingIOError:
                continue


def internet(size: int) -> None:
    server = socket.create_server(("127.0.0.1", 0), backlog=4096)
    for _ in range(min(size >> 20, 400)):
        client = socket.create_connection(server.getsockname())
        accepted = server.accept()[0]
        fill(client, accepted)


held: list[socket.socket] = []
hold(pairs, unaccepted, internet)
