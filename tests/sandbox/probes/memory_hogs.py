"""Memory hogs: many processes"""

import os
import time

for _ in range(12):
    if os.fork() == 0:
        kept = bytearray(b"x" * (20 << 20))
        time.sleep(600)
time.sleep(600)
