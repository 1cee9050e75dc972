"""Makes a manual without a model: the task, the start command, and examples from the acceptance tests."""

from chatdev.product import acceptance, rows
from chatdev.product.rows import Row
from chatdev.project.prompt_texts import fenced
from chatdev.project.state import State


def of(state: State) -> str:
    """The manual of a product that is tested by rows; empty for any other product, and if all rows fail."""
    if state.language_support is None:
        return ""
    command = state.language_support.command
    found = acceptance.started_rows(state.product, command)
    results = state.tests.results if state.tests and state.tested else ()
    failed = {result.id for result in results if result.outcome != "passed"}
    held = [row for name, row in zip(acceptance.names(found), found, strict=True) if name not in failed]
    shown = [rows.session(_alone(row), command) for row in held]
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
    """The row's own command, without those before it."""
    return Row(row.steps[-1:], row.tier) if row.tier in ("agreed", "doubtful") else row
