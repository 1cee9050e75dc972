"""A key in the environment or memory of our processes (/proc)"""

import contextlib
import os

from ways import TOLD, attempt


def look(path: str) -> None:
    with open(path, "rb") as file:
        if TOLD["key"].encode() in file.read(1 << 20):
            print("found the key in", path)


processes = {str(TOLD["host"]), str(os.getppid())}
with contextlib.suppress(OSError):
    processes |= {name for name in os.listdir("/proc") if name.isdigit()}
for process in processes:
    with contextlib.suppress(OSError):
        look(f"/proc/{process}/environ")
if os.getpid() > 100:  # not alone: the number means our process here, too
    attempt("opened our memory", lambda: open(f"/proc/{TOLD['host']}/mem", "rb"))
    attempt("listed our open files", lambda: os.listdir(f"/proc/{TOLD['host']}/fd"))
