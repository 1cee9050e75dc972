"""The product's files of one run: which paths a model may name, and writing them so that nothing else is touched."""

import difflib
import errno
import os
import secrets
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chatdev.errors import ChatDevError

MAX_PATH = 200
"""Characters of a whole path; within Windows' limit of 260, the rest is for the folder that a user keeps it in."""
MAX_SEGMENT = 255
"""Bytes of one name: NAME_MAX of the usual file systems."""
DIFF_LINES = 200
_DIFF_WIDTH = 400
_DIFF_PRODUCT = 1_000_000
"""Product of the two versions' line counts above which no diff is made: difflib is quadratic on hostile texts."""

# Names that Windows gives to devices, in every folder and with every ending.
_DEVICES = frozenset(
    [
        "con",
        "prn",
        "aux",
        "nul",
        "conin$",
        "conout$",
        *(f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"),
    ]
)
_FORBIDDEN = frozenset('<>:"|?*')
_EXECUTED_FOLDERS = frozenset(".devcontainer .git .github .gitlab .hg .husky .idea .svn .vscode".split())
_EXECUTED_FILES = {
    ".env": "shells, editors and Docker take variables of programs from it; .env.example is taken",
    ".envrc": "direnv runs it on entering the folder",
    ".gitattributes": "git runs filters that it names",
    ".gitmodules": "git fetches what it names",
    ".pre-commit-config.yaml": "it runs commands at each commit",
    "chatdev.toml": "ChatDev takes its own settings from it, the endpoint among them",
    "conftest.py": "pytest runs it on collecting any test",
    "mise.toml": "mise runs what it names on entering the folder",
    "pyvenv.cfg": "it makes the folder an environment, whose interpreter editors start",
    "sitecustomize.py": "every Python started beside it runs it",
    "usercustomize.py": "every Python started beside it runs it",
}
_EXECUTED_ENDINGS = {
    ".code-workspace": "Visual Studio Code runs tasks that it names",
    ".pth": "Python runs its lines at each start",
}
_DOT_FILES = frozenset((".dockerignore", ".editorconfig", ".env.example", ".gitignore", ".gitkeep", ".nojekyll"))
"""Names that may begin with a dot: nothing in these files is run. All others are refused: tools add new ones."""
_OURS_AT_THE_TOP = frozenset((".chatdev", "report.md", "meta.txt"))
_OUR_ENDINGS = (".prompt", ".log")
_TEMPORARY = ".chatdev-new-"


class PathRefused(ChatDevError):
    """A path that is not written. ``path`` is as given, ``why`` a phrase for the model and the report."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"The path {path[:MAX_PATH]!r} was refused: {why}.", do="Choose another name for the file.")
        self.path = path
        self.why = why


class NotStored(ChatDevError):
    """The operating system did not store or read a file of the product; the message gives its reason."""


def safe_path(name: str, taken: Iterable[str] = ()) -> str:
    """The path that a model named, as a normal relative POSIX path (NFC) that may be written below any root.

    ``taken`` are the paths that exist already; one of them may be named again. Raises PathRefused.
    """
    path = unicodedata.normalize("NFC", name.strip().replace("\\", "/"))
    segments = [segment for segment in path.split("/") if segment not in ("", ".")]
    why = _bad_form(path, segments) or next(filter(None, map(_bad_segment, segments)), "")
    if why := why or _reserved(segments) or _clash(segments, taken):
        raise PathRefused(name, why)
    return "/".join(segments)


def _bad_form(path: str, segments: list[str]) -> str:
    if len(path) > MAX_PATH:
        return f"it is longer than {MAX_PATH} characters"
    if path.startswith("/"):
        return "it is absolute; paths start at the product's folder"
    if not segments or path.endswith("/"):
        return "it names no file"
    if segments[0].startswith("~"):
        return "it starts at somebody's home; paths start at the product's folder"
    if segments[0][1:2] == ":":
        return "it names a drive; paths start at the product's folder"
    if any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in path):
        return "it holds characters that cannot be seen"
    return ""


def _bad_segment(segment: str) -> str:
    if segment == "..":
        return "it leaves its folder (..)"
    if forbidden := _FORBIDDEN.intersection(segment):
        return f"it holds {' '.join(sorted(forbidden))}, which not every system can store"
    if len(segment.encode()) > MAX_SEGMENT:
        return f"a name in it is longer than {MAX_SEGMENT} bytes"
    if "`" in segment:
        return "it holds a backtick, which ends a quotation"
    if segment.startswith("-"):
        return "a name in it starts with a dash, like an option"
    if segment.startswith("@"):
        return "a name in it starts with @, like a file of options for a compiler"
    if segment != segment.strip() or segment.endswith("."):
        return "a name in it starts or ends with a space, or ends with a dot"
    if segment.partition(".")[0].rstrip().casefold() in _DEVICES:
        return f"Windows reserves the name {segment}"
    return ""


def _reserved(segments: list[str]) -> str:
    folded = [segment.casefold() for segment in segments]
    for segment in folded:
        if segment in _EXECUTED_FOLDERS:
            return f"tools run what stands in {segment}"
    if folded[-1] in _EXECUTED_FILES:
        return f"{segments[-1]} is not taken: {_EXECUTED_FILES[folded[-1]]}"
    for ending, why in _EXECUTED_ENDINGS.items():
        if folded[-1].endswith(ending):
            return f"{segments[-1]} is not taken: {why}"
    top = folded[0]
    if top in ("chatdev", "chatdev.py"):
        return "python3 -m chatdev, typed in the product's folder, would run it"
    if top in _OURS_AT_THE_TOP or top.startswith(_TEMPORARY) or (len(folded) == 1 and top.endswith(_OUR_ENDINGS)):
        return "that name is kept for the run's own records"
    for segment, whole in zip(folded, segments, strict=True):
        if segment.startswith(".") and segment not in _DOT_FILES:
            return f"{whole} begins with a dot, and tools may run what they find there"
    return ""


def _clash(segments: list[str], taken: Iterable[str]) -> str:
    """Why the path conflicts with the others, also on a file system that ignores case."""
    for other in taken:
        theirs = other.split("/")
        common = 0
        for ours, their in zip(segments, theirs, strict=False):
            if ours.casefold() != their.casefold():
                break
            if ours != their:
                return f"it differs only in capitals from {other}, which exists"
            common += 1
        if common == len(segments) < len(theirs):
            return f"it is a folder already: {other} is in it"
        if common == len(theirs) < len(segments):
            return f"{other} is a file, so nothing can be in it"
    return ""


def changes(old: str | None, new: str) -> tuple[int, int, str]:
    """Lines added, lines removed, and a unified diff without its header, cut past 200 lines with a mark."""
    before, after = _lines(old or ""), _lines(new)
    if len(before) * len(after) > _DIFF_PRODUCT:
        gone, come = Counter(before), Counter(after)
        return (come - gone).total(), (gone - come).total(), "(too large to compare line by line)"
    diff = list(difflib.unified_diff(before, after, lineterm=""))[2:]
    added = sum(line.startswith("+") for line in diff)
    removed = sum(line.startswith("-") for line in diff)
    shown = [line if len(line) <= _DIFF_WIDTH else line[:_DIFF_WIDTH] + "…" for line in diff[:DIFF_LINES]]
    if len(diff) > DIFF_LINES:
        shown.append(f"… {len(diff) - DIFF_LINES} more lines of this diff")
    return added, removed, "\n".join(shown)


def _lines(text: str) -> list[str]:
    return text.removesuffix("\n").split("\n") if text else []


class Workspace:
    """The folder of one run's product. Every call starts at the root and follows no link."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Replace a file atomically: a reader sees the old content or the new one, never a part.

        Nothing is synced: a resume relies on the log. Raises PathRefused if a link or a folder is in the way or the
        path leaves the root, NotStored if the system refuses.
        """
        with self._parent(path) as (folder, name):
            _must_be_file(path, folder, name)
            temporary = f"{_TEMPORARY}{secrets.token_hex(8)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with os.fdopen(os.open(temporary, flags, mode, dir_fd=folder), "wb") as file:
                    file.write(data)
                os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(temporary, dir_fd=folder)
                raise

    def read(self, path: str) -> bytes | None:
        """The content of a file; None if there is no regular file. Raises PathRefused and NotStored like ``write``."""
        with suppress(FileNotFoundError), self._parent(path, create=False) as (folder, name):
            if stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
                    return file.read()
        return None

    def remove(self, path: str) -> None:
        """Remove a file; a missing one is no error. Raises PathRefused and NotStored as ``write`` does."""
        with suppress(FileNotFoundError), self._parent(path) as (folder, name):
            _must_be_file(path, folder, name)
            os.unlink(name, dir_fd=folder)

    def sweep(self) -> None:
        """Remove the partial files that a killed process left behind."""
        for _, _, names, folder in os.fwalk(self.root):  # follows no link
            for name in names:
                if name.startswith(_TEMPORARY):
                    with suppress(OSError):
                        os.unlink(name, dir_fd=folder)

    @contextmanager
    def _parent(self, path: str, *, create: bool = True) -> Iterator[tuple[int, str]]:
        """The file's folder, opened step by step without following a link, and its name there."""
        segments = path.split("/")
        if any(segment in ("", ".", "..") or "\0" in segment for segment in segments):
            raise PathRefused(path, "it is no path below the product's folder")
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        with _explained(path):
            folder = self._opened(path, flags)
            try:
                for segment in segments[:-1]:
                    if create:
                        with suppress(FileExistsError):
                            os.mkdir(segment, 0o755, dir_fd=folder)
                    inner = _open_folder(path, folder, segment, flags)
                    os.close(folder)
                    folder = inner
                yield folder, segments[-1]
            finally:
                os.close(folder)

    def _opened(self, path: str, flags: int) -> int:
        """The root. It is not created again: a missing folder was moved, or deleted on purpose."""
        try:
            return os.open(self.root, flags)
        except FileNotFoundError as error:
            raise NotStored(
                f"{path} could not be stored: the folder {self.root} no longer exists.",
                do="If it was moved, resume the run where it is now.",
            ) from error


def _open_folder(path: str, folder: int, segment: str, flags: int) -> int:
    try:
        return os.open(segment, flags | os.O_NOFOLLOW, dir_fd=folder)
    except OSError as error:
        # For a link, the error depends on the system.
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise PathRefused(path, f"{segment} is a link or a file, not a folder") from None
        raise


def _must_be_file(path: str, folder: int, name: str) -> None:
    with suppress(FileNotFoundError):
        mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        if not stat.S_ISREG(mode):
            raise PathRefused(path, "a link is in the way" if stat.S_ISLNK(mode) else "something else is in the way")


@contextmanager
def _explained(path: str) -> Iterator[None]:
    """Raise the system's errors as ours; FileNotFoundError stays as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise NotStored(
            f"{path} could not be stored or read ({reason}).", do="Free disk space or fix the permissions, then resume."
        ) from error
