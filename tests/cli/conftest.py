from collections.abc import Iterator
from pathlib import Path

import pytest
from command_line import serving
from helpers.support import ANSWERS, recording

from chatdev.playback.recording import write


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A model server with a tiny recording: its endpoint."""
    (tmp_path / "greet.recording").write_text(write(recording(ANSWERS)))
    with serving(tmp_path, "greet.recording") as endpoint:
        yield endpoint
