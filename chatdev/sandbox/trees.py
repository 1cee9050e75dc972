"""Removes folders that a program may have filled with anything.

Runs standalone beside the supervisor, with the standard library only.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


def remove_tree(root: str) -> None:
    """Remove a folder that a program may have filled with anything: links, folders without permissions, any depth.

    Nested folders are moved up before they are emptied, so that no path grows long; links are removed, not followed.
    What cannot be removed stays, without an error: no caller could do better.
    """
    heap = f"{root}/{os.urandom(8).hex()}"
    moved = 0
    try:
        os.chmod(root, 0o700)
        os.mkdir(heap)
    except OSError:
        return
    pending = [root]
    while pending:
        folder = pending.pop()
        for entry in _entries(folder):
            try:
                if not entry.is_dir(follow_symlinks=False):
                    os.unlink(entry.path)
                elif entry.path != heap and not _remove_empty(entry.path):
                    os.chmod(entry.path, 0o700)
                    moved += 1
                    os.rename(entry.path, f"{heap}/{moved}")
                    pending.append(f"{heap}/{moved}")
            except OSError:
                continue
        if folder != root:
            _remove_empty(folder)
    _remove_empty(heap)
    _remove_empty(root)


def remove_all(roots: "Iterable[str]") -> None:
    """``remove_tree`` for each of these."""
    for root in roots:
        remove_tree(root)


def _entries(folder: str) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _remove_empty(folder: str) -> bool:
    try:
        os.rmdir(folder)
    except OSError:
        return False
    return True
