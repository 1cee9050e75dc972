"""Where an answer says which file a block is, and which blocks are no files."""

import pytest

from chatdev.agents import replies

CODE = "import sys\n\nprint(sys.argv)\n"


def block(info: str = "python", text: str = CODE) -> str:
    return f"```{info}\n{text}```\n"


def paths(answer: str, **options: list[str]) -> list[str]:
    return [file.path for file in replies.files(answer, expected=options.get("expected", ()))]


@pytest.mark.parametrize(
    "header",
    [
        "src/My-App/view.py",
        "src/My-App/view.py:",
        "./src/My-App/view.py",
        "### src/My-App/view.py",
        "#### 2. `src/My-App/view.py`",
        "## File: src/My-App/view.py",
        "### `src/My-App/view.py` (updated)",
        "### src/My-App/view.py: the window",
        "### The window (`src/My-App/view.py`)",
        "**src/My-App/view.py**",
        "**src/My-App/view.py",
        "**`src/My-App/view.py`:**",
        "**File 2: src/My-App/view.py**",
        "**File 2: **src/My-App/view.py**",
        "**2. src/My-App/view.py**",
        "`src/My-App/view.py`",
        "`src/My-App/view.py`:",
        "1. src/My-App/view.py",
        "2) **`src/My-App/view.py`** - the window",
        "- src/My-App/view.py",
        "FILENAME: src/My-App/view.py",
        "(FILENAME: src/My-App/view.py)",
        "FILENAME src/My-App/view.py",
        "File 3: src/My-App/view.py",
        "Filename: `src/My-App/view.py`",
        "Window File: src/My-App/view.py",
        "Path - src/My-App/view.py",
        "Updated src/My-App/view.py",
        "Here is src/My-App/view.py:",
        "Here's the updated code for src/My-App/view.py:",
        '"src/My-App/view.py',
        "[src/My-App/view.py](src/My-App/view.py)",
        "=== src/My-App/view.py ===",
        "--- src/My-App/view.py ---",
        "<src/My-App/view.py>",
        "📄 src/My-App/view.py",
        "// src/My-App/view.py",
        "Create a new file called `src/My-App/view.py` and add the following code:",
        "Below is the complete `src/My-App/view.py` file.",
        "And this is the content of the second file, named “src/My-App/view.py”:",
    ],
)
@pytest.mark.parametrize("gap", ["\n", "\n\n"])
def test_a_line_above_the_block_names_it(header: str, gap: str) -> None:
    (file,) = replies.files(f"Let us begin.\n\n{header}{gap}{block()}Good luck!\n")
    assert file.path.removeprefix("./") == "src/My-App/view.py"
    assert (file.text, file.cut) == (CODE, False)


@pytest.mark.parametrize(
    "info",
    [
        "python src/view.py",
        "python:src/view.py",
        "src/view.py",
        'python title="src/view.py"',
        "{.python file=src/view.py}",
        "python# src/view.py",
        "python // src/view.py",
    ],
)
def test_the_info_string_names_the_block(info: str) -> None:
    assert paths(block(info)) == ["src/view.py"]


@pytest.mark.parametrize(
    ("first", "kept"),
    [
        ("# view.py", True),
        ("# Filename: view.py", True),
        ("// view.py", True),
        ("/* view.py */", True),
        ("<!-- view.py -->", True),
        ("-- view.py", True),
        ("# view.py - draws the window", True),
        ("#!/usr/bin/env python3\n# view.py", True),
        ("# -*- coding: utf-8 -*-\n# view.py", True),
        ('"""\nview.py\n"""', True),
        ('"""view.py"""', True),
        ("view.py", False),
    ],
)
def test_the_first_lines_of_the_block_name_it(first: str, kept: bool) -> None:
    (file,) = replies.files(block(text=f"{first}\n{CODE}"))
    assert file.path == "view.py"
    assert file.text == (f"{first}\n{CODE}" if kept else CODE)
    assert ("name line dropped" in file.doubts) is not kept


def test_a_header_stands_before_other_evidence() -> None:
    assert paths("app.py\n" + block("python", f"# old_name.py\n{CODE}")) == ["app.py"]


def test_a_bare_name_as_first_line_goes_only_where_it_is_the_files_own() -> None:
    listing = "files.txt\n```\nmain.py\nview.py\n```\n"
    assert replies.files(listing)[0].text == "main.py\nview.py\n"
    assert replies.files("main.py\n```python\nmain.py\nx = 1\n```\n")[0].text == "x = 1\n"


@pytest.mark.parametrize(
    "above",
    [
        "### view.py\nThis file draws the window.\n",
        "**File 1: view.py**\n\nIt draws the window.\n\n",
        "FILENAME: view.py\nLANGUAGE: Python\nDOCSTRING: Draws the window.\nCODE:\n",
    ],
)
def test_a_header_may_stand_above_a_sentence(above: str) -> None:
    assert paths(above + block()) == ["view.py"]


