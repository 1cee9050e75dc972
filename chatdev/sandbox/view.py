"""What of this machine a confined program sees: the system's folders and the tools that it is run with, to read."""

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
# Where a program shares the system's own /proc, of which it may not see other processes.
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
    """What of /etc a program needs besides that finds hosts by their names, trusts them, and tells its system."""
    return tuple(str(path) for name in _ONLINE for path in Path("/etc").glob(name))


def shared() -> tuple[str, ...]:
    """What a program sees besides where it has no tree of files of its own."""
    return (*_SHARED, *(f"/proc/{name}" for name in _OF_PROC))


def reads(argv: Iterable[str], wanted: Iterable[str]) -> tuple[str, ...]:
    """Every path that a program may read, parents before children, none below another.

    The system's folders, our interpreter's, those of the first word's installation, and what the job wants. Home
    folders as a whole are left out, whoever wants them.
    """
    first = next(iter(argv), "")
    tool = shutil.which(first) if first else None
    there = tuple(path for path in wanted if os.path.exists(path))  # noqa: PTH110 - often called
    return _reads(tool or "", there, str(Path.home()), sys.executable, sys.prefix, sys.base_prefix)


@functools.lru_cache(maxsize=256)
def _reads(tool: str, wanted: tuple[str, ...], home: str, *interpreter: str) -> tuple[str, ...]:
    """The same for a tool by its path, reckoned once: it takes 5 ms, and many projects' programs need the same."""
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
    """Whether a path is there and does not lie in the system's folders, which an image has of its own."""
    return Path(path).exists() and not any(Path(path).is_relative_to(each) for each in (*_SYSTEM, "/etc"))


def _beside_links(path: str) -> str:
    """A path below ``/bin`` or the like as one below ``/usr/bin``, where the first is a link to the second."""
    for _, link in links():
        if path == link or path.startswith(f"{link}/"):
            return os.path.realpath(link) + path.removeprefix(link)
    return path


def installation(executable: str) -> tuple[str, ...]:
    """The folders that an executable needs, as far as they lie outside the system's: of each link on the way to it.

    That is where its ``bin`` lies (``…/node-22`` of ``…/node-22/bin/node``), but never a home folder, and of a hidden
    folder right in one (``~/.cargo``, ``~/.local``), which holds more than tools, its ``bin`` alone.
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
    hidden_at_home = above.name.startswith(".") and above.parent == Path.home() and not (above / "pyvenv.cfg").exists()
    whole = folder.name == "bin" and not hidden_at_home and not _holds_a_home(str(above))
    return str(above if whole else folder)


def _holds_a_home(path: str) -> bool:
    return Path(path) in (Path.home(), *Path.home().parents, Path("/root"), Path("/home"), Path("/"), Path("/proc"))


def _topmost(paths: Iterable[str]) -> Iterator[str]:
    above = "\0"
    for path in sorted(paths, key=lambda path: path.split("/")):
        if not path.startswith(above):
            above = f"{path}/"
            yield path
