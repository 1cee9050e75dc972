"""Huge files"""

import signal

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
with open("huge", "wb") as file:
    while True:
        file.write(bytes(1 << 20))
