"""The right files under slightly wrong names: what is aligned, and what is left alone."""

import pytest

from chatdev.project.alignment import Aligned, align

GUARD = "\n\nif __name__ == '__main__':\n    print(add(1, 2))\n"
ADD = "def add(a, b):\n    return a + b\n"
PROGRAM = ADD + GUARD
USING = "from utils import add\n" + GUARD
TEST = "tests/test_acceptance.py"


def aligned(new: dict[str, str], there: dict[str, str] | None = None, main: str = "main.py", task: str = "") -> Aligned:
    return align(there or {}, new, main, task)


def test_what_is_named_well_is_left_alone() -> None:
    files = {"main.py": USING, "utils.py": ADD}
    assert aligned(files) == Aligned(files)


@pytest.mark.parametrize("name", ["calculator.py", "Main.py", "app.py", "src/main.py", "hello_world.py"])
def test_the_only_file_becomes_the_main_one(name: str) -> None:
    done = aligned({name: PROGRAM, "README.md": "# m\n"})
    assert done.files == {"main.py": PROGRAM, "README.md": "# m\n"}
    assert [name in note for note in done.notes] == [True]


def test_of_several_the_one_that_is_started_becomes_the_main_one() -> None:
    assert list(aligned({"app.py": USING, "utils.py": ADD}).files) == ["main.py", "utils.py"]
    assert list(aligned({"Main.py": USING, "utils.py": PROGRAM}).files) == ["main.py", "utils.py"]


@pytest.mark.parametrize(
    ("files", "task"),
    [
        ({"app.py": PROGRAM, "tool.py": "from app import add\n" + GUARD}, ""),
        ({"app.py": PROGRAM, "tool.py": PROGRAM}, ""),
        ({"app.py": PROGRAM, "utils.py": "import app\n"}, ""),
        ({"app.py": PROGRAM, "utils.py": "NAME = 'app.py'\n"}, ""),
        ({"app.py": PROGRAM}, "Write app.py, which adds."),
        ({"src/app.py": USING, "src/utils.py": ADD, "other.py": ADD}, ""),
        ({"src/app.py": "from .utils import add\n" + GUARD, "other.py": ADD}, ""),
    ],
)
def test_a_file_that_something_refers_to_keeps_its_name(files: dict[str, str], task: str) -> None:
    assert aligned(files, task=task) == Aligned(files)


def test_the_same_program_under_another_name_is_the_program() -> None:
    mended = PROGRAM.replace("a + b", "b + a")
    assert aligned({"calculator.py": mended}, {"main.py": PROGRAM}).files == {"main.py": mended}
    assert list(aligned({"words.py": ADD}, {"main.py": PROGRAM}).files) == ["words.py"]


@pytest.mark.parametrize(
    ("main", "name", "becomes"),
    [
        ("main.js", "app.js", "main.js"),
        ("main.c", "calculator.c", "main.c"),
        ("Main.java", "Calculator.java", "Calculator.java"),
        ("index.html", "calculator.html", "index.html"),
    ],
)
def test_other_languages_have_a_main_file_too(main: str, name: str, becomes: str) -> None:
    assert list(aligned({name: "x\n"}, main=main).files) == [becomes]
    assert name in aligned({name: "x\n", "notes.txt": name}, main=main).files


def test_a_java_file_is_named_after_its_class() -> None:
    assert list(aligned({"main.java": "class Main {}\n"}, main="Main.java").files) == ["Main.java"]


def test_a_folder_that_holds_the_whole_program_is_lifted() -> None:
    done = aligned({"calculator/main.py": USING, "calculator/utils.py": ADD, "calculator/data.json": "{}\n"})
    assert done.files == {"main.py": USING, "utils.py": ADD, "data.json": "{}\n"}
    assert len(done.notes) == 1
    later = aligned({"calculator/utils.py": ADD + "\n"}, {"main.py": USING, "utils.py": ADD})
    assert later.files == {"utils.py": ADD + "\n"}


