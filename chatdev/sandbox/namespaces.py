"""Runs a process in its own namespaces with a private file tree: what bubblewrap does, without bubblewrap.

Runs standalone inside the sandbox, with the standard library only.
"""

import os

from . import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .inside import Confinement

_NEW_FILES, _NEW_NAMES, _NEW_IPC = 0x00020000, 0x04000000, 0x08000000  # CLONE_NEW*, linux/sched.h
_NEW_USER, _NEW_PIDS, _NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000
_ALL = _NEW_USER | _NEW_FILES | _NEW_PIDS | _NEW_NETWORK | _NEW_IPC | _NEW_NAMES
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = (("pts/ptmx", "ptmx"), ("/proc/self/fd", "fd"), ("fd/0", "stdin"), ("fd/1", "stdout"), ("fd/2", "stderr"))


def start(confinement: "Confinement", folder: str, user: int, live: "Callable[[], None]") -> int:
    """Fork a process that is alone in new namespaces and calls ``live``; see ``enter`` for its file tree.

    ``user`` is the user id that the program will have, the same inside and outside. Returns the process's id outside.
    Raises OSError where this is not allowed.
    """
    ready, ready_end = os.pipe()
    go, go_end = os.pipe()
    process = system.clone(_ALL & ~_NEW_NETWORK if confinement.online else _ALL)
    if process == 0:
        os.close(go_end)
        system.prctl(system.SET_PDEATHSIG, 9)
        system.prctl(system.SET_DUMPABLE, 1)  # otherwise an ordinary user's parent cannot write our id maps
        os.write(ready_end, b"1")
        if not os.read(go, 1):  # the parent has died
            os._exit(1)
        system.prctl(system.SET_DUMPABLE, 0)
        os.close(go)
        os.close(ready)
        os.close(ready_end)
        live()
        os._exit(0)
    try:
        os.close(ready_end)
        os.read(ready, 1)
        _map_users(process, user)
        os.write(go_end, b"1")
    finally:
        for descriptor in (ready, go, go_end):
            os.close(descriptor)
    return process


def _map_users(process: int, user: int) -> None:
    """Root's process keeps its user id besides the program's, since it mounts folders that only root may enter."""
    if os.getuid() == 0 != user:
        users = groups = f"0 0 1\n{user} {user} 1"
    else:
        users, groups = (f"{number} {number} 1" for number in (os.getuid(), os.getgid()))
        _write(process, "setgroups", "deny")
    _write(process, "gid_map", groups)
    _write(process, "uid_map", users)


def _write(process: int, name: str, text: str) -> None:
    descriptor = os.open(f"/proc/{process}/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def enter(confinement: "Confinement", folder: str) -> None:
    """Replace the file tree with one that contains only the confinement's paths, and bring up the loopback device."""
    os.umask(0o022)
    new = f"{folder}/root"
    system.mount("none", "/", flags=system.PRIVATE | system.RECURSIVE)
    plain = system.NO_SUID | system.NO_DEVICES
    system.mount("tmpfs", new, "tmpfs", plain, "mode=755,size=1m")
    for place in ("tmp", "proc", "dev"):
        os.mkdir(f"{new}/{place}")
    system.mount("tmpfs", f"{new}/tmp", "tmpfs", plain, f"mode=1777,size={confinement.scratch}")
    for link, path in confinement.links:
        os.symlink(link, new + path)
    for path in confinement.reads:
        _bind(path, new + path, plain | system.READ_ONLY)
    for source, path in confinement.made(folder):
        _bind(source, new + path, plain | system.READ_ONLY)
    for path in confinement.writes(folder):
        _bind(path, new + path, plain)
    _fill_devices(f"{new}/dev", confinement.scratch)
    system.mount("proc", f"{new}/proc", "proc", plain | system.NO_EXECUTION)
    system.restrict_mount(new, system.READ_ONLY, below=False)
    system.enter_root(new)
    system.set_host_name(b"sandbox")
    if not confinement.online:
        system.bring_loopback_up()


def _bind(source: str, target: str, attributes: int) -> None:
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    system.mount(source, target, flags=system.BIND | system.RECURSIVE)
    system.restrict_mount(target, attributes)


def _fill_devices(place: str, scratch: int) -> None:
    for name in _DEVICES:
        os.close(os.open(f"{place}/{name}", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        system.mount(f"/dev/{name}", f"{place}/{name}", flags=system.BIND)
    for link, name in _LINKS:
        os.symlink(link, f"{place}/{name}")
    if os.path.exists("/dev/tty"):  # whatever controls the process that opens it; not every container has the device
        os.close(os.open(f"{place}/tty", os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
        system.mount("/dev/tty", f"{place}/tty", flags=system.BIND)
    for name in ("pts", "shm"):
        os.mkdir(f"{place}/{name}")
    # An instance of its own: none of the host's terminals is in it.
    options = "newinstance,ptmxmode=0666,mode=620"
    system.mount("devpts", f"{place}/pts", "devpts", system.NO_SUID | system.NO_EXECUTION, options)
    plain = system.NO_SUID | system.NO_DEVICES
    system.mount("tmpfs", f"{place}/shm", "tmpfs", plain, f"mode=1777,size={scratch}")
