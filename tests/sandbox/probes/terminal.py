"""Reading the terminal, typing into it"""

import fcntl
import os
import pty
import termios

from ways import attempt


def type_in(request: int) -> None:
    _, end = pty.openpty()
    fcntl.ioctl(end, request, b"x")


attempt("opened the terminal", lambda: open("/dev/tty"))
attempt("opened a console", lambda: open("/dev/console"))
attempt("typed into a terminal", lambda: type_in(termios.TIOCSTI))
attempt("typed by the other request", lambda: type_in(0x1_0000_0000 | termios.TIOCSTI))
attempt("pasted into a console", lambda: type_in(0x541C))
for stream in range(3):
    if os.isatty(stream):
        print("has a terminal")