def test_a_list_of_files_above_does_not_name_the_block() -> None:
    answer = "The structure:\n1. `main.py`: the entry point.\n2. `view.py`: the window.\n\nLet us start.\n\n" + block()
    assert paths(answer) == []


def test_a_heading_of_another_section_ends_the_search() -> None:
    assert paths("## view.py\n\nDone.\n\n### Second thoughts\n\n" + block()) == []


@pytest.mark.parametrize(
    ("answer", "expected", "path"),
    [
        ("FILENAME\n```python\n# view.py\nx = 1\n```\n", [], "view.py"),
        ("FILENAME\n```python\nview.py\nx = 1\n```\n", [], "view.py"),
        ("FILENAME\n```python\n'''\nview.py\n'''\nx = 1\n```\n", [], "view.py"),
        ("Now for the code of the `view.py` module.\n\nFILENAME\n```python\nx = 1\n```\n", [], "view.py"),
        ("FILENAME\n```python\nx = 1\n```\n", ["view.py"], "view.py"),
        ("**FILENAME**\n```python\nx = 1\n```\n", ["view.py"], "view.py"),
    ],
)
def test_a_literal_placeholder_is_looked_through(answer: str, expected: list[str], path: str) -> None:
    assert paths(answer, expected=expected) == [path]


def test_a_lone_block_without_a_name_is_the_file_that_was_asked_for() -> None:
    (file,) = replies.files("Here you are:\n\n" + block(), expected=["view.py"])
    assert (file.path, file.doubts) == ("view.py", ("name guessed",))
    assert paths(block("text", "some output\n"), expected=["view.py"]) == []
    assert paths(block(), expected=["view.py", "main.py"]) == []


@pytest.mark.parametrize(
    "name", ["Makefile", "Dockerfile", "LICENSE", "README", ".gitignore", ".env", "go.mod", "CMakeLists.txt", "a.b.py"]
)
def test_names_without_a_usual_ending_are_known(name: str) -> None:
    assert paths(f"{name}\n```\nsomething\n```\n") == [name]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("Install it:\n```bash\npip install flask\n```\n", "shell"),
        ("Start `main.py` with:\n```bash\npython main.py\n```\n", "shell"),
        ("main.py\n```bash\npython main.py\n```\n", "shell"),
        ("run.py\n```python\npython run.py --fast\n```\n", "shell"),
        ("Then type:\n```\n$ python main.py\n```\n", "shell"),
        ("To use it, simply run the `main.py` file. For example:\n```\n3 + 4\n```\n", "no file name"),
        ("It prints:\n```\nHello\n```\n", "no file name"),
        ("app.log\n```log\nstarted\n```\n", "no file name"),
        ("Log: see app.log\n```app.log\nstarted\n```\n", "no file name"),
        ("matplotlib.pyplot\n```python\nimport matplotlib\n```\n", "no file name"),
        (".py\n```python\nx = 1\n```\n", "no file name"),
        ("License\n```python\nx = 1\n```\n", "no file name"),
        ("We use Node.js:\n```javascript\nlet x = 1\n```\n", "no file name"),
        ("It needs main.py and view.py:\n```python\nx = 1\n```\n", "no file name"),
        ("In `main.py`, change this:\n```python\nx = 1\n```\n", "no file name"),
        ("Add the following import at the top of the updated `main.py`:\n```python\nimport sys\n```\n", "no file name"),
        ("main.py\n```python\nmain.py\n```\n", "nothing but the name"),
        ("main.py\n```python\n<INFO> Finished\n```\n", "a conclusion"),
        ("old.py (removed)\n```python\nx = 1\n```\n", "removed"),
        ("FILENAME\n```LANGUAGE\n'''\nDOCSTRING\n'''\nCODE\n```\n", "the prompt's own form"),
        ("game.py\n```python\nimport unittest\n\nclass TestGame(unittest.TestCase):\n    pass\n```\n", "only tests"),
    ],
)
def test_prose_commands_and_output_are_no_files(answer: str, why: str) -> None:
    reading = replies.read(answer)
    assert reading.files == ()
    assert [why in skipped.why for skipped in reading.skipped] == [True]


def test_what_was_skipped_says_where_and_what() -> None:
    (skipped,) = replies.read("One.\n\n```\n\n  first line\n```\n").skipped
    assert (skipped.line, skipped.first, skipped.path) == (3, "first line", "")


def test_prose_between_blocks_that_names_another_file_changes_nothing() -> None:
    answer = f"main.py\n{block()}\nThe `main.py` file uses `view.py`, which follows.\n\nview.py\n{block()}"
    assert paths(answer) == ["main.py", "view.py"]


