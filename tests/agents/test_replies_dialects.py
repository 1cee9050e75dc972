"""Files in the forms of other programs: tags, tool calls, heredocs, and fences that are missing."""

import json

import pytest

from chatdev.agents import replies

CODE = "import sys\n\nif sys.argv:\n    print('<a> \\n & b')\n"
README = "# Title\n\n```bash\npython main.py\n```\n"
CALL = {"path": "main.py", "content": CODE}


def read(answer: str, **present: str) -> dict[str, str]:
    known = {f"{name}.py": text for name, text in present.items()}
    return {
        file.path: file.text for file in replies.read(answer, expected=["main.py"], present=known).files if file.whole
    }


@pytest.mark.parametrize(
    "form",
    [
        '<file path="main.py">\n{}</file>',
        '<file name="main.py">\n```python\n{}```\n</file>',
        "<file path='main.py'><![CDATA[\n{}]]></file>",
        '<create_file path="main.py">\n{}</create_file>',
        '<antArtifact identifier="main" type="application/vnd.ant.code" title="main.py">\n{}</antArtifact>',
        '<boltArtifact id="x">\n<boltAction type="file" filePath="main.py">\n{}</boltAction>\n</boltArtifact>',
        '<dyad-write path="main.py" description="The program.">\n{}</dyad-write>',
        "<write_to_file>\n<path>main.py</path>\n<content>\n{}</content>\n<line_count>4</line_count>\n</write_to_file>",
        "<file>\n  <path>main.py</path>\n  <content>\n{}</content>\n</file>",
        "<file><name>main.py</name>\n<content>{}</content></file>",
        "<file_path>\nmain.py\n</file_path>\n<file_content>\n{}</file_content>",
        '<invoke name="create_file">\n<parameter name="path">main.py</parameter>\n'
        '<parameter name="file_text">{}</parameter>\n</invoke>',
        "<tool_call>\n<function=write_file>\n<parameter=content>\n{}</parameter>\n<parameter=path>\nmain.py\n</parameter>\n"
        "</function>\n</tool_call>",
        "<tool_call>write_file\n<arg_key>path</arg_key>\n<arg_value>main.py</arg_value>\n<arg_key>content</arg_key>\n"
        "<arg_value>{}</arg_value>\n</tool_call>",
        "<main.py>\n{}</main.py>",
        "cat > main.py << 'EOF'\n{}EOF",
        "```bash\nmkdir -p src\ncat > main.py <<'EOF'\n{}EOF\npython main.py\n```",
        '```sh\ncat <<"END" > main.py\n{}END\n```',
        "```\ntee main.py > /dev/null <<'EOF'\n{}EOF\n```",
        "main.py\n```bash\ncat > main.py << 'EOF'\n{}EOF\n```",
        "main.py\n{}```",
        "### main.py\n\n{}\n```\n\nThat is all.",
        "main.py\n\npython\n{}```",
        "main.py\n\n{}",
        "{}",
    ],
)
def test_a_file_between_tags_or_marks_is_read(form: str) -> None:
    answer = "Here it is.\n\n" + form.format(CODE) + "\n" if form not in ("{}", "main.py\n\n{}") else form.format(CODE)
    assert read(answer) == {"main.py": CODE}


@pytest.mark.parametrize(
    "answer",
    [
        json.dumps(CALL),
        json.dumps([CALL]),
        json.dumps({"files": [CALL]}, indent=2),
        json.dumps({"main.py": CODE}),
        json.dumps({"name": "write_file", "arguments": CALL}),
        json.dumps({"function": {"name": "write_file", "arguments": json.dumps(CALL)}}),
        json.dumps({"tool_calls": [{"function": {"name": "write_file", "arguments": json.dumps(CALL)}}]}),
        json.dumps({"action": "write", "action_input": {"file_path": "main.py", "content": CODE.split("\n")[:-1]}}),
        '{"path": "main.py", "content": "' + CODE.replace("\\", "\\\\") + '"}',
        f"<tool_call>\n{json.dumps({'name': 'write_file', 'arguments': CALL})}\n</tool_call>",
        f"[TOOL_CALLS] {json.dumps([{'name': 'write_file', 'arguments': CALL}])}",
        f"[TOOL_CALLS]write_file{json.dumps(CALL)}",
        f"<|python_tag|>{json.dumps({'name': 'write_file', 'parameters': CALL})}<|eom_id|>",
        "<|tool_calls_section_begin|><|tool_call_begin|>functions.write_file:0<|tool_call_argument_begin|>"
        f"{json.dumps(CALL)}<|tool_call_end|><|tool_calls_section_end|>",
        "<|channel|>commentary to=functions.write_file <|constrain|>json<|message|>" + json.dumps(CALL) + "<|call|>",
        f"I write it:\n```json\n{json.dumps(CALL, indent=2)}\n```\n",
        f"```tool_call\n{json.dumps({'name': 'write_file', 'arguments': CALL})}\n```\n",
        f"main.py\n```json\n{json.dumps(CALL)}\n```\n",
        f"```tool_code\nprint(write_file(path='main.py', content={CODE!r}))\n```\n",
        f"```python\ncreate_file('main.py', {CODE!r})\n```\n",
    ],
)
def test_a_file_in_the_arguments_of_a_call_is_read(answer: str) -> None:
    assert read(answer) == {"main.py": CODE}


