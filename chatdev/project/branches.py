"""What happens side by side: each branch goes its own way from one state, and all are merged in their order."""

import asyncio
from collections.abc import Awaitable, Sequence

from chatdev.project.state import State
from chatdev.project.workspace import Workspace


async def side_by_side(branches: Sequence[Awaitable[State]]) -> list[State]:
    """The results in order. The first failure cancels the others, is waited for, and is raised as it came."""
    tasks = [asyncio.ensure_future(branch) for branch in branches]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def settle(workspace: Workspace, base: State, merged: State) -> None:
    """Let the disk follow the merge: two branches may have written one file."""
    for path, text in merged.files.items():
        if base.files.get(path) != text:
            workspace.write(path, text.encode())
