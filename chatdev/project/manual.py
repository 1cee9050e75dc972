"""A manual without a model: the task, the start, and the uses that the acceptance tests show."""

from chatdev.product import rows
from chatdev.product.rows import Row
from chatdev.project.prompts import fenced
from chatdev.project.state import State


def of(state: State) -> str:
    """The manual of a product whose tests are rows; empty for any other."""
    if state.way is None:
        return ""
    command = state.way.command
    read = rows.parse(state.files.get(rows.FILE, ""), command).rows
    shown = [rows.session(_alone(row), command) for row in read if row.tier != "dropped"]
    if not shown:
        return ""
    parts = [
        f"# {state.name}",
        "What was asked for:",
        fenced(state.task, "text"),
        f"Start it in this folder with `{command}`. It was tried like this:",
        fenced("\n\n".join(shown), "text"),
    ]
    return "\n\n".join(parts) + "\n"


def _alone(row: Row) -> Row:
    """The row's own command: the others come before it."""
    return Row(row.steps[-1:], row.tier) if row.tier in ("agreed", "doubtful") else row
