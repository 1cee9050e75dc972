"""More rights through programs that give them (su, sudo)"""

import contextlib
import ctypes
import os

from ways import attempt

if ctypes.CDLL(None).prctl(39, 0, 0, 0, 0) != 1:  # PR_GET_NO_NEW_PRIVS
    print("may gain privileges")
with contextlib.suppress(OSError), open("/proc/self/status") as status:
    for line in status:
        name, value = line.split(":", 1)
        if name in ("CapEff", "CapPrm") and int(value, 16):
            print("has capabilities", value.strip())
attempt("became root", lambda: os.setuid(0))
attempt("became another", lambda: os.setuid(12345))
