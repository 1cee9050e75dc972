"""A diff, a patch or a search/replace block is never a file: it is applied exactly, or the whole file is needed."""

import pytest

from chatdev.agents import replies

MAIN = "import sys\n\n\ndef main():\n    print('hello')\n\n\nmain()\n"
BYE = MAIN.replace("hello", "bye")
SEARCH = "<<<<<<< SEARCH\n    print('hello')\n=======\n    print('bye')\n>>>>>>> REPLACE\n"
DIFF = "--- a/main.py\n+++ b/main.py\n@@ -4,2 +4,2 @@\n def main():\n-    print('hello')\n+    print('bye')\n"
PATCH = (
    "*** Begin Patch\n*** Update File: main.py\n@@ def main():\n-    print('hello')\n+    print('bye')\n*** End Patch\n"
)


def read(answer: str, **present: str) -> replies.ParsedReply:
    files = {f"{name}.py": text for name, text in present.items()}
    return replies.read(answer, expected=["main.py"], present=files)


CHANGES = [
    f"main.py\n```python\n{SEARCH}```\n",
    f"```\nmain.py\n{SEARCH}```\n",
    f"```python\n# main.py\n{SEARCH}```\n",
    f"Change `main.py` like this:\n```\n{SEARCH}```\n",
    f"```\n{SEARCH.replace('SEARCH', 'ORIGINAL').replace('REPLACE', 'UPDATED')}```\n",
    f"main.py\n```\n{SEARCH.replace('<<<<<<<', '-------').replace('>>>>>>>', '+++++++')}```\n",
    f"```diff\n{DIFF}```\n",
    f"main.py\n```python\n{DIFF}```\n",
    f"```diff\ndiff --git a/main.py b/main.py\nindex 12345..6789a 100644\n{DIFF}```\n",
    f"```diff\n{DIFF.replace('a/', '').replace('b/', '')}```\n",
    f"main.py\n```diff\n{DIFF.partition('@@ -4')[2].partition(chr(10))[2]}```\n",
    f"main.py:\n```\n{DIFF[DIFF.index('@@') :]}```\n",
    f"```\n{PATCH}```\n",
]


@pytest.mark.parametrize("answer", CHANGES)
def test_a_change_that_applies_exactly_gives_the_whole_file(answer: str) -> None:
    reading = read(answer, main=MAIN)
    assert [(file.path, file.text, file.doubts) for file in reading.files] == [("main.py", BYE, ("changed",))]
    assert reading.skipped == ()


@pytest.mark.parametrize("answer", CHANGES)
@pytest.mark.parametrize("present", ["import sys\n", MAIN.replace("    print('hello')", "\tprint('hello')")])
def test_a_change_that_does_not_apply_exactly_is_no_file(answer: str, present: str) -> None:
    reading = read(answer, main=present)
    assert reading.files == ()
    assert [(skipped.path, skipped.change) for skipped in reading.skipped] == [("main.py", True)]
    assert read(answer).files == ()


def test_all_changes_to_a_file_apply_or_none() -> None:
    second = "<<<<<<< SEARCH\nmain()\n=======\nmain()\nmain()\n>>>>>>> REPLACE\n"
    (file,) = read(f"main.py\n```\n{SEARCH}\n{second}```\n", main=MAIN).files
    assert file.text == BYE + "main()\n"
    (file,) = read(f"main.py\n```\n{SEARCH}```\nmain.py\n```\n{second}```\n", main=MAIN).files
    assert file.text == BYE + "main()\n"
    assert read(f"main.py\n```\n{SEARCH}\n{second}```\n", main=MAIN.replace("\nmain()", "\nstart()")).files == ()


def test_a_place_that_is_not_unique_must_be_stated() -> None:
    twice = "x = 1\n\nx = 1\n"
    assert read("main.py\n```diff\n-x = 1\n+x = 2\n```\n", main=twice).files == ()
    (file,) = read("main.py\n```diff\n@@ -3,1 +3,1 @@\n-x = 1\n+x = 2\n```\n", main=twice).files
    assert file.text == "x = 1\n\nx = 2\n"


@pytest.mark.parametrize(
    "answer",
    [
        "```diff\n--- /dev/null\n+++ b/words.py\n@@ -0,0 +1,2 @@\n+x = 1\n+y = 2\n```\n",
        "```\n*** Begin Patch\n*** Add File: words.py\n+x = 1\n+y = 2\n*** End Patch\n```\n",
        "words.py\n```\n<<<<<<< SEARCH\n=======\nx = 1\ny = 2\n>>>>>>> REPLACE\n```\n",
        "words.py\n```diff\n+x = 1\n+y = 2\n```\n",
    ],
)
def test_a_change_from_nothing_is_a_new_file(answer: str) -> None:
    (file,) = read(answer, main=MAIN).files
    assert (file.path, file.text) == ("words.py", "x = 1\ny = 2\n")
    assert read(answer, main=MAIN, words="x = 0\n").files == ()


def test_several_files_of_one_patch_are_changed() -> None:
    patch = f"```diff\n{DIFF}--- a/words.py\n+++ b/words.py\n@@ -1 +1 @@\n-x = 1\n+x = 2\n```\n"
    assert {file.path: file.text for file in read(patch, main=MAIN, words="x = 1\n").files} == {
        "main.py": BYE,
        "words.py": "x = 2\n",
    }


def test_a_whole_file_in_the_same_answer_counts_instead_of_its_change() -> None:
    reading = read(f"I changed this:\n```diff\n{DIFF}```\n\nmain.py\n```python\nx = 1\n```\n", main=MAIN)
    assert [(file.path, file.text) for file in reading.files] == [("main.py", "x = 1\n")]
    assert [(skipped.path, skipped.change) for skipped in reading.skipped] == [("main.py", False)]


@pytest.mark.parametrize(
    "part",
    [
        "<<<<<<< SEARCH\n    print('hello')\n=======\n    print('bye')\n",
        "<<<<<<< SEARCH\n    print('hello')\n>>>>>>> REPLACE\n",
        "x = 1\n" + SEARCH,
        "<<<<<<< HEAD\nx = 1\n||||||| base\nx = 0\n=======\nx = 2\n>>>>>>> other\n",
    ],
)
def test_a_change_with_a_mark_missing_is_no_file(part: str) -> None:
    assert read(f"main.py\n```python\n{part}```\n", main=MAIN).files == ()


def test_a_change_that_leaves_code_out_is_not_whole() -> None:
    left_out = SEARCH.replace("    print('bye')", "    # rest of the code unchanged")
    (file,) = read(f"main.py\n```\n{left_out}```\n", main=MAIN).files
    assert not file.whole


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("fix.patch", DIFF),
        ("notes.md", f"To change it:\n\n{SEARCH}"),
        ("list.yaml", "---\n- one\n- two\n"),
        ("main.py", f"TEXT = '''\n{SEARCH}'''\n"),
        ("main.py", f"TEXT = '''\n{DIFF}'''\n"),
        ("page.rst", "Title\n=======\n\ntext\n"),
        ("main.sh", "cat <<EOF\n=======\nEOF\n"),
    ],
)
def test_a_file_with_marks_of_its_own_stays_as_it_is(path: str, text: str) -> None:
    (file,) = replies.files(f"{path}\n```\n{text}```\n")
    assert (file.path, file.text) == (path, text)


def test_a_diff_quoted_in_a_review_is_no_file() -> None:
    review = f"1. The loop is wrong:\n\n```diff\n{DIFF}```\n\n2. Rename it.\n"
    reading = replies.read(review)
    assert reading.files == ()
    assert [skipped.path for skipped in reading.skipped] == ["main.py"]
