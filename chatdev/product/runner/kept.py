"""Whether a run changed the files of the tests: their code, their helpers, and their data."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_FOLDERS = ("test", "tests")
_CACHES = ("__pycache__", ".pytest_cache")
_LARGEST = 1 << 20
_walk, _open, _read, _close, _fstat = os.walk, os.open, os.read, os.close, os.fstat  # as they are before the product


def remember(root: str, files: "Iterable[str]") -> "Callable[[], str]":
    """Remember the test ``files`` and everything below a folder ``tests`` or ``test``. The returned function compares
    them with the disk: it returns the path of the first that was changed, removed or added; empty if there is none."""
    files = list(files)
    before = dict(_contents(root, files))

    def changed() -> str:
        after = dict(_contents(root, files))
        return next((path for path in sorted({*before, *after}) if before.get(path) != after.get(path)), "")

    return changed


def _contents(root: str, files: "list[str]") -> "Iterator[tuple[str, bytes]]":
    for path in files:
        yield path, _content(f"{root}/{path}")
    for folder, folders, names in _walk(root):
        folders[:] = [name for name in folders if name not in _CACHES]
        above = folder[len(root) + 1 :].casefold().split("/")
        if any(name in above for name in _FOLDERS):
            for name in names:
                path = f"{folder}/{name}"
                yield path[len(root) + 1 :], _content(path)


def _content(path: str) -> bytes:
    """The first megabyte of a file, and its size; empty if it cannot be read."""
    try:
        descriptor = _open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return b""
    try:
        content, size = b"", _fstat(descriptor).st_size
        while len(content) < _LARGEST and (piece := _read(descriptor, _LARGEST)):
            content += piece
        return content + b" %d" % size
    except OSError:
        return b""
    finally:
        _close(descriptor)
