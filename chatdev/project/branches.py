"""Runs branches side by side: all begin at one state, and their results are merged in order."""

import asyncio
from collections.abc import Awaitable, Sequence

from chatdev.product.workspace import Workspace
from chatdev.project.state import State


async def side_by_side(branches: Sequence[Awaitable[State]]) -> list[State]:
    """The results in order. The first failure cancels the others; it is raised unchanged once they have ended."""
    tasks = [asyncio.ensure_future(branch) for branch in branches]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def settle(workspace: Workspace, base: State, merged: State) -> None:
    """Write the merged files to the disk: two branches may have written the same file."""
    for path, text in merged.files.items():
        if base.files.get(path) != text:
            workspace.write(path, text.encode())
