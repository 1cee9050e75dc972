"""Which files are not complete, and why."""

import pytest

from chatdev.agents import replies


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def add(a, b):\n    pass\n", 'function "add" (line 1)'),
        ("class A:\n    x = 1\n    def run(self):\n        '''Runs.'''\n        pass\n", 'function "run" (line 3)'),
        ("async def go():\n    ...\n", 'function "go"'),
        ("def add(a, b):\n    '''Adds the two.'''\n", 'function "add"'),
        ("def add(a, b):\n    raise NotImplementedError('later')\n", 'function "add"'),
        ("class Snake:\n    pass\n", 'class "Snake"'),
        ("def f():\n    # TODO: count\n    return 0\n", "line 2 postpones"),
        ("x = 1  # TODO implement the rest\n", "line 1 postpones"),
        ("x = 1\n# Your code here\n", "line 2 postpones"),
        ("def rename(name):\n    # Implement rename logic here\n    return name\n", "line 2 postpones"),
        ("x = 1\n# ... rest of the code\n", "left out"),
        ("def f(:\n    pass\n", "line 1"),
        ("x = = 1\n# TODO: y\n", "line 2 postpones"),
    ],
)
def test_python_that_is_not_complete_says_why(text: str, why: str) -> None:
    assert why in (replies.unfinished("src/a.py", text) or "complete")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "def add(a, b):\n    return a + b\n",
        "try:\n    x()\nexcept OSError:\n    pass\n",
        "for x in y:\n    if x:\n        pass\n    else:\n        z()\n",
        "class Empty(Exception):\n    pass\n",
        "class Empty(Exception):\n    '''Nothing is left.'''\n",
        "class A:\n    def __init__(self):\n        pass\n",
        "from abc import ABC, abstractmethod\nclass A(ABC):\n    @abstractmethod\n    def run(self):\n        pass\n",
        "import abc\nclass A(metaclass=abc.ABCMeta):\n    def run(self):\n        raise NotImplementedError\n",
        "class P(Protocol[T]):\n    def run(self) -> int: ...\n",
        "class A:\n    def run(self):\n        raise NotImplementedError\nclass B(A):\n    x = 1\n",
        "class A:\n    x = 1\n    def run(self):\n        raise NotImplementedError('Subclasses must do this')\n",
        "@overload\ndef f(x: int) -> int: ...\ndef f(x):\n    return x\n",
        "print('# TODO: shown to the user')\n",
        "# The TODO list of the user\nx = 1\n",
        "TODO = []\n",
        "x = '\\d'\n",
        "def f(:\n    return 1\n    pass\n",
    ],
)
def test_python_that_is_complete_is_left_alone(text: str) -> None:
    assert replies.unfinished("a.py", text) is None


@pytest.mark.parametrize(
    ("path", "text", "complete"),
    [
        ("a.js", "function add() {\n  // TODO: add\n}\n", False),
        ("a.js", "throw new Error('Not implemented');\n", False),
        ("A.java", "    throw new UnsupportedOperationException();\n", False),
        ("a.rs", "fn f() {\n    todo!()\n}\n", False),
        ("a.css", "/* ... */\n", False),
        ("a.js", "function add(a, b) {\n  return a + b;\n}\n", True),
        ("notes.txt", "pass\n", True),
    ],
)
def test_other_languages_are_read_by_lines(path: str, text: str, complete: bool) -> None:
    assert (replies.unfinished(path, text) is None) is complete
