"""What holds for any text at all: nothing raises, the work grows with the length, and our own form is lossless."""

import gzip
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from chatdev.agents import replies

PIECES = [
    *("```", "````md", "```python", "~~~", "`", "\n", "\n\n", "\r\n", " ", "\t", "\0", "\ud800", "é", "(", "- ", "1. "),
    *("main.py", "**a/b.py**", "### README.md", "# main.py", "FILENAME", "requirements.txt", "flask==1"),
    *("<INFO>", " Finished", "<think>", "</think>", "<|im_end|>", "[INST]", "'''", '"""'),
    *(
        "> ",
        "<<<<<<< SEARCH\n",
        "=======\n",
        ">>>>>>> REPLACE\n",
        "@@ -1 +1 @@\n",
        "-x",
        "+x",
        "*** Update File: a.py\n",
    ),
    *(
        '<file path="a.py">',
        "</file>",
        "<path>a.py</path>",
        "<content>",
        "</content>",
        "<a.py>",
        "</a.py>",
        "<function=x>",
    ),
    *(
        '{"path": "a.py", "content": "',
        '"}',
        "{",
        "[",
        "cat > a.py <<EOF\n",
        "EOF\n",
        "1 | ",
        "\\n",
        "“",
        "&lt;",
        "文件：",
        "…",
    ),
    *("<|channel|>analysis<|message|>", "<seed:think>", "[gMASK]", "'''python\n", "analysis", "assistantfinal"),
    *("x = 1", "def f():", "    pass", "...", "# rest of the code"),
]
ANSWERS = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=60).map("".join))


def everything(answer: str) -> replies.ParsedReply:
    reading = replies.read(answer, finish_reason="length", expected=["main.py"], present={"a.py": "x\n" * 100})
    replies.conclusion(answer)
    replies.finished(answer)
    replies.looping(answer)
    replies.requirements(answer)
    replies.choice(answer, ["main", "x = 1", "Finished"])
    for path in ("a.py", "a.js"):
        replies.unfinished(path, answer)
    return reading


@settings(max_examples=150, deadline=None)
@given(ANSWERS)
@example("-" * 200 + "1")
@example("main.py\n```\n" + "(" * 5000 + "\n```\n")
@example("main.py\n```\n" + "-" * 50_000 + "1\n```\n")
def test_no_text_makes_the_reader_raise(answer: str) -> None:
    for file in everything(answer).files:
        file.text.encode()
        assert file.text == "" or file.text.endswith("\n")


@settings(max_examples=150, deadline=None)
@given(ANSWERS)
def test_reading_is_the_same_each_time_and_gives_each_path_once(answer: str) -> None:
    reading = replies.read(answer)
    assert reading == replies.read(answer)
    assert len({file.path for file in reading.files}) == len(reading.files)


LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n")).filter(
    lambda line: not any(mark in line for mark in ("```", "~~~"))
)
TEXTS = st.lists(
    st.one_of(LINES, st.sampled_from(["", "'''", '"""', "main.py", "<think>", "    x", "# y.py"])), max_size=20
)


@settings(max_examples=150, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(["", "python", "text"]))
def test_files_in_our_own_form_come_back_to_the_byte(texts: list[list[str]], info: str) -> None:
    # A body that is only its own name, a conclusion or a command is no file; a last line keeps it from being one.
    files = {f"src/Part-{n}.txt": "".join(f"{line}\n" for line in [*lines, "end"]) for n, lines in enumerate(texts)}
    answer = "\n".join(f"{path}\n```{info}\n{text}```\n" for path, text in files.items())
    assert {file.path: file.text for file in replies.files(answer)} == files


def calls(act: Callable[[], object]) -> int:
    """How many functions are called, ours and the interpreter's."""
    count = 0

    def count_call(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count_call)
    try:
        act()
    finally:
        sys.setprofile(before)
    return count