@pytest.mark.parametrize(
    "files",
    [
        {"calculator/main.py": "from calculator.utils import add\n", "calculator/utils.py": ADD},
        {"calculator/main.py": USING + "open('calculator/data.txt')\n", "calculator/utils.py": ADD},
        {"calculator/main.py": "from .utils import add\n", "calculator/utils.py": ADD},
        {"a/main.py": USING, "b/utils.py": ADD},
    ],
)
def test_a_package_is_left_as_it_is(files: dict[str, str]) -> None:
    assert "utils.py" not in aligned(files).files


def importing(imports: str, use: str = "add(1, 2)") -> str:
    return f"import unittest\n\n{imports}\n\n\nclass T(unittest.TestCase):\n    def test_it(self):\n        {use}\n"


@pytest.mark.parametrize(
    ("before", "after", "files"),
    [
        ("from Calculator import add", "from calculator import add", {"main.py": "1\n", "calculator.py": ADD}),
        ("import Calculator", "import calculator as Calculator", {"main.py": "1\n", "calculator.py": ADD}),
        ("from src.calculator import add", "from calculator import add", {"main.py": "1\n", "calculator.py": ADD}),
        ("from calculator import add", "from src.calculator import add", {"main.py": "1\n", "src/calculator.py": ADD}),
        ("from calculator import (\n    add,  # é\n)", "from main import add", {"main.py": PROGRAM}),
        ("from calculator import add", "from main import add", {"calculator.py": PROGRAM}),
    ],
)
def test_an_import_of_the_tests_finds_what_is_meant(before: str, after: str, files: dict[str, str]) -> None:
    done = aligned(files, {TEST: importing(before)}, task="create a calculator")
    assert done.files[TEST] == importing(after)
    assert "main.py" in done.files
    assert align({TEST: done.files[TEST]}, files, "main.py").files.get(TEST, done.files[TEST]) == done.files[TEST]


@pytest.mark.parametrize(
    ("imports", "use", "task"),
    [
        ("from calculator import add", "add(1, 2)", "Write calculator.py with add."),
        ("from calculator import add", "add(1, 2)", "The module calculator adds."),
        ("from calculator import add, subtract", "add(1, 2)", ""),
        ("from calculator import add", "patch('calculator.add')", ""),
        ("import calculator", "calculator.add(1, 2)", ""),
        ("from numpy import add", "add(1, 2)", ""),
        ("from calculator import *", "add(1, 2)", ""),
        ("from main import add", "'from calculator import add'", ""),
    ],
)
def test_an_import_that_may_be_right_is_left_alone(imports: str, use: str, task: str) -> None:
    done = aligned({"main.py": PROGRAM}, {TEST: importing(imports, use)}, task=task)
    assert done == Aligned({"main.py": PROGRAM})


def test_a_file_that_the_tests_import_whole_is_not_renamed() -> None:
    assert list(aligned({"calculator.py": PROGRAM}, {TEST: importing("import calculator")}).files) == ["calculator.py"]


@pytest.mark.parametrize(("name", "use"), [("from main import isLeap", "isLeap(4)"), ("import main", "main.isLeap(4)")])
def test_a_name_in_another_style_gets_an_alias_in_the_program(name: str, use: str) -> None:
    program = "def is_leap(year):\n    return year % 4 == 0\n\n\nprint(is_leap(4))\n"
    done = aligned({"main.py": program}, {TEST: importing(name, use)})
    assert done.files == {
        "main.py": "def is_leap(year):\n    return year % 4 == 0\n\n\nisLeap = is_leap\n\n\nprint(is_leap(4))\n"
    }
    assert done.notes == ("main.py: the tests use isLeap for is_leap; an alias was added",)
    assert aligned(done.files, {TEST: importing(name, use)}) == Aligned(done.files)


def test_a_name_that_is_there_or_not_alone_gets_no_alias() -> None:
    for program in ("isLeap = 1\n\n\ndef is_leap(): ...\n", "def is_leap(): ...\n\n\ndef IsLeap(): ...\n", ADD):
        files = {"main.py": program}
        assert aligned(files, {TEST: importing("from main import isLeap")}) == Aligned(files)


def test_python_that_does_not_parse_is_left_alone() -> None:
    files = {"main.py": "def add(:\n", "utils.py": "x = = 1\n"}
    assert aligned(files, {TEST: "import (\n"}) == Aligned(files)
