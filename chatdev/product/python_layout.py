"""Which file of a Python product its user starts, and from which folder its packages are imported."""

from collections.abc import Iterable

from chatdev.agents.filenames import belongs_to_tests

MAIN = "main.py"
SOURCE = "src"
_BEGINS = "__main__.py"


def entry(files: Iterable[str]) -> str:
    """The path of the file that is started: ``main.py``; else ``__main__.py``, started by ``python3 .``; else that of
    the only package with one, started by ``python3 -m PACKAGE``, at the top or below ``src``. Empty if there is none.
    """
    paths = set(files)
    for path in (MAIN, _BEGINS):
        if path in paths:
            return path
    found = [
        path for path in paths if path.endswith(f"/{_BEGINS}") and _is_package(path) and not belongs_to_tests(path)
    ]
    return found[0] if len(found) == 1 else ""


def _is_package(path: str) -> bool:
    folders = path.split("/")[:-1]
    package = folders[1:] if folders[0] == SOURCE else folders
    return len(package) == 1 and package[0].isidentifier()


def package(path: str) -> str:
    """The package that this ``entry`` starts; empty if it is a file at the top."""
    return path.split("/")[-2] if "/" in path else ""


def words(path: str) -> tuple[str, ...]:
    """What follows the interpreter on the command line that starts this ``entry``."""
    if name := package(path):
        return ("-m", name)
    return (".",) if path == _BEGINS else (MAIN,)


def source(files: Iterable[str]) -> str:
    """The folder whose packages are imported besides those at the top: ``src`` if it holds packages and is none itself;
    else empty. Its user installs such a product, or names the folder in ``PYTHONPATH``."""
    paths = set(files)
    folder = f"{SOURCE}/"
    if f"{folder}__init__.py" in paths:
        return ""
    holds = any(path.startswith(folder) and path.endswith(("/__init__.py", f"/{_BEGINS}")) for path in paths)
    return SOURCE if holds else ""
