"""Daemons that outlive the run"""

import os
import signal
import sys

from ways import TOLD

for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        if os.fork() == 0:
            os.closerange(0, 100)
            os.execv(sys.executable, (sys.executable, "-S", "-c", "import time; time.sleep(600)", TOLD["mark"]))
        os._exit(0)
