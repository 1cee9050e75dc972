"""Builds the bubblewrap command that creates the namespaces and the file tree; our own process then runs inside it."""

import functools
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
_INSIDE = "import sys; sys.path.append(sys.argv[1]); from sandbox import inside; inside.main(sys.argv[2:])"


def executable() -> str | None:
    """The path of bubblewrap, if it is installed."""
    return shutil.which("bwrap")


@functools.lru_cache(maxsize=256)
def _above(path: str) -> tuple[str, ...]:
    return tuple(map(str, Path(path).parents))


def command(
    bwrap: str,
    reads: Sequence[str],
    links: Sequence[tuple[str, str]],
    made: Sequence[tuple[str, str]],
    writes: Sequence[str],
    scratch: int,
    *,
    online: bool = False,
) -> tuple[str, ...]:
    """The command, to which the caller appends two descriptors: see ``inside.main``. ``reads`` includes this folder.

    Root keeps its user id and privileges until our process inside drops them, so that it can mount paths in its home.
    """
    # Listed, since parent folders that bubblewrap creates by itself are open to their owner only.
    above = sorted({parent for path in (*reads, *writes) for parent in _above(path)} - {"/", "/tmp"})
    names = ("pid", "ipc", "uts", *(() if online else ("net",)))
    apart = [f"--unshare-{name}" for name in (*names, *(["user"] if os.getuid() else []))]
    room = ("--size", str(scratch), "--tmpfs")
    return (
        *(bwrap, *apart, "--unshare-cgroup-try", "--hostname", "sandbox", "--die-with-parent", "--as-pid-1"),
        *("--proc", "/proc", "--dev", "/dev", *room, "/dev/shm", *room, "/tmp"),
        *("--chmod", "1777", "/tmp", "--chmod", "1777", "/dev/shm"),
        *(word for path in above for word in ("--dir", path)),
        *(word for target, path in links for word in ("--symlink", target, path)),
        *(word for path in reads for word in ("--ro-bind", path, path)),
        *(word for source, path in made for word in ("--ro-bind", source, path)),
        *(word for path in writes for word in ("--bind", path, path)),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/", "--"),
        *(sys.executable, "-I", "-S", "-B", "-c", _INSIDE, str(HERE.parent)),
    )
