"""What a product's requirements.txt lists, and where it is installed for this product alone: when its user says so."""

from pathlib import Path

from chatdev.agents import replies
from chatdev.errors import UserError
from chatdev.project.prompts import fenced
from chatdev.project.state import REQUIREMENTS

PLACE = ".chatdev/environment"


def wanted(folder: Path) -> replies.Requirements:
    """What the folder's ``requirements.txt`` lists, and what of it is not taken: options, addresses, no packages."""
    listed = folder / REQUIREMENTS
    if not listed.is_file() or listed.is_symlink():
        return replies.Requirements()
    return replies.requirements(f"{REQUIREMENTS}\n{fenced(listed.read_text(encoding='utf-8', errors='replace'))}\n")


def place(folder: Path) -> Path:
    """Where the packages of the product in ``folder`` go. Raises UserError where a link would lead out of it."""
    here = folder / PLACE
    for path in (here.parent, here):
        if path.is_symlink():
            raise UserError(f"{path} is a link, and what it leads to would be emptied.", do="Remove the link first.")
    return here
