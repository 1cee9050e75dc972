"""Landlock: restricts the files that a process and its children may access, whatever their user may.

Runs standalone inside the sandbox, with the standard library only. Numbers are those of linux/landlock.h.
"""

import os

from . import system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_EXECUTE, _WRITE, _READ, _READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REFER, _TRUNCATE, _DEVICE_CONTROL = 1 << 13, 1 << 14, 1 << 15
_SINCE = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _DEVICE_CONTROL}
"""The file access rights that each ABI version added."""
_TCP = 0b11  # bind and connect, since 4
_SCOPES = 0b11  # abstract Unix sockets and signals, since 6
_ON_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _DEVICE_CONTROL
READS = _EXECUTE | _READ | _READ_FOLDER
DEVICE = _READ | _WRITE


def version() -> int:
    """The kernel's Landlock ABI version; 0 without Landlock."""
    try:
        return system.call(_CREATE, None, 0, _VERSION)
    except OSError:
        return 0


def restrict(reads: "Sequence[str]", writes: "Sequence[str]", devices: "Sequence[str]", *, network: bool) -> None:
    """Allow only: reading and executing below ``reads``, everything below ``writes``, reading and writing ``devices``.

    Without ``network``, connecting to TCP ports and opening them is denied, too. Signals and abstract sockets reach
    only what was started under the same restriction. All this as far as the kernel's version supports it; paths that
    do not exist are skipped. Needs no_new_privs.
    """
    supported = version()
    rights = sum(bits for since, bits in _SINCE.items() if supported >= since)
    tcp = 0 if network or supported < 4 else _TCP
    scopes = _SCOPES if supported >= 6 else 0
    attributes = b"".join(word.to_bytes(8, "little") for word in (rights, tcp, scopes))
    attributes = attributes[: 24 if supported >= 6 else 16 if supported >= 4 else 8]
    rules = system.call(_CREATE, attributes, len(attributes), 0)
    for paths, wanted in ((reads, READS), (writes, rights), (devices, DEVICE)):
        for path in paths:
            _allow(rules, path, wanted & rights)
    system.call(_RESTRICT, rules, 0)
    os.close(rules)


def _allow(rules: int, path: str, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    if os.fstat(place).st_mode & 0o170000 != 0o040000:
        rights &= _ON_FILES
    system.call(_ADD, rules, _PATH_BENEATH, rights.to_bytes(8, "little") + place.to_bytes(4, "little"), 0)
    os.close(place)