HOSTILE = {
    "fences": "```\n",
    "openers": "```md\n",
    "openers and names": "main.py\n```python\n",
    "names and blanks": "main.py\n\n\n```md\n# x\n",
    "open strings": "```python\n'''\n```\n",
    "odd strings": "a.py\n```python\n'''\n```\nb.md\n```\n",
    "nested": "```md\n```a\n```\n",
    "tildes in ticks": "```md\n~~~a\n````\n~~~\n",
    "thoughts": "<think>\n",
    "closed thoughts": "</think>\n",
    "tokens": "<|im_end|>",
    "token lines": "```<|im_end|>\n[INST]\n",
    "blanks": "\n",
    "marks": "<INFO> ",
    "mark lines": "x <INFO>\n",
    "paths": "main.py ",
    "requirements": "flask==1\n",
    "a comment": "# ... ",
    "blank line": "  \t",
    "ticks": "`",
    "words": "the code ",
    "stubs": "def f():\n    pass\n",
    "growing": "```" + "`" * 3,
    "channels": "<|channel|>analysis<|message|>",
    "channel lines": "<|channel|>commentary<|message|>x\n",
    "open tokens": "<|",
    "bracket tokens": "[|endofturn|]",
    "thoughts in lines": "x <think>\n",
    "attributes": "<think a",
    "quoted fences": "> ```\n",
    "labels": "文件",
    "labels and paths": "文件main.py ",
    "folders": "a/",
    "folders in brackets": "[a]/",
    "escapes": "a\\_",
    "dots": "a.",
    "search marks": "<<<<<<< SEARCH\n",
    "changes": "<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n",
    "diffs": "--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n-x\n+y\n",
    "patches": "*** Update File: a.py\n@@\n-x\n+y\n",
    "numbers": "1 | x\n",
    "written breaks": "x\\n",
    "entities": "&lt;",
    "typography": "“x” ",
    "named parts": "# a.py\nx = 1\ny = 2\n\n",
    "left out": "# 其余代码 ",
    "rests": "# rest of the code der rest des ",
    "file tags": '<file path="a.py">\n',
    "closed file tags": '<file path="a.py">\nx\n</file>\n',
    "path tags": "<path>a.py</path>\n",
    "content tags": "<content>\n",
    "parameters": '<parameter name="path">a.py</parameter>\n',
    "tags that are paths": "<a.py>\n",
    "keys": "<arg_key>path</arg_key>\n<arg_value>",
    "objects": '{"content": \n',
    "brackets": '[{"content":',
    "calls": '{"path": "a.py", "content": "x"}\n',
    "heredocs": "cat > a.py <<EOF\n",
    "closed heredocs": "cat > a.py <<EOF\nx\nEOF\n",
    "headers": "a.py\n",
    "headers and code": "a.py\nprint(1)\n```\n",
}


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_the_work_grows_with_the_length(piece: str) -> None:
    def steps(size: int) -> int:
        answer = "x\n" + piece * (size // len(piece))
        return calls(lambda: everything(answer))

    steps(6_000)  # the first look compiles patterns
    assert steps(12_000) <= 2.5 * steps(6_000) + 2_000


@pytest.mark.parametrize("piece", HOSTILE.values(), ids=HOSTILE)
def test_a_long_hostile_answer_is_read(piece: str) -> None:
    # A pattern that backtracks over the whole text would not return from this.
    answer = "main.py\n```python\n" + piece * (100_000 // len(piece))
    replies.read(answer)
    replies.looping(answer)


REAL = Path(__file__).parents[2].parent / "shared" / "real_answers" / "dev.jsonl.gz"


@pytest.mark.skipif(not REAL.exists(), reason="the real answers are not published with the project")
def test_real_answers_are_read_as_the_reference_or_better() -> None:
    same = total = 0
    with gzip.open(REAL, "rt", encoding="utf-8") as lines:
        for answer in map(json.loads, lines):
            found = {file.path for file in replies.files(answer["response"])}
            if (blocks := answer.get("reference")) is not None:
                total += 1
                same += found == {block["name"] for block in blocks if block["is_file"]}
    assert same >= 0.97 * total
