"""bpf, userfaultfd, perf_event_open, modules"""

from functools import partial

from ways import attempt, call

attempt("loaded bpf", lambda: call("bpf", 0, bytes(128), 128))
attempt("userfaultfd", lambda: call("userfaultfd", 1))
attempt("perf_event_open", lambda: call("perf_event_open", bytes([1, 0, 0, 0, 112]) + bytes(107), 0, -1, -1, 0))
attempt("loaded a module", lambda: call("init_module", b"", 0, b""))
attempt(
    "took a handle of a file",
    lambda: call("name_to_handle_at", -100, b"/", bytes([0, 0, 0, 0]) + bytes(140), bytes(8), 0),
)
attempt("read the kernel's log", lambda: call("syslog", 3, bytes(10), 10))
for path in ("/dev/userfaultfd", "/dev/mem", "/dev/kmsg", "/dev/fuse", "/dev/kvm"):
    attempt(f"opened {path}", partial(open, path, "rb"))
for path in ("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/kernel/hostname"):
    attempt(f"may write {path}", partial(open, path, "r+b"))
