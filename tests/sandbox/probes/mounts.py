"""Mounts, chroot, pivot_root"""

import ctypes

from ways import attempt, call

# Without any wall, and as root, this would take the machine itself apart: then there is nothing to be shown.
if ctypes.CDLL(None).prctl(21, 0, 0, 0, 0) == 2:  # PR_GET_SECCOMP: a filter is loaded
    attempt("mounted", lambda: call("mount", b"tmpfs", b".", b"tmpfs", 0, None))
    attempt("opened a file system", lambda: call("fsopen", b"tmpfs", 0))
    attempt("copied a tree", lambda: call("open_tree", -100, b"/", 1))
    attempt("unmounted", lambda: call("umount2", b".", 2))
    attempt("changed its root", lambda: call("chroot", b"."))
    attempt("made mounts writable", lambda: call("mount_setattr", -100, b"/", 0, bytes(32), 32))
