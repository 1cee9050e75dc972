"""The recordings that come with ChatDev, to watch a company work without any model."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from chatdev.errors import UserError
from chatdev.playback.recording import Recording, read
from chatdev.playback.server import Playback

RECORDINGS = Path(__file__).parent / "recordings"


def recordings() -> tuple[Recording, ...]:
    """All of them, by file name."""
    return tuple(read(path) for path in sorted(RECORDINGS.glob("*.recording")))


def recording_of(task: str) -> Recording:
    """The recording of this task, in any letter case. Raises UserError that lists the recorded tasks."""
    recorded = recordings()
    for recording in recorded:
        if recording.task.casefold() == task.strip().casefold():
            return recording
    raise UserError(
        f"DEMO plays recorded answers, but has none for the task {task.strip()[:80]!r}.",
        do="\n".join(["Recorded tasks:", *(f'  --task "{recording.task}"' for recording in recorded)]),
    )


@contextlib.asynccontextmanager
async def serving(task: str | None) -> AsyncIterator[str]:
    """A server that plays the recording of this task, or all recordings for None; its base URL. Raises UserError."""
    async with Playback(*(recordings() if task is None else (recording_of(task),))) as endpoint:
        yield endpoint
