"""Signals to us"""

import os
import signal

from ways import TOLD, attempt, call

attempt("may signal us", lambda: os.kill(TOLD["host"], 0))
attempt("may stop us", lambda: os.kill(TOLD["host"], signal.SIGCONT))
attempt("may signal one of our threads", lambda: call("tgkill", TOLD["host"], TOLD["host"], 0))
attempt("may signal us by a descriptor", lambda: signal.pidfd_send_signal(os.pidfd_open(TOLD["host"]), 0))
if os.getppid() > 2:
    attempt("may signal its supervisor", lambda: os.kill(TOLD["host"], 0))