def test_a_call_that_replaces_a_text_changes_the_file() -> None:
    call = {"path": "main.py", "old_str": "    print('<a> \\n & b')", "new_str": "    print(2)"}
    after = CODE.replace("'<a> \\n & b'", "2")
    tags = "".join(f'<parameter name="{key}">{value}</parameter>\n' for key, value in call.items())
    for answer in (json.dumps(call), f'<invoke name="edit">\n{tags}</invoke>\n'):
        assert read(answer, main=CODE) == {"main.py": after}
        assert read(answer, main="x = 1\n") == {}


def test_several_files_in_one_form_are_all_read() -> None:
    tags = f'<file path="main.py">\n{CODE}</file>\n<file path="README.md">\n{README}</file>\n'
    calls = json.dumps([CALL, {"path": "README.md", "content": README}])
    heredocs = f"````bash\ncat > main.py <<'EOF'\n{CODE}EOF\ncat > README.md <<'EOF'\n{README}EOF\n````\n"
    for answer in (tags, calls, heredocs):
        assert read(answer) == {"main.py": CODE, "README.md": README}
    assert read(f"main.py\n{CODE}```\n\nutil.py\n{CODE}```\n") == {"main.py": CODE, "util.py": CODE}
    assert read(f"main.py\n{CODE}\nutil.py\n{CODE}") == {"main.py": CODE, "util.py": CODE}


def test_other_forms_stand_beside_fenced_blocks() -> None:
    answer = f'util.py\n```python\nx = 1\n```\n\n<file path="main.py">\n{CODE}</file>\n\n```\noutput\n```\n'
    assert read(answer) == {"util.py": "x = 1\n", "main.py": CODE}


def test_a_file_whose_tag_is_never_closed_is_cut() -> None:
    for opening in ('<file path="main.py">\n', "<write_to_file>\n<path>main.py</path>\n<content>\n"):
        (file,) = replies.files(opening + "x = 1\ny = ")
        assert (file.path, file.text, file.cut) == ("main.py", "x = 1\ny =\n".replace("=\n", "= \n"), True)


def test_a_command_with_an_open_mark_is_written_as_the_shell_does() -> None:
    assert read("```bash\ncat > main.py <<EOF\nprint('\\$x \\`y\\`')\nEOF\n```\n") == {"main.py": "print('$x `y`')\n"}


@pytest.mark.parametrize(
    "answer",
    [
        f"An example of a request:\n```json\n{json.dumps({'path': 'a.txt', 'content': 'x'})}\n```\n",
        f"To test it, run:\n\n{json.dumps({'filename': 'a.txt', 'content': 'x'})}\n",
        f"```json\n{json.dumps({'path': '/api/items', 'body': 'x'})}\n```\n",
        f"```json\n{json.dumps({'name': 'John', 'text': 'hello'})}\n```\n",
        f"```json\n{json.dumps({'exports': {'index.js': 'dist/index.js'}})}\n```\n",
        "```bash\n$ cat > main.py <<EOF\n> print(1)\n> EOF\n$ python main.py\n1\n```\n",
        "```bash\ncat > input.txt <<EOF\n1 2\nEOF\npython main.py < input.txt\n```\n",
        "```bash\ncat >> main.py <<EOF\nx = 1\nEOF\n```\n",
        "```bash\ncat > main.py <<EOF\nx = 1\n```\n",
        '<a href="main.py">\nthe program\n</a>\n',
        '<script src="main.js">\nx\n</script>\n',
        '<input name="main.py">\n',
        "<path>main.py</path> is where the program stands.\n",
        "<path>main.py</path>\nIt has this:\n<content>\nx = 1\n</content>\n",
        "<main.py>\nx = 1\n",
        'The file `<file path="main.py">` is written by a tool.\n',
        '```xml\nFor example: <file path="main.py">x</file>\n```\n',
        "```python\nwrite_file('main.py', text)\nstart()\n```\n",
        "main.py\nThis program prints its arguments.\n```\nhello\n```\n",
        "main.py\n\nThe program is ready. It prints its arguments.\n",
        "It works.\n",
    ],
)
def test_an_example_a_transcript_or_prose_is_no_file(answer: str) -> None:
    assert replies.files(answer) == ()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("main.py", f"TEXT = '''\n<file path=\"a.py\">\nx\n</file>\n{json.dumps(CALL)}\n'''\n"),
        ("setup.sh", "cat > main.py <<'EOF'\nx = 1\nEOF\n"),
        ("data.json", json.dumps(CALL) + "\n"),
        ("pom.xml", "<file>\n<path>main.py</path>\n<content>\nx\n</content>\n</file>\n"),
        ("README.md", f"Write it:\n\n    cat > main.py <<EOF\n\n{json.dumps(CALL)}\n"),
    ],
)
def test_such_forms_inside_a_named_file_are_its_own(path: str, text: str) -> None:
    assert read(f"{path}\n````\n{text}````\n") == {path: text}
    assert read(f'<file path="{path}">\n{text}</file>\n<end/>\n').get(path) == text or "</file>" in text
