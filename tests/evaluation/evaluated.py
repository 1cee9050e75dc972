"""A small set of tasks, a company that tests, and what a model says to both."""

import json
from pathlib import Path

from chatdev.company import config
from chatdev.playback.recording import Entry, Recording

SECRET = 424242
"""Stands in a hidden case; its double in what is expected."""
HIDDEN_TEST = """import unittest

import main


class Secretive(unittest.TestCase):
    def test_unheard_of_name(self):
        self.assertEqual(main.shout("a"), "A!")
"""
DOUBLE = """import json, select, sys

if not select.select([sys.stdin], [], [], 2.0)[0]:
    sys.exit()  # it was only started, by a user who says nothing
request = json.load(sys.stdin)
n = request["input"]["n"]
print(json.dumps(2 * n if isinstance(n, int) else {"error": "no number"}))
"""
BAD_DOUBLE = "print(7)\n"
SHOUT = 'def shout(text):\n    return text.upper() + "!"\n'
TESTS = """import unittest

import main


class Shouting(unittest.TestCase):
    def test_right(self):
        self.assertEqual(main.shout("b"), "B!")

    def test_wrong(self):
        self.assertEqual(main.shout("b"), "b!!")
"""
RIGHT_TESTS = TESTS[: TESTS.index("\n    def test_wrong")] + "\n"


def tasks() -> list[dict[str, object]]:
    def case(n: object, expected: object) -> dict[str, object]:
        return {"property": "double", "input": {"n": n}, "expected": expected}

    hidden = [case(SECRET, 2 * SECRET), case("x", {"error": "secret words"})]
    return [
        {"name": "double", "description": "DOUBLE it.", "difficulty": 1, "cases": [case(2, 4)], "hidden": hidden},
        {"name": "twice", "description": "Say it TWICE.", "difficulty": 2, "cases": [case(2, 4)], "hidden": hidden},
        {"name": "shout", "description": "SHOUT it.", "difficulty": 2},
    ]


def folder(place: Path) -> Path:
    """The set."""
    (place / "tests" / "shout").mkdir(parents=True)
    (place / "tests" / "shout" / "test_shout.py").write_text(HIDDEN_TEST)
    for name, text in (("double", DOUBLE), ("twice", DOUBLE), ("shout", SHOUT)):
        (place / "refs" / name).mkdir(parents=True)
        (place / "refs" / name / "main.py").write_text(text)
    (place / "tasks.jsonl").write_text("".join(json.dumps(task) + "\n" for task in tasks()))
    return place


def company(place: Path) -> Path:
    """Tests, then code: two calls for each task."""
    sources = config.read(config.find("default"))
    requests = sources["company.toml"].partition("[requests]")[2]
    head = 'name = "tested"\ndescription = "Tests, then code."\n[[chain]]\nphase = "Ask"\n[[chain]]\nphase = "Code"\n'
    made = {
        "company.toml": f"{head}[requests]{requests}",
        "background.md": "",
        "context.md": "",
        "roles/Programmer.md": "",
        "roles/Software Test Engineer.md": "",
        "phases/Ask.md": _phase("Software Test Engineer", "Programmer", "tests", "TEST"),
        "phases/Code.md": _phase("Programmer", "Software Test Engineer", "code", "CODE"),
    }
    config.write(made, place)
    return place


def _phase(assistant: str, user: str, kind: str, word: str) -> str:
    return f'+++\nassistant = "{assistant}"\nuser = "{user}"\nkind = "{kind}"\n+++\n{word} {{{{ task }}}}\n'


def says() -> Recording:
    """One answer does ``double`` and misses the others; the company does all, and one test of its own is wrong."""
    indented = DOUBLE.replace("\n", "\n    ")
    whole = f"{SHOUT}\n\nif __name__ == '__main__':\n    {indented}"
    answers = {
        "TEST SHOUT": f"tests/test_own.py\n```python\n{TESTS}```\n",
        "TEST": f"tests/test_own.py\n```python\n{RIGHT_TESTS}```\n",
        "CODE SHOUT": f"main.py\n```python\n{SHOUT}```\n",
        "CODE": f"main.py\n```python\n{whole}\n```\n",
        "DOUBLE": f"So:\n```\n{DOUBLE}```\n",
        "TWICE": f"```python\n{BAD_DOUBLE}```\n",
        "SHOUT": "That is not for me.",
    }
    return Recording(model="small", entries=tuple(Entry(when=when, text=text) for when, text in answers.items()))
