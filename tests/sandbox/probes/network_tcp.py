"""TCP to this machine's own servers and to others"""

import socket

from ways import TOLD, attempt


def connect(host: str, port: int) -> None:
    with socket.create_connection((host, port), timeout=1):
        pass


attempt("connected to a server of this machine", lambda: connect("127.0.0.1", TOLD["tcp"]))
attempt("connected to its outer address", lambda: connect(TOLD["address"], TOLD["tcp"]))
