"""What a product's requirements.txt lists, and the product's own folder where it is installed on request."""

from pathlib import Path

from chatdev.agents import replies
from chatdev.errors import UserError
from chatdev.project.prompt_texts import fenced
from chatdev.project.state import REQUIREMENTS

PLACE = ".chatdev/environment"


def wanted(folder: Path) -> replies.Requirements:
    """The packages in the folder's ``requirements.txt``, and the rejected lines: options, URLs, other text."""
    listed = folder / REQUIREMENTS
    if not listed.is_file() or listed.is_symlink():
        return replies.Requirements()
    return replies.requirements(f"{REQUIREMENTS}\n{fenced(listed.read_text(encoding='utf-8-sig', errors='replace'))}\n")


def place(folder: Path) -> Path:
    """The folder for the packages of the product in ``folder``. Raises UserError if a link would lead out of it."""
    here = folder / PLACE
    for path in (here.parent, here):
        if path.is_symlink():
            raise UserError(f"{path} is a link, and its target would be emptied.", do="Remove the link first.")
    return here
