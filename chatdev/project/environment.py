"""What a product's requirements.txt lists, and where it is installed for this product alone: when its user says so."""

from pathlib import Path

from chatdev.agents import replies
from chatdev.project.state import REQUIREMENTS

PLACE = ".chatdev/environment"


def wanted(folder: Path) -> replies.Requirements:
    """What the folder's ``requirements.txt`` lists, and what of it is not taken: options, addresses, no packages."""
    listed = folder / REQUIREMENTS
    if not listed.is_file() or listed.is_symlink():
        return replies.Requirements()
    return replies.requirements(f"{REQUIREMENTS}\n```\n{listed.read_text(encoding='utf-8', errors='replace')}\n```\n")
