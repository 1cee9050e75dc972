"""A Python environment of a product's own, for the packages that it needs."""

import subprocess
import sys
from pathlib import Path

from chatdev.errors import UserError


def install(place: Path, packages: tuple[str, ...]) -> str:
    """Make the environment at ``place`` anew and install ``packages`` there; the path of its interpreter.

    Wheels alone are installed, since building anything else would run a stranger's program outside the sandbox.
    Raises UserError with pip's own words.
    """
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
