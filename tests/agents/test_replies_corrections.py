"""What is put right in a file's text, and what is left as it is."""

import pytest

from chatdev.agents import replies

PYTHON = "import sys\n\n\ndef main():\n    print('a')\n\n\nmain()\n"


def read(text: str, path: str = "main.py", info: str = "") -> replies.File:
    (file,) = replies.files(f"{path}\n```{info}\n{text}```\n")
    return file


def numbered(form: str, *, blanks: bool = True) -> str:
    lines = enumerate(PYTHON.rstrip().split("\n"), 1)
    return "".join((form.format(number) + line).rstrip() + "\n" if blanks or line else "\n" for number, line in lines)


@pytest.mark.parametrize(
    "form", ["{} ", "{}: ", "{}:", "{} | ", "{:>3} | ", "{:03}|", "{:>6}\t", "{}. ", "L{}: ", "{}│ "]
)
@pytest.mark.parametrize("blanks", [True, False])
def test_line_numbers_are_removed(form: str, blanks: bool) -> None:
    file = read(numbered(form, blanks=blanks))
    assert (file.text, file.put_right, file.doubts) == (PYTHON, "line numbers removed", ("put right",))


def test_line_numbers_are_removed_from_other_languages() -> None:
    assert (
        read("1 | let a = 1;\n2 | let b = 2;\n3 | f(a, b);\n", "main.js").text == "let a = 1;\nlet b = 2;\nf(a, b);\n"
    )


def test_numbered_lines_that_do_not_begin_with_one_are_a_part() -> None:
    reading = replies.read("main.py\n```python\n14: def f():\n15:     return 1\n16: f()\n```\n")
    assert (reading.files, [skipped.why for skipped in reading.skipped]) == ((), ["it is a part of main.py"])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("notes.txt", "1. one\n2. two\n3. three\n"),
        ("notes.md", "1. one\n2. two\n3. three\n"),
        ("data.csv", "1,a\n2,b\n3,c\n"),
        ("names.yaml", "1: one\n2: two\n3: three\n"),
        ("main.bas", "1 PRINT\n2 GOTO 1\n3 END\n"),
        ("main.py", "1\n2\n3\n"),
        ("main.js", "1 + 1;\n5 + 2;\n3 + 3;\n"),
    ],
)
def test_numbers_of_the_files_own_stay(path: str, text: str) -> None:
    assert (read(text, path).text, read(text, path).put_right) == (text, "")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("import sys\\nprint(1)\n", "import sys\nprint(1)\n"),
        ("import sys\\n\nprint(1)\\n\n", "import sys\nprint(1)\n"),
        ("import sys\\n\\nif 1:\\n\\tprint('a\\n')\n", "import sys\n\nif 1:\n\tprint('a\\n')\n"),
        ('import sys\\nprint(\\"a\\")\n', 'import sys\nprint("a")\n'),
        ("# a program\\nimport sys\\nprint(1)\n", "# a program\nimport sys\nprint(1)\n"),
        ("import sys\\nprint(1)\\nprint\n(2)\n", "import sys\nprint(1)\nprint\n(2)\n"),
    ],
)
def test_written_line_breaks_are_made_real(text: str, right: str) -> None:
    file = read(text)
    assert (file.text, file.put_right) == (right, "written line breaks made real")


def test_written_line_breaks_are_made_real_in_other_languages() -> None:
    file = read("let a = 'x\\n';\\nlet b = 2;\\nf(a);\\ng(b);\n", "main.js")
    assert file.text == "let a = 'x\\n';\nlet b = 2;\nf(a);\ng(b);\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("main.py", "print('a\\nb\\nc\\n')\n"),
        ("main.py", "x = = 'a\\nb'\n"),
        ("main.js", 'console.log("a\\nb\\nc\\nd");\n'),
        ("main.c", 'int main() { printf("a\\n"); printf("b\\n"); printf("c\\n"); }\n'),
        ("data.json", '{"text": "a\\nb\\nc\\nd"}\n'),
        ("notes.txt", "Write \\n, \\n and \\n.\n"),
    ],
)
def test_escapes_inside_strings_stay(path: str, text: str) -> None:
    assert (read(text, path).text, read(text, path).put_right) == (text, "")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("print(“hello”)\n", 'print("hello")\n'),
        ("print(‘hello’)\n", "print('hello')\n"),
        ("if\u00a0x:\n\u00a0\u00a0\u00a0\u00a0y()\n", "if x:\n    y()\n"),
        ("x\u200b = 1\n", "x = 1\n"),
        ("\ufeffx = 1\ny\u2060 = 2\n", "x = 1\ny = 2\n"),
        ("if x &lt; 3 and y &gt; 2:\n    print(&quot;a&quot;)\n", 'if x < 3 and y > 2:\n    print("a")\n'),
        ("x = y – 1\n", "x = y - 1\n"),
        ("print（1，2）\n", "print(1,2)\n"),
    ],
)
def test_characters_are_put_right_where_python_parses_then(text: str, right: str) -> None:
    file = read(text)
    assert file.text == right
    assert file.put_right and "put right" in file.doubts


def test_characters_are_put_right_in_json_and_toml() -> None:
    assert read("{“a”: 1}\n", "a.json").text == '{"a": 1}\n'
    assert read("a = “b”\n", "a.toml").text == 'a = "b"\n'


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("main.py", "print('“quoted” – it’s\u00a0here &lt;b&gt;')\n"),
        ("main.py", "x = = “a”\n"),
        ("notes.md", "“Quoted” – it’s\u00a0here &lt;b&gt;\n"),
        ("index.html", "<p>a &lt; b</p>\n"),
        ("data.json", '{"a": "“b”"}\n'),
    ],
)
def test_characters_that_are_meant_stay(path: str, text: str) -> None:
    assert (read(text, path).text, read(text, path).put_right) == (text, "")


def test_a_file_that_is_cut_is_not_put_right() -> None:
    (file,) = replies.files("main.py\n```python\nprint(“a”)\nif x")
    assert (file.cut, file.put_right) == (True, "")


def test_a_block_without_a_name_is_put_right_by_its_language() -> None:
    (file,) = replies.files(f"```python\n{numbered('{} | ')}```\n", expected=["main.py"])
    assert (file.path, file.text) == ("main.py", PYTHON)
