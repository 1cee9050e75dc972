"""What a program prints enters a prompt short, clean and the same each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatdev.product.output import is_sound, normalise


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ran 3 tests in 0.012s", "Ran 3 tests in <time>"),
        ("took 1.5 seconds, 12 ms, 3.4µs and 1.2e-05 s", "took <time>, <time>, <time> and <time>"),
        ("wait 5 seconds for 3 items, version 1.2", "wait 5 seconds for 3 items, version 1.2"),
        ("<calculator.Thing object at 0x7f12ab34cd56>", "<calculator.Thing object at 0x…>"),
        ("Thread 0x00007f12ab34cd56", "Thread 0x…"),
        ("colour 0xff00ff", "colour 0xff00ff"),
        ("in /tmp/x/product/a.py and /tmp/x/product", "in a.py and ."),
        ("/tmp/x/home/data.json", "~/data.json"),
        ("/tmp/x/tmp/tmpab12cd_e/file", "/tmp/tmp…/file"),
        ("\x1b[31mred\x1b[0m \x1b]0;title\x07bell\x07\x00 tab\t.", "red bell tab\t."),
        ("one\r\ntwo\n\n", "one\ntwo"),
        ("", ""),
    ],
)
def test_what_differs_between_runs_is_replaced(text: str, expected: str) -> None:
    assert normalise(text, folder="/tmp/x/product", home="/tmp/x/home", temporary="/tmp/x/tmp") == expected


def test_the_end_is_kept_and_the_cut_marked() -> None:
    text = "\n".join(f"line {n}" for n in range(10_000))
    short = normalise(text, limit=100)
    assert short.startswith("[…]\nline ")
    assert short.endswith("line 9999")


def test_one_long_line_is_cut_too() -> None:
    assert normalise("x" * 1_000, limit=100) == "[…]\n" + "x" * 94


@given(st.text(), st.integers(10, 60))
def test_the_limit_holds_in_bytes_and_a_second_pass_changes_nothing_but_size(text: str, limit: int) -> None:
    once = normalise(text, limit=limit)
    assert len(once.encode()) <= limit
    assert not any(ord(character) < 32 and character not in "\t\n" for character in once)


@pytest.mark.parametrize(
    ("path", "size", "head", "sound"),
    [
        ("a/plot.PNG", 99, b"\x89PNG\r\n\x1a\n..", True),
        ("plot.png", 8, b"\x89PNG\r\n\x1a\n", False),
        ("plot.png", 9, b"not a png", False),
        ("page.pdf", 99, b"%PDF-1.7", True),
        ("table.csv", 3, b"a,b", True),
        ("table.csv", 3, b" \n ", False),
        ("long.md", 65, "ü".encode() + b"x" * 61 + "ü".encode()[:1], True),
        ("bad.txt", 2, b"\xff\xfe", False),
        ("cache.bin", 3, b"abc", False),
        ("Makefile", 3, b"abc", False),
    ],
)
def test_a_file_is_sound_if_it_is_what_its_ending_says(path: str, size: int, head: bytes, sound: bool) -> None:
    assert is_sound(path, size, head) is sound
