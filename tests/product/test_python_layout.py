"""Python products without a main.py: packages with a ``__main__.py``, and packages below ``src``."""

from pathlib import Path

import pytest
from helpers.products import SANDBOX, verdict_of

from chatdev.product import rows
from chatdev.product.python_layout import entry, source, words
from chatdev.product.python_start import start_product
from chatdev.product.sessions import Invocation
from chatdev.product.verdict import judge_folder

TESTS = """
import subprocess, sys, unittest
from counter.core import count

class Counting(unittest.TestCase):
    def test_words(self):
        self.assertEqual(count("a b c"), 3)
    def test_program(self):
        done = subprocess.run([sys.executable, "-m", "counter", "a b"], capture_output=True, text=True)
        self.assertEqual(done.stdout, "2\\n")
"""
CORE = "def count(text):\n    return len(text.split())\n"
BEGINS = "import sys\nfrom .core import count\nprint(count(' '.join(sys.argv[1:])))\n"


def package(folder: str = "counter", begins: str = BEGINS) -> dict[str, bytes]:
    """A package that counts words, with its tests."""
    texts = {
        f"{folder}/__init__.py": "",
        f"{folder}/core.py": CORE,
        f"{folder}/__main__.py": begins,
        "tests/test_counter.py": TESTS,
    }
    return {path: text.encode() for path, text in texts.items()}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["main.py", "a/__main__.py"], "main.py"),
        (["__main__.py", "a/__main__.py"], "__main__.py"),
        (["a/__main__.py", "b/__init__.py"], "a/__main__.py"),
        (["src/a/__main__.py"], "src/a/__main__.py"),
        (["a/__main__.py", "b/__main__.py"], ""),
        (["a/b/__main__.py", "no-name/__main__.py", "tests/__main__.py", "app/main.py"], ""),
    ],
)
def test_the_file_that_is_started(files: list[str], expected: str) -> None:
    assert entry(files) == expected


def test_a_folder_src_is_a_source_of_packages_only_if_it_holds_some() -> None:
    assert source(["src/a/__init__.py"]) == source(["src/a/__main__.py"]) == "src"
    assert source(["src/a.py"]) == source(["src/__init__.py", "src/a/__init__.py"]) == source(["main.py"]) == ""


def test_the_words_that_start_it() -> None:
    assert [" ".join(words(each)) for each in ("main.py", "__main__.py", "src/a/__main__.py", "")] == [
        "main.py",
        ".",
        "-m a",
        "main.py",
    ]


@pytest.mark.parametrize("folder", ["counter", "src/counter"])
async def test_a_package_passes_its_tests_and_starts(folder: str) -> None:
    verdict = await verdict_of(package(folder))
    assert (verdict.verdict, verdict.vacuous) == ("passed", ())


@pytest.mark.parametrize("folder", ["counter", "src/counter"])
async def test_a_package_is_started_as_python_starts_it(folder: str) -> None:
    begins = "import sys, os\nfrom . import core\n"
    begins += "print(__name__, __package__, __spec__.name, sys.argv[0] == __file__, sys.path[0] == os.getcwd())\n"
    started = await start_product(SANDBOX, package(folder, begins))
    assert (started.how, started.output) == ("exited", "__main__ counter counter.__main__ True True")


async def test_a_package_that_fails_is_a_crash_with_its_own_frames_only() -> None:
    started = await start_product(SANDBOX, package(begins="from .gone import it\n"))
    assert (started.how, started.why) == (
        "crashed",
        'Traceback (most recent call last):\n  File "counter/__main__.py", line 1, in <module>\n'
        "    from .gone import it\nModuleNotFoundError: No module named 'counter.gone'",
    )


@pytest.mark.parametrize("folder", ["counter", "src/counter"])
@pytest.mark.parametrize(("output", "verdict"), [("3", "passed"), ("4", "failed (2 of 3)")])
async def test_the_rows_of_a_package_start_it_by_its_name(
    folder: str, output: str, verdict: str, tmp_path: Path
) -> None:
    session = f"# From the task\n$ python3 -m counter a b c\n{output}\n"
    for path, content in {**package(folder), rows.FILE: session.encode()}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    assert (await judge_folder(SANDBOX, tmp_path)).verdict == verdict


def test_a_row_starts_a_package_with_any_interpreter_and_no_other_package() -> None:
    assert rows.read_command("python -m counter a", None, "python3 -m counter") == Invocation(("a",))
    assert isinstance(rows.read_command("python3 -m other a", None, "python3 -m counter"), str)
