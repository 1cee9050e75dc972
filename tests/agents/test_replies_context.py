"""What a block without a name is, by what was asked for and what there is; and what is taken under another name."""

import pytest

from chatdev.agents import replies

ADD = 'def add(a, b):\n    """The sum."""\n    return a + b\n'
GUARD = '\n\nif __name__ == "__main__":\n    print(add(1, 2))\n'
PROGRAM = f"import sys\n\n\n{ADD}{GUARD}"
CASE = "class TestAdd(unittest.TestCase):\n    def test_add(self):\n        pass\n"
TESTS = f"import unittest\n\nfrom main import add\n\n\n{CASE}"
ASKED = "tests/test_acceptance.py"


def block(text: str = PROGRAM, info: str = "python") -> str:
    return f"```{info}\n{text}```\n"


def taken(answer: str, expected: str = "main.py", **known: str) -> dict[str, str]:
    files = {path.replace("__", "/") + ".py": text for path, text in known.items()}
    return {file.path: file.text for file in replies.read(answer, expected=[expected], present=files).files}


@pytest.mark.parametrize(
    "answer",
    [
        block(),
        block(info=""),
        block(info="python3"),
        block() + "Run it:\n" + block("python main.py 2 + 3\n", "bash"),
        block() + "Run it:\n" + block("python main.py 2 + 3\n", ""),
        block() + "It prints:\n" + block("Result: 3\n", ""),
        block() + "It prints:\n" + block("3\n", "text"),
        block() + "Use it so:\n" + block("from main import add\n\nprint(add(2, 3))\n"),
        block() + "For example:\n" + block("print(add(2, 3))\n"),
        block() + block(">>> add(2, 3)\n5\n"),
        block(PROGRAM.replace("sum", "wrong")) + "A correction:\n" + block(),
        block() + "Or, in short:\n" + block(ADD),
        block(PROGRAM.replace("return", "retrun +")) + block() + block("def add(a, b:\n    pass\n"),
        f"test_main.py\n{block(TESTS)}\nAnd the program:\n{block()}",
        "\nHere:\n" + block() + "The tests:\n" + block(TESTS),
    ],
)
def test_the_program_is_found_among_blocks_without_a_name(answer: str) -> None:
    assert taken(answer)["main.py"] == PROGRAM


@pytest.mark.parametrize(
    "answer",
    [
        block("python main.py 2 + 3\n", ""),
        block("Result: 3\n", ""),
        block("3\n", ""),
        block('{"a": 1}\n', "json"),
        block(">>> 1 + 2\n3\n"),
        block("from main import add\n\nprint(add(2, 3))\n"),
        block("import sys\n"),
        block(TESTS),
        block("body { color: red }\n", "css"),
        "def add(a, b): ...",
        f"calculator.py\n{block()}An example of its use:\n" + block("from calculator import add\nprint(add(1, 2))\n"),
        f"calculator.py\n{block()}Then:\n" + block("from calculator import add\nprint(add(1, 2))\n"),
    ],
)
def test_what_shows_or_prints_or_tests_is_not_the_program(answer: str) -> None:
    assert "main.py" not in taken(answer)


def test_a_program_that_is_named_is_not_looked_for_among_the_others() -> None:
    older = block(PROGRAM.replace("sum", "wrong"))
    assert taken(f"{older}\nmain.py\n{block()}\n{older}") == {"main.py": PROGRAM}


def test_a_block_is_the_file_that_defines_the_same() -> None:
    main = "from words import greeting\n\nprint(greeting())\n"
    words = "def greeting():\n    return 'hello'\n\n\ndef farewell():\n    return 'bye'\n"
    mended = words.replace("hello", "good day")
    assert taken(block(mended), main=main, words=words) == {"words.py": mended}
    assert taken(block(main.replace("print(", "print(1, ")), main=main, words=words).keys() == {"main.py"}
    assert taken(block("def unheard():\n    return 1\n"), main=main, words=words) == {}


@pytest.mark.parametrize(
    "part",
    [
        "def main():\n    print(add(1, 2))\n",  # needs what the file has
        ADD,  # lacks what the file does
        "def add(self, a):\n    self.total += a\n",
    ],
)
def test_a_part_of_the_program_does_not_stand_for_the_whole(part: str) -> None:
    whole = f"{ADD}\n\ndef main():\n    print(add(1, 2))\n\n\nif __name__ == '__main__':\n    main()\n"
    reading = replies.read(f"The updated function:\n{block(part)}", expected=["main.py"], present={"main.py": whole})
    assert [(skipped.path, skipped.why) for skipped in reading.skipped] == [("main.py", "it is a part of main.py")]
    assert reading.files == ()


