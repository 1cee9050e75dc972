"""What a model means to be a file: not a part of one, not what might be, and of two ways to write it the first."""

import pytest

from chatdev.agents import replies

CODE = "import sys\n\nprint(sys.argv)\n"


@pytest.mark.parametrize(
    "above", ["### Checking the clock (clock.py)", "## What clock.py must do", "**On the way to clock.py**"]
)
def test_a_name_in_the_first_comment_outdoes_a_heading_that_mentions_another(above: str) -> None:
    tests = "# clock_test.py\nimport unittest\n\nclass TestClock(unittest.TestCase):\n    def test_x(self): ...\n"
    reading = replies.read(f"{above}\n\n```python\n{tests}```\n")
    assert [(file.path, file.text) for file in reading.files] == [("clock_test.py", tests)]


def test_a_heading_that_is_only_a_name_outdoes_the_first_comment() -> None:
    assert [file.path for file in replies.files("### clock.py\n```python\n# hands.py\nx = 1\n```\n")] == ["clock.py"]


@pytest.mark.parametrize(
    ("above", "text"),
    [
        ("Creating the window in `gui.py` fails, and the error is:", "KeyError: 'x'\n"),
        ("With npm we would create a `package.json`.\n\nIf we were to need left-pad, it might look like this:", "{}\n"),
        ("You can create a `pom.xml`. The `pom.xml` might look like this:", "<project/>\n"),
        ("Suppose that a file named `input.csv` has the following contents:", "a,b\n"),
        ("When you create a `Clock`, add this import at the top of `main.py`:", "from clock import Clock\n"),
        ("The updated import section of `main.py`:", "from clock import Clock\n"),
    ],
)
def test_what_is_supposed_wrong_or_a_part_is_no_file(above: str, text: str) -> None:
    reading = replies.read(f"{above}\n\n```\n{text}```\n")
    assert reading.files == ()
    assert [skipped.why for skipped in reading.skipped] == ["it has no file name"]


@pytest.mark.parametrize(
    "above",
    [
        "With that your `main.py` should look something like this:",
        "Here is how the `main.py` file should look:",
        "Here is what the `main.py` file would look like:",
        "After all that, this is the final `main.py` file:",
        'Create a second script called "main.py":',
        "The error is gone from the corrected `main.py`:",
    ],
)
def test_a_sentence_announces_a_whole_file(above: str) -> None:
    (file,) = replies.files(f"{above}\n```python\n{CODE}```\n")
    assert (file.path, file.text, file.doubts) == ("main.py", CODE, ("name guessed",))


@pytest.mark.parametrize(
    "text",
    [
        "class Window(tk.Frame):\n    pass\n",
        "self.hands = [1, 2]\n",
        "shutil.copy(a, b)\n",
        "def tick(self):\n    return 1\n",
    ],
)
def test_a_part_of_python_named_in_a_sentence_is_no_file(text: str) -> None:
    reading = replies.read(f"Here is an updated version of `clock.py`:\n```python\n{text}```\n")
    assert (reading.files, reading.skipped[0].why) == ((), "it is a part of clock.py")


@pytest.mark.parametrize(
    "text",
    [
        "class Clock:\n    def tick(self) -> int:\n        return max(self.hands)\n",
        "def tick(*hands, step=1, **more):\n    return [hand + step for hand in hands], more\n",
        "try:\n    print(__file__)\nexcept OSError as error:\n    print(error)\n",
        "match input():\n    case [first, *rest]:\n        print(first, rest)\n    case other:\n        print(other)\n",
        "from tkinter import *\n\nroot = Tk()\n",
        "def broken(:\n    tk.Tk()\n",
    ],
)
def test_python_that_stands_alone_or_does_not_parse_is_taken_for_the_file_that_a_sentence_names(text: str) -> None:
    (file,) = replies.files(f"Here is an updated version of `clock.py`:\n```python\n{text}```\n")
    assert file.text == text


def test_methods_alone_are_no_file_whatever_names_it_but_a_missing_import_may_be_a_mistake() -> None:
    methods = "def tick(self):\n    self.hands = []\n\ndef stop(self):\n    pass\n"
    assert replies.files(f"clock.py\n```python\n{methods}```\n```python\n# hands.py\n{methods}```\n") == ()
    assert replies.files("clock.py\n```python\nroot = tk.Tk()\n```\n")[0].path == "clock.py"


def test_commands_that_write_a_file_are_not_the_file() -> None:
    command = "echo 'left-pad' > requirements.txt\n"
    reading = replies.read(f"Create the `requirements.txt` file:\n```bash\n{command}```\n")
    assert (reading.files, reading.skipped[0].why) == ((), "it holds shell commands")
    for path, text in (("requirements.txt", "left-pad\n"), ("run.sh", command)):
        assert replies.files(f"{path}\n```bash\n{text}```\n")[0].text == text


@pytest.mark.parametrize(
    "says", ["Alternatively, pin it:", "If you prefer a fixed version:", "If you’d rather pin it:"]
)
def test_an_alternative_does_not_replace_what_stands_above_it(says: str) -> None:
    answer = f"requirements.txt\n```\nleft-pad\n```\n{says}\n\nrequirements.txt\n```\nleft-pad==1.0\n```\n"
    reading = replies.read(answer)
    assert [(file.text, file.doubts) for file in reading.files] == [("left-pad\n", ())]
    assert [(skipped.line, skipped.why) for skipped in reading.skipped] == [
        (8, "it is an alternative to the version above it")
    ]


def test_an_alternative_counts_where_nothing_whole_stands_above_it() -> None:
    elided = "a.py\n```\nx = 1\n# rest of the code unchanged\n```\n"
    for before in ("", elided):
        (file,) = replies.files(f"{before}Alternatively:\n\na.py\n```\nx = 2\n```\n")
        assert file.text == "x = 2\n"


@pytest.mark.parametrize(
    "answer",
    [
        "Import the hands first:\n```python\n# clock.py\nfrom hands import Hands\n```\n",
        "### 2. Mend the import statements of `clock.py`\n\nReplace:\n```python\nfrom .hands import Hands\n```\n",
        "Replace these two lines:\n```python\n# clock.py\nx = 1\n```\n",
        "Not like this:\n```python\nx = 1\n\n# clock.py\ny = 2\n```\n",
    ],
)
def test_imports_alone_and_names_further_down_make_no_file(answer: str) -> None:
    assert replies.files(answer) == ()


def test_imports_alone_under_a_name_are_a_file_and_so_is_a_package_of_them() -> None:
    text = "from hands import Hands\n"
    answer = f"clock.py\n```python\n{text}```\n```python\n# hands/__init__.py\n{text}```\n"
    assert [file.path for file in replies.files(answer)] == ["clock.py", "hands/__init__.py"]


@pytest.mark.parametrize("line", ["class Clock:  # ...", "def tick(self): # …", "function tick() { /* ... */ }"])
def test_a_body_that_is_only_dots_in_a_comment_is_left_out(line: str) -> None:
    (file,) = replies.files(f"clock.x.py\n```\n{line}\n```\n")
    assert (file.elided, file.whole) == (line, False)


def test_a_name_below_a_shebang_and_a_docstring_still_counts() -> None:
    text = '#!/usr/bin/env python3\n"""\nclock.py\n"""\nx = 1\n'
    assert [file.path for file in replies.files(f"```python\n{text}```\n")] == ["clock.py"]
