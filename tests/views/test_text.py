import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from sample_log import HOSTILE

from chatdev.views import text

DANGEROUS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
ANYTHING = st.text(st.characters(codec=None) | st.sampled_from("\x1b\x9b\x07[]|`*_<>&#\\-+.1)~$!{}\n\t \u202e"))


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]an end that never comes", "an end that never comes"),
        ("\x1b(Bcharset \x1bMup", "charset up"),
        ("a\r\nb\tc", "a\nb\tc"),
        ("s\u200bh\u2060o\ufeffw\U000e0041n", "shown"),
        ("👨\u200d👩 \u202eevil \x9b2J \ud800 é 漢", "👨\u200d👩 evil 2J  é 漢"),
    ],
)
def test_clean_takes_out_what_drives_a_terminal_and_nothing_else(given: str, left: str) -> None:
    assert text.clean(given) == left


@given(ANYTHING)
def test_nothing_that_drives_a_terminal_passes_clean(given: str) -> None:
    cleaned = text.clean(given)

    assert not DANGEROUS.search(cleaned)
    assert text.clean(cleaned) == cleaned


def test_clean_takes_linear_time_on_sequences_that_never_end() -> None:
    assert len(text.clean("\x1b]" * 200_000 + "\x1b[0" * 200_000)) == 400_000


def test_one_line_keeps_a_short_text_and_marks_a_cut_one() -> None:
    assert text.one_line("  two\n lines ") == "two lines"
    assert text.one_line("x" * 100) == "x" * 100
    assert text.one_line("x" * 101) == "x" * 97 + "..."


def test_a_cut_line_keeps_its_indentation() -> None:
    assert text.cut("\treturn 1") == "    return 1"
    assert text.cut("x" * 101) == "x" * 97 + "..."


def test_indented_text_never_reaches_the_margin() -> None:
    assert all(line.startswith("    ") for line in text.indent("a\n\n[x] b\r\nc\x85d\u2028e\n").split("\n"))


@given(ANYTHING)
def test_markdown_shows_escaped_text_as_it_is(given: str) -> None:
    shown = MarkdownIt("commonmark").enable("table").parse(text.md(given))
    inline = [token for token in shown if token.type == "inline"]

    assert [token.type for token in shown] == (["paragraph_open", "inline", "paragraph_close"] if inline else [])
    assert "".join(child.content for token in inline for child in token.children or ()) == text.one_line(given, 160)


@given(ANYTHING)
def test_escaped_text_and_code_stay_in_their_cell(given: str) -> None:
    table = f"| a | b | c |\n| --- | --- | --- |\n| {text.md(given)} | {text.code(given)} | end |"
    cells = [token for token in MarkdownIt("commonmark").enable("table").parse(table) if token.type == "inline"]

    assert len(cells) == 6
    assert cells[-1].content == "end"
    assert {child.type for cell in cells for child in cell.children or ()} <= {"text", "text_special", "code_inline"}


def test_a_plain_path_is_shown_as_code_and_one_with_a_backtick_is_escaped() -> None:
    assert text.code("src/my-view.py") == "`src/my-view.py`"
    assert text.code("a`b|c") == "a\\`b\\|c"
    assert len(text.code(HOSTILE)) < 200
