"""Hiding from the supervisor what a process has open and mapped (PR_SET_DUMPABLE)"""

import ctypes

if ctypes.CDLL(None).prctl(4, 0, 0, 0, 0) == 0:
    print("hid its descriptors and mappings")
