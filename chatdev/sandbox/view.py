"""What a confined program can read of this machine: the system's folders and the tools that it is run with."""

import functools
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
# Of /etc, what libraries and toolchains read; nothing that names accounts, hosts or secrets.
_OF_ETC = """alternatives fonts gtk-3.0 host.conf java java-* ld.so.cache localtime mime.types nsswitch.conf os-release
    pki/tls/certs protocols services ssl/certs ssl/openssl.cnf timezone X11""".split()
# For a program that shares the system's own /proc: it may not see other processes there.
_OF_PROC = ("cpuinfo", "filesystems", "loadavg", "meminfo", "stat", "sys", "uptime", "version")
_SHARED = ("/etc/passwd", "/etc/group", "/etc/hosts", "/sys/devices/system", "/sys/kernel/mm")

_ONLINE = "resolv.conf hosts gai.conf pki ssl pip.conf xdg/pip *release *_version".split()


@functools.cache
def links() -> tuple[tuple[str, str], ...]:
    """The symbolic links among the system's folders, as (target, path)."""
    return tuple((str(Path(path).readlink()), path) for path in _SYSTEM if Path(path).is_symlink())


@functools.cache
def _system() -> tuple[str, ...]:
    folders = [path for path in _SYSTEM if Path(path).is_dir() and not Path(path).is_symlink()]
    return (*folders, *sorted(str(path) for name in _OF_ETC for path in Path("/etc").glob(name)))


def online() -> tuple[str, ...]:
    """What a networked program also needs of /etc: to resolve host names, trust hosts, and identify its system."""
    return tuple(str(path) for name in _ONLINE for path in Path("/etc").glob(name))


def shared() -> tuple[str, ...]:
    """What a program also sees if it has no file tree of its own."""
    return (*_SHARED, *(f"/proc/{name}" for name in _OF_PROC))


def reads(argv: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """Every path that a program may read, parents before children, none below another.

    The system's folders, our interpreter's, those of the first word's installation, and the ``wanted`` paths.
    Whole home folders are left out, even if wanted.
    """
    first = next(iter(argv), "")
    tool = shutil.which(first) if first else None
    there = tuple(path for path in wanted if os.path.exists(path))  # noqa: PTH110 - often called
    return _reads(tool or "", there, str(_home()), sys.executable, sys.prefix, sys.base_prefix)


def _home() -> Path:
    """The user's home; ``~`` itself for a user without one."""
    return Path(os.path.expanduser("~"))  # noqa: PTH111 - Path.home raises


@functools.lru_cache(maxsize=256)
def _reads(tool: str, wanted: tuple[str, ...], home: str, *interpreter: str) -> tuple[str, ...]:
    """The same for a tool by its path, cached: it takes 5 ms, and programs of many projects need the same."""
    executable, *prefixes = interpreter
    places = {
        *_system(),
        *(str(Path(prefix)) for prefix in prefixes),
        *installation(executable),
        *(installation(tool) if tool else ()),
        *(os.path.abspath(path) for path in wanted),  # noqa: PTH100 - resolve would follow links
    }
    return tuple(_topmost(_beside_links(path) for path in places if Path(path).exists() and not _holds_a_home(path)))


def is_no_part_of_the_system(path: str) -> bool:
    """Whether a path exists outside the system's folders; an image has its own versions of those."""
    return Path(path).exists() and not any(Path(path).is_relative_to(each) for each in (*_SYSTEM, "/etc"))


def _beside_links(path: str) -> str:
    """A path below ``/bin`` or the like as one below ``/usr/bin``, if the first is a link to the second."""
    for _, link in links():
        if path == link or path.startswith(f"{link}/"):
            return os.path.realpath(link) + path.removeprefix(link)
    return path


def installation(executable: str) -> tuple[str, ...]:
    """The folders outside the system's that an executable needs: one for each link on the way to it.

    That is the parent of its ``bin`` (``…/node-22`` of ``…/node-22/bin/node``), but never a home folder. In a hidden
    folder directly in a home (``~/.cargo``, ``~/.local``) it is ``bin`` alone, since the rest is more than tools.
    """
    return tuple(dict.fromkeys(_folder(hop) for hop in _hops(Path(executable).absolute())))


def _hops(path: Path) -> Iterator[Path]:
    for _ in range(40):  # as many links as the kernel follows
        yield path
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / path.readlink()))


def _folder(executable: Path) -> str:
    folder = executable.parent
    above = folder.parent
    hidden_at_home = above.name.startswith(".") and above.parent == _home() and not (above / "pyvenv.cfg").exists()
    whole = folder.name == "bin" and not hidden_at_home and not _holds_a_home(str(above))
    return str(above if whole else folder)


def _holds_a_home(path: str) -> bool:
    return Path(path) in (_home(), *_home().parents, Path("/root"), Path("/home"), Path("/"), Path("/proc"))


def _topmost(paths: Iterable[str]) -> Iterator[str]:
    above = "\0"
    for path in sorted(paths, key=lambda path: path.split("/")):
        if not path.startswith(above):
            above = f"{path}/"
            yield path
