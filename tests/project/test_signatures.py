"""What stands for a file that has no room."""

import pytest

from chatdev.agents import replies
from chatdev.project.signatures import FIRST_LINES, MARK, signatures

SOURCE = '''"""Words of a greeting.

And more about them.
"""
import sys
from typing import Final

HELLO: Final = "hello"
TABLE = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30]


class Greeter(list[str], metaclass=type):
    """Greets people.

    Politely.
    """

    loud = False

    @property
    def name(self) -> str:
        """The name."""
        return self[0]

    async def greet(self, who: str = "you", *more: str, times: int = 1) -> None:
        print(who)


class Empty:
    x = TABLE[0:1] + [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27]


if __name__ == "__main__":
    print(HELLO)
'''
SHOWN = f'''# {MARK}
import sys
from typing import Final
HELLO: Final = 'hello'

class Greeter(list[str], metaclass=type):
    """Greets people."""
    loud = False

    @property
    def name(self) -> str:
        """The name."""
        ...

    async def greet(self, who: str='you', *more: str, times: int=1) -> None:
        ...

class Empty:
    ...'''


def test_python_is_shown_by_what_it_declares() -> None:
    assert signatures("words.py", SOURCE) == SHOWN


def test_the_file_itself_is_read_as_before() -> None:
    """Trees are shared with what looks for unfinished code: none of them may be changed."""
    text = "def f():\n    return 1\n"
    assert "..." in signatures("a.py", text)
    assert replies.unfinished("a.py", text) is None


@pytest.mark.parametrize(("path", "line"), [("main.js", "let a{} = 1;"), ("broken.py", "def {}(:")])
def test_other_files_are_shown_by_their_first_lines(path: str, line: str) -> None:
    lines = [line.format(number) for number in range(40)]
    shown = signatures(path, "\n".join(lines)).splitlines()
    assert shown == [*lines[:FIRST_LINES], f"[… {40 - FIRST_LINES} more lines. {MARK}]"]


def test_a_short_file_is_shown_whole() -> None:
    assert signatures("a.css", "a { b: c }\n") == "a { b: c }\n"
