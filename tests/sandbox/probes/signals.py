"""Signals to us"""

import os
import signal

from ways import TOLD, attempt

attempt("may signal us", lambda: os.kill(TOLD["host"], 0))
attempt("may stop us", lambda: os.kill(TOLD["host"], signal.SIGCONT))
if os.getppid() > 2:
    attempt("may signal its supervisor", lambda: os.kill(TOLD["host"], 0))
