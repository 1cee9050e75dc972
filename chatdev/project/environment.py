"""A Python environment of a product's own, for the packages that it lists: made only when its user says so."""

import subprocess
import sys
from pathlib import Path

from chatdev.agents import replies
from chatdev.errors import UserError
from chatdev.project.state import REQUIREMENTS

PLACE = ".chatdev/environment"


def wanted(folder: Path) -> replies.Requirements:
    """What the folder's ``requirements.txt`` lists, and what of it is not taken: options, addresses, no packages."""
    listed = folder / REQUIREMENTS
    if not listed.is_file() or listed.is_symlink():
        return replies.Requirements()
    return replies.requirements(f"{REQUIREMENTS}\n```\n{listed.read_text(encoding='utf-8', errors='replace')}\n```\n")


def install(folder: Path, packages: tuple[str, ...]) -> str:
    """Make the environment anew and install ``packages`` there; the path of its interpreter.

    Wheels alone are installed, since building anything else would run a stranger's program outside the sandbox.
    Raises UserError with pip's own words.
    """
    place = folder / PLACE
    python = place / "bin" / "python"
    _call([sys.executable, "-m", "venv", "--clear", "--without-pip", str(place)], "The environment cannot be made")
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--no-input"]
    _call([*pip, "install", "--quiet", "--only-binary", ":all:", "--", *packages], "The packages cannot be installed")
    return str(python.absolute())


def _call(words: list[str], failure: str) -> None:
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)  # noqa: S603
    except OSError as error:
        raise UserError(f"{failure} ({error.strerror}).") from error
    if done.returncode:
        tried = [line for line in done.stderr.splitlines() if line.strip()][-3:]
        raise UserError(f"{failure}.", tried=tried, do="Mend requirements.txt, or install them yourself.")
