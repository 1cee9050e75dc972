"""Rows are read as they were written, whatever stands in them; what cannot be a row says why."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatdev.product import rows
from chatdev.product.rows import Row, RowStep
from chatdev.product.sessions import Invocation

COMMAND = "python3 main.py"
CALMLY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read(text: str) -> tuple[Row, ...]:
    found = rows.parse(text, COMMAND)
    assert not found.unread
    return found.rows


def step(text: str) -> RowStep:
    ((one,),) = [row.steps for row in read(text)]
    return one


def call(line: str) -> Invocation:
    """What a command line starts; what it prints does not matter here."""
    return step(f"$ {line}\nsomething").call


def why(line: str) -> str:
    found = rows.parse(f"$ {line}\nsomething", COMMAND)
    assert not found.rows
    return found.unread[0].why


def seen(text: str) -> str:
    """What of an expected text counts: not the white space at the ends of its lines."""
    return "\n".join(line.rstrip() for line in text.split("\n")).rstrip()


AWKWARD = (
    "", "\n", "\n\n", "a\nEND\nb\n", "END \n", " $ x", "$ x\ny", "# x", "\\# x", "[exit 1]", " [exit 1]", "\\[exit 1]",
    "<BLANKLINE>", "a\n<BLANKLINE>\n\nb", "```", "~~~py\nx\n~~~", "\\o/", "\\\\server", "a\r\nb", "'", "it's\n\"so\"",
    "<<END", "<<<", "|", "a | b", "-n", "%s", "\\n", "é日",
)  # fmt: skip
TEXTS = st.sampled_from(AWKWARD) | st.text(" \n\r\t\0\x0b\x1c\x85\xa0\u2028$#\\'\"`~<>|&;[]%=-a0_{}", max_size=6)
STEPS = st.builds(
    RowStep,
    st.builds(Invocation, st.lists(TEXTS, max_size=2).map(tuple), TEXTS),
    TEXTS.map(seen),
    st.none() | st.integers(0, 255),
)
ROWS = st.builds(
    Row, st.lists(STEPS, min_size=1, max_size=2).map(tuple), st.sampled_from(["trusted", "doubtful", "dropped"])
).filter(lambda row: not all(each.silent for each in row.steps))


@CALMLY
@given(st.lists(ROWS, max_size=3))
def test_what_is_rendered_is_read_again_to_the_letter(some: list[Row]) -> None:
    order = list(rows.SECTIONS)
    assert list(read(rows.render(some, COMMAND))) == sorted(some, key=lambda row: order.index(row.tier))


@CALMLY
@given(st.binary(max_size=60) | TEXTS.map(str.encode))
def test_no_bytes_make_the_reader_fail_and_what_it_reads_is_stable(data: bytes) -> None:
    found = rows.parse(data.decode(errors="replace"), COMMAND).rows
    assert rows.parse(rows.render(found, COMMAND), COMMAND).rows == found


@CALMLY
@given(TEXTS)
def test_no_command_line_makes_the_reader_fail(line: str) -> None:
    assert isinstance(rows.read_command(line, None, COMMAND), Invocation | str)


def test_a_session_is_read_as_a_person_writes_it() -> None:
    text = """Some examples:

