"""``chatdev parse``: an answer read for a person, and many for a program."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from chatdev.cli.main import cli

ANSWER = """Here it is.

main.py
```python
print("hello")
```

Run it:
```bash
python main.py
```
util.py
```python
def later():
    pass
"""


def typed(*words: str, stdin: str | None = None) -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["parse", *words], input=stdin)
    return done.exit_code, done.output


def test_a_person_sees_files_doubts_and_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "answer.txt").write_text(ANSWER)
    status, output = typed(str(tmp_path / "answer.txt"))
    assert status == 0
    assert "file        main.py  1 lines\n" in output
    assert "no file     line 9: it holds shell commands: python main.py" in output
    assert "util.py  2 lines  (cut)" in output
    assert 'unfinished: function "later" (line 1) has no body' in output
    assert "conclusion  none" in output


def test_standard_input_an_expected_file_a_conclusion_and_a_loop() -> None:
    assert "file        app.py" in typed("-", "--expected", "app.py", stdin="```python\nx = 1\n```\n")[1]
    assert "conclusion  Finished" in typed("-", stdin="<INFO> Finished")[1]
    assert "repeating the same words" in typed("-", stdin="and again\n" * 100)[1]


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.jsonl.gz"])
def test_a_program_gets_json_for_each_line(tmp_path: Path, name: str) -> None:
    lines = "\n".join(json.dumps({"response": response}) for response in (ANSWER, "<INFO> Python")) + "\n\n"
    file = tmp_path / name
    file.write_bytes(gzip.compress(lines.encode()) if name.endswith(".gz") else lines.encode())
    status, output = typed("--jsonl", str(file))
    first, second = map(json.loads, output.splitlines())
    assert status == 0
    assert [(one["name"], one["cut"]) for one in first["files"]] == [("main.py", False), ("util.py", True)]
    assert first["files"][0]["sha1"] == hashlib.sha1(b'print("hello")').hexdigest()
    assert first["milliseconds"] >= 0
    assert (second["files"], second["conclusion"]) == ([], "Python")


def test_a_cut_answer_is_known_by_its_finish_reason() -> None:
    line = json.dumps({"response": "README.md\n```markdown\n```sh\nls\n```\n", "finish_reason": "length"})
    assert json.loads(typed("--jsonl", "-", stdin=line)[1])["files"][0]["cut"]


@pytest.mark.parametrize(
    ("line", "expected"), [("{", "is not JSON"), ("[]", "has no text"), ('{"response": 1}', "has no text")]
)
def test_a_bad_line_is_reported_by_its_number(line: str, expected: str) -> None:
    status, output = typed("--jsonl", "-", stdin=f'{{"response": ""}}\n{line}\n')
    assert status == 2
    assert "Line 2" in output
    assert expected in output


def test_a_file_that_cannot_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "broken.gz").write_bytes(b"no gzip")
    (tmp_path / "latin").write_bytes(b"\xe9")
    for name in ("absent", "broken.gz", "latin"):
        status, output = typed(str(tmp_path / name))
        assert status == 2
        assert ("is not UTF-8" if name == "latin" else "cannot be read") in output
