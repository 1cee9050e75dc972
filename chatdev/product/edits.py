"""Edits that a person made to the product of an unfinished run: they are kept aside before the run writes over them."""

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from chatdev.journal import events
from chatdev.journal.effects import digest
from chatdev.product.workspace import PathRefused, Workspace

_NAMED = 5
"""The most files that a note names."""


class KeepingWorkspace(Workspace):
    """The folder of a run's product, as long as the run works on it.

    Before a file is replaced or removed whose content is none that the run ever wrote there, a copy is put into the
    folder ``aside`` of the run's folder, and ``on_kept`` gets the file's path and the copy's. ``log`` are the events of
    earlier attempts.
    """

    def __init__(
        self, root: Path, log: Iterable[events.Any], aside: str, on_kept: Callable[[str, str], None] | None = None
    ) -> None:
        super().__init__(root)
        self.aside = aside
        self.on_kept = on_kept
        self._versions: dict[str, set[str]] = {}
        self._kept: set[tuple[str, str]] = set()
        for event in log:
            if isinstance(event, events.FileWritten):
                self._versions.setdefault(event.path, set()).add(event.sha256)

    def keep_edits(self) -> str:
        """Keep what was edited since the last attempt: the run will write all of its files again. Returns a sentence
        that says so; empty if nothing was edited. Raises NotStored."""
        edited = []
        for path in sorted(self._versions):
            with suppress(PathRefused):  # the log may come from others
                if self._keep(path):
                    edited.append(path)
        if not edited:
            return ""
        names = ", ".join(edited[:_NAMED]) + (f" and {len(edited) - _NAMED} more" if len(edited) > _NAMED else "")
        return f"Files were edited since the last attempt: the edits are kept in {self.aside} ({names})."

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """See ``Workspace``."""
        self._keep_and_report(path)
        super().write(path, data, mode)
        self._versions.setdefault(path, set()).add(digest(data))

    def remove(self, path: str) -> None:
        """See ``Workspace``."""
        self._keep_and_report(path)
        super().remove(path)

    def _keep_and_report(self, path: str) -> None:
        if (copy := self._keep(path)) and self.on_kept:
            self.on_kept(path, copy)

    def _keep(self, path: str) -> str:
        """Copy a file that a person wrote, unless that was done; returns the copy's path, or nothing."""
        content = self.read(path)
        if content is None or (version := digest(content)) in self._versions.get(path, ()):
            return ""
        if (path, version) in self._kept:
            return ""
        copy, number = f"{self.aside}/{path}", 1
        while (there := self.read(copy)) is not None and there != content:
            number += 1
            copy = f"{self.aside}/{path}.{number}"
        super().write(copy, content)
        self._kept.add((path, version))
        return copy
