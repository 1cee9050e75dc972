"""What the page says that doctor prints is what doctor prints."""

import re

import pytest
from doctor_blocks import MARK, PAGE, diagnosed

BLOCKS = list(MARK.finditer(PAGE.read_text(encoding="utf-8")))


def test_the_page_has_blocks() -> None:
    assert len(BLOCKS) >= 10


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block["manner"] or block["model"])
async def test_doctor_prints_what_the_page_shows(block: re.Match[str]) -> None:
    shown = await diagnosed(block["manner"], block["model"] or "default")
    assert shown.strip()
    assert block["shown"] == shown
