"""The elements of a picture, read back by a parser of XML."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from chatdev.views import svg

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('A <b> & "c"', 'A <b> & "c"'),
        ("]]></text><script>", "]]></text><script>"),
        ("\x00bell\x07 \x1b[2Jcleared\ud800", "bell cleared"),
        ("Größe 数独", "Größe 数独"),
    ],
)
def test_any_name_is_shown_as_text(name: str, shown: str) -> None:
    root = ElementTree.fromstring(svg.document(100, 50, [svg.text(1, 2, name)], title=name))
    assert [each.text for each in root if each.tag.endswith(("text", "title"))] == [shown, shown]


def test_attributes_are_written_as_browsers_expect_them() -> None:
    drawn = ElementTree.fromstring(svg.rect(1, 2.25, 3.0, 4, "bar", stroke_width=2, fill='"><g/>'))
    assert drawn.attrib == {
        "class": "bar", "x": "1", "y": "2.2", "width": "3.0", "height": "4", "stroke-width": "2", "fill": '"><g/>',
    }  # fmt: skip


def test_a_picture_without_a_fixed_size_fills_its_page() -> None:
    fixed, free = (ElementTree.fromstring(svg.document(100, 50, [], fixed=each)) for each in (True, False))
    assert (fixed.get("width"), fixed.get("viewBox")) == ("100", "0 0 100 50")
    assert (free.get("width"), free.get("viewBox")) == (None, "0 0 100 50")


def test_no_other_module_writes_svg_by_hand() -> None:
    sources = [*ROOT.glob("chatdev/**/*.py"), *ROOT.glob("benchmarks/*.py")]
    assert [path.name for path in sources if re.search(r"<(svg|rect|circle|text) ", path.read_text())] == []