```
$ python3 main.py 2 + 3
5

$ python3 main.py add "buy milk"
$ python3 main.py list
1. buy milk
<BLANKLINE>
end

$ python3 main.py oops
[exit 2]
```
That is all.
"""
    assert read(text) == (
        Row((RowStep(Invocation(("2", "+", "3")), "5"),)),
        Row((RowStep(Invocation(("add", "buy milk"))), RowStep(Invocation(("list",)), "1. buy milk\n\nend"))),
        Row((RowStep(Invocation(("oops",)), "", 2),)),
    )


def test_a_fence_or_a_heading_ends_what_is_printed() -> None:
    assert [
        row.steps[0].expected for row in read("```sh\n$ python3 main.py\na\n```\nb\n$ python3 main.py\nc\n# d\ne")
    ] == [
        "a",
        "c",
    ]


def test_sections_say_whose_the_rows_below_them_are() -> None:
    text = "$ python3 main.py 1\n1\n# From the task\n$ python3 main.py 2\n2\n# Another remark\n$ python3 main.py 3\n3\n"
    assert [row.tier for row in read(text)] == ["doubtful", "trusted", "trusted"]
    text = rows.render(
        [Row((RowStep(Invocation(), "x"),), tier) for tier in ("dropped", "doubtful", "trusted")], COMMAND
    )
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        "# From the task",
        "# From the tester",
        "# From the tester, met by hardly any draft: not judged",
    ]
    assert [row.tier for row in rows.parse(text, COMMAND, "doubtful").rows] == ["trusted", "doubtful", "dropped"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python3 main.py", Invocation()),
        ("python3 main.py 'a b' \"c 'd'\" e\\ f $'g\\nh'", Invocation(("a b", "c 'd'", "e f", "g\nh"))),
        ('python3 main.py "say \\"hi\\" for \\$5 \\n"', Invocation(('say "hi" for $5 \\n',))),
        ("python3 main.py '' '|' '<' '#1'", Invocation(("", "|", "<", "#1"))),
        ("python3 main.py 5 a#b  # five", Invocation(("5", "a#b"))),
        ("python main.py x", Invocation(("x",))),
        ("/usr/bin/python3.11 ./main.py x", Invocation(("x",))),
        ("./main.py x", Invocation(("x",))),
        ("main x", Invocation(("x",))),
        ("echo hi there | python3 main.py x", Invocation(("x",), "hi there\n")),
        ("echo 'a\\nb'|python3 main.py", Invocation((), "a\nb\n")),
        ("echo -e 'a\\tb' | python3 main.py", Invocation((), "a\tb\n")),
        ("echo -n a | python3 main.py", Invocation((), "a")),
        ("echo | python3 main.py", Invocation((), "\n")),
        ("printf 'a\\nb\\n' | python3 main.py", Invocation((), "a\nb\n")),
        ("printf 'C:\\\\new' | python3 main.py", Invocation((), "C:\\new")),
        ("printf '%s\\n' 1 2 | python3 main.py", Invocation((), "1\n2\n")),
        ("printf '%d%%\\n' 5 | python3 main.py", Invocation((), "5%\n")),
        ("python3 main.py <<< hello", Invocation((), "hello\n")),
        ("python3 main.py -q <<< 'two words'", Invocation(("-q",), "two words\n")),
    ],
)
def test_a_command_line_is_a_start_with_arguments_and_input(line: str, expected: Invocation) -> None:
    assert call(line) == expected


@pytest.mark.parametrize("mark", ["<<END", "<<'END'", '<< "END"', "<<-END"])
def test_a_here_document_is_the_input_with_all_that_stands_in_it(mark: str) -> None:
    one = step(f"$ python3 main.py -v {mark}\nfirst\n\n$ no command\n```\n# no heading\nEND\nout")
    assert one == RowStep(Invocation(("-v",), "first\n\n$ no command\n```\n# no heading\n"), "out")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("python3 main.py 'open", "not a valid command line"),
        ("python3 other.py", "does not start the program (python3 main.py)"),
        ("ls", "does not start the program"),
        ("cat notes.txt | python3 main.py", "only echo and printf"),
        ("printf '%x' 10 | python3 main.py", "only echo and printf"),
        ("python3 main.py | sort", "only echo and printf"),
        ("echo a | sort | python3 main.py", "| is not understood"),
        ("python3 main.py a && python3 main.py b", "&& is not understood"),
        ("python3 main.py a; python3 main.py b", "; is not understood"),
        ("python3 main.py < notes.txt", "< is not understood"),
        ("python3 main.py > notes.txt", "> is not understood"),
        ("python3 main.py <<< a b", "<<< takes one word"),
    ],
)
def test_what_is_no_start_of_the_program_is_unread_and_says_why(line: str, expected: str) -> None:
    assert expected in why(line)


def test_a_command_that_cannot_be_read_takes_its_whole_session_with_it() -> None:
    found = rows.parse("$ python3 main.py a\n1\n$ rm list\n$ python3 main.py b\n2\n\n$ python3 main.py c\n3", COMMAND)
    assert [row.title for row in found.rows] == ["c"]
    assert [unread.command for unread in found.unread] == ["rm list"]


def test_a_start_of_which_nothing_is_reported_is_no_row() -> None:
    assert read("$ python3 main.py\n\n$ python3 main.py a\n$ python3 main.py b\n") == ()


def test_a_row_tells_if_a_program_that_does_nothing_fails_it() -> None:
    def telling(*steps: RowStep) -> bool:
        return Row(steps).is_meaningful

    assert (
        telling(RowStep(Invocation(), "x"))
        and telling(RowStep(Invocation(), status=1))
        and telling(RowStep(Invocation()), RowStep(Invocation(), "x"))
    )
    assert not telling(RowStep(Invocation(), status=0)) and not telling(RowStep(Invocation(), "\n"))


def test_a_row_is_known_by_what_it_does() -> None:
    row = Row((RowStep(Invocation(("add", "a b"))), RowStep(Invocation((), "1\n2\n"), "3"), RowStep(Invocation(), "x")))
    assert row.title == "add 'a b'; < 1 2; (no input)"