def test_a_part_named_in_a_sentence_never_replaces_the_file() -> None:
    answer = f"main.py\n{block()}\nHere is the fixed loop of `main.py`:\n```python\nfor x in y:\n    z()\n```\n"
    reading = replies.read(answer)
    assert [file.text for file in reading.files] == [CODE]
    assert "a part" in reading.skipped[0].why


def test_tests_under_their_own_name_are_files_and_a_program_may_hold_some() -> None:
    tests = "import unittest\n\nclass TestGame(unittest.TestCase):\n    def test_x(self): ...\n"
    assert paths(f"test_game.py\n{block(text=tests)}game.py\n{block(text=tests + 'class Game: x = 1')}") == [
        "test_game.py",
        "game.py",
    ]


def test_of_a_file_given_twice_the_last_counts() -> None:
    (file,) = replies.files("a.py\n```\nx = 1\n```\na.py\n```\nx = 2\n```\n")
    assert (file.text, file.doubts) == ("x = 2\n", ("twice",))
    assert replies.files("a.py\n```\nx = 1\n```\na.py\n```\nx = 1\n```\n")[0].doubts == ()


def test_a_whole_version_is_not_replaced_by_a_cut_or_elided_one() -> None:
    whole = "a.py\n```\nx = 1\ny = 2\n```\n"
    for partial in ("a.py\n```\nx = 3\n# rest of the code unchanged\n```\n", "a.py\n```\nx = 3\n"):
        (file,) = replies.files(whole + partial)
        assert (file.text, file.whole, file.doubts) == ("x = 1\ny = 2\n", True, ("twice",))


@pytest.mark.parametrize(
    "line",
    [
        "# ... rest of the code remains unchanged ...",
        "# Rest of your code",
        "    # (rest of the class stays the same)",
        "# ... existing code ...",
        "// existing methods...",
        "/* ... other styles ... */",
        "<!-- rest of the file unchanged -->",
        "# same as before",
        "# other methods remain the same",
        "# ... (add more game logic here)",
        "# No changes needed",
        "// ...",
        "... rest of the code ...",
    ],
)
def test_code_left_out_is_marked(line: str) -> None:
    (file,) = replies.files(f"a.py\n```\nimport sys\n{line}\n```\n")
    assert (file.elided, file.whole) == (line.strip(), False)
    assert "elided" in file.doubts


@pytest.mark.parametrize(
    "line",
    [
        "# Fill the remaining length with random characters",
        "# Replace the rest of the digits",
        "# keep the score unchanged if nothing was hit",
        "def same_as_before(): ...",
        "print('... rest of the code unchanged')",
        "# Comments regarding the existing code.",
    ],
)
def test_ordinary_comments_are_not_taken_for_code_left_out(line: str) -> None:
    assert replies.files(f"a.py\n```\n{line}\n```\n")[0].elided == ""


def test_python_that_does_not_parse_is_doubted() -> None:
    assert replies.files("a.py\n```\nx = = 1\n```\n")[0].doubts == ("does not parse",)


DICE = "import random\n\ndef roll():\n    return random.random()\n"
PROGRAM = "from dice import roll\n\nif roll():\n    print(roll())\n"


@pytest.mark.parametrize("mark", ["# {}", "# File: {}", "# ===== {} =====", "#{}"])
@pytest.mark.parametrize("above", ["", "main.py\n"])
def test_several_files_in_one_block_are_separated(mark: str, above: str) -> None:
    first, second = mark.format("main.py"), mark.format("dice.py")
    reading = replies.read(f"{above}```python\n{first}\n{PROGRAM}\n\n{second}\n{DICE}```\n")
    assert {file.path: file.text for file in reading.files} == {
        "main.py": f"{first}\n{PROGRAM}",
        "dice.py": f"{second}\n{DICE}",
    }


@pytest.mark.parametrize(
    "text",
    [
        f"# main.py\n{PROGRAM}# dice.py\n{DICE}",
        f"# main.py\n{PROGRAM}\n# dice.py\nfrom dice import roll\n",
        f"# main.py\n{PROGRAM}\n# see dice.py\n{DICE}",
        f"# main.py\n{PROGRAM}\n# dice.py (unchanged)\n{DICE}",
        f"# main.py\n{PROGRAM}\n# main.py\n{DICE}",
        "# main.py\nif True:\n    x = 1\n\n# dice.py\n    y = 2\n    z = 3\n",
        f"# main.py\n{PROGRAM}\n# data.csv\n{DICE}",
    ],
)
def test_a_comment_with_a_name_does_not_divide_a_file_otherwise(text: str) -> None:
    (file,) = replies.files(f"```python\n{text}```\n")
    assert (file.path, file.text) == ("main.py", text)
