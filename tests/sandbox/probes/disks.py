"""Disks and devices"""

import os
import stat
from functools import partial

from ways import attempt

for name in ("sda", "vda", "nvme0n1", "sr0", "loop0", "input/event0", "snd/controlC0", "vsock", "net/tun"):
    attempt(f"opened /dev/{name}", partial(open, f"/dev/{name}", "rb"))
attempt("made a device", lambda: os.mknod("disk", 0o660 | stat.S_IFBLK, os.makedev(254, 0)))