def test_a_module_is_named_by_the_program_that_imports_it() -> None:
    main = "from calculator import add\n\nprint(add(1, 2))\n"
    assert taken(f"First:\n{block(ADD)}Then:\n{block(main)}") == {"calculator.py": ADD, "main.py": main}


@pytest.mark.parametrize("info", ["python", ""])
@pytest.mark.parametrize("above", ["", "Here are the tests:\n\n"])
def test_a_nameless_block_of_tests_is_the_test_file_where_tests_are_asked_for(info: str, above: str) -> None:
    assert taken(f"{above}{block(TESTS, info)}", ASKED) == {ASKED: TESTS}
    assert taken(f"{above}{block(PROGRAM, info)}", ASKED) == {}
    assert taken(f"{above}{block(PROGRAM, info)}{block(TESTS, info)}", ASKED) == {ASKED: TESTS}


@pytest.mark.parametrize("name", ["tests.py", "main.py", "calculator_tests.py", "tests/main.py", "tests/acceptance.py"])
def test_tests_under_a_name_where_no_one_looks_for_them_are_the_test_file(name: str) -> None:
    (file,) = replies.read(f"{name}\n{block(TESTS)}", expected=[ASKED]).files
    assert (file.path, file.name_in_answer, file.text) == (ASKED, name, TESTS)


def test_tests_that_stand_where_they_are_looked_for_keep_their_name() -> None:
    for name in ("test_calculator.py", "tests/test_main.py", "main_test.py"):
        assert taken(f"{name}\n{block(TESTS)}", ASKED) == {name: TESTS}
    assert taken(f"main.py\n{block()}", ASKED) == {"main.py": PROGRAM}


def test_the_same_tests_under_another_name_are_the_ones_that_there_are() -> None:
    mended = TESTS.replace("pass", "self.assertEqual(add(1, 2), 3)")
    answer = f"test_main.py\n{block(mended)}"
    reading = replies.read(answer, expected=[ASKED], present={ASKED: TESTS})
    assert [(file.path, file.name_in_answer) for file in reading.files] == [(ASKED, "test_main.py")]


@pytest.mark.parametrize(
    ("path", "info", "text"),
    [
        ("main.sh", "bash", "#!/bin/bash\necho $(( $1 + $2 ))\n"),
        ("main.sh", "", "#!/bin/bash\necho $(( $1 + $2 ))\n"),
        ("main.js", "javascript", "console.log(1)\n"),
        ("main.js", "", "const a = 1;\nconsole.log(a);\n"),
        ("index.html", "html", "<p>Hello</p>\n"),
        ("index.html", "", "<!DOCTYPE html>\n<p>Hello</p>\n"),
        ("main.c", "c", "#include <stdio.h>\nint main() {}\n"),
        ("main.c", "", "#include <stdio.h>\nint main() {}\n"),
        ("Main.java", "java", "class Main {}\n"),
        ("main.go", "go", "package main\n"),
        ("main.rs", "rust", "fn main() {}\n"),
    ],
)
def test_the_language_of_the_fence_or_its_looks_must_fit(path: str, info: str, text: str) -> None:
    assert taken(block(text, info), path) == {path: text}
    assert taken(block(text, "json"), path) == {}
    assert taken(block("It works.\n", ""), path) == {}


def test_commands_are_no_script() -> None:
    assert taken(block("bash main.sh 1 2\ncd folder\n", "bash").replace("bash main", "$ bash main"), "main.sh") == {}


def test_a_copy_of_an_example_is_no_file_whatever_names_it() -> None:
    reading = replies.read(
        f"main.py\n{block('the whole file  ')}".replace("file  ```", "file  \n```") + block(),
        expected=["main.py"],
        examples={"the whole file"},
    )
    assert [file.text for file in reading.files] == [PROGRAM]
    assert [(skipped.path, skipped.why) for skipped in reading.skipped] == [("main.py", replies.COPIED)]


def test_many_blocks_without_a_name_are_read_in_the_time_of_their_length() -> None:
    answer = block(ADD) * 3000 + block()
    assert taken(answer)["main.py"] == PROGRAM
