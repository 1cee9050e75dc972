"""Fences as models write them: nested, doubled, unclosed, glued; and what leaks around them."""

import pytest

from chatdev.agents import replies


def read(answer: str, finish_reason: str = "stop") -> dict[str, str]:
    return {file.path: file.text for file in replies.files(answer, finish_reason=finish_reason)}


def test_text_is_kept_to_the_byte() -> None:
    text = '\n\tx = """\n\n  trailing  \n\n"""\t \r\n\x0c\n\u2028y\n\n\n'
    assert read(f"a.py\n```python\n{text}```\n") == {"a.py": text}


def test_a_last_newline_is_ensured_once() -> None:
    assert read("a.txt\n```\none\n```\n") == {"a.txt": "one\n"}
    assert read("a.txt\n```\none\n\n```\n") == {"a.txt": "one\n\n"}
    assert read("pkg/__init__.py\n```\n```\n") == {"pkg/__init__.py": ""}


def test_line_ends_are_normalised_only_where_the_whole_answer_has_them() -> None:
    assert read("a.txt\r\n```\r\none\r\ntwo\r\n```\r\n") == {"a.txt": "one\ntwo\n"}
    assert read("a.bat\n```\none\r\ntwo\r\n```\n") == {"a.bat": "one\r\ntwo\r\n"}
    assert read("a.txt\r\n```\r\none\n```\r\n") == {"a.txt": "one\n"}


def test_an_unclosed_last_fence_is_kept_and_marked_cut() -> None:
    first, last = replies.files("a.py\n```\nx = 1\n```\nb.py\n```\ny = 2\n  z", finish_reason="length")
    assert (first.cut, last.cut, last.text, last.doubts) == (False, True, "y = 2\n  z\n", ("cut",))


def test_a_fence_glued_to_the_last_line_closes() -> None:
    (file,) = replies.files("a.py\n```\nmain()```")
    assert (file.text, file.cut) == ("main()\n", False)


def test_a_fence_with_punctuation_or_prose_behind_it_closes() -> None:
    for end in ("```.", '```"', "```]", "``` ", "``` That is all of it."):
        assert read(f"a.py\n```python\nx = 1\n{end}\nmore words\n") == {"a.py": "x = 1\n"}


def test_a_path_and_its_fence_may_share_a_line() -> None:
    assert read("a.py ```python\nx = 1\n```\n**b.py** ```\ny = 2\n```\n") == {"a.py": "x = 1\n", "b.py": "y = 2\n"}


def test_a_fence_that_was_never_closed_ends_where_the_next_file_begins() -> None:
    answer = "a.py\n```python\nx = 1\n\nb.py\n```python\ny = 2\n```\n"
    first, second = replies.files(answer)
    assert (first.text, first.cut, first.doubts) == ("x = 1\n", False, ("not closed",))
    assert second.text == "y = 2\n"


def test_a_fence_that_was_never_closed_ends_at_the_next_info_string() -> None:
    assert read("a.py\n```python\nx = 1\n```js b.js\nlet y\n```\n") == {"a.py": "x = 1\n", "b.js": "let y\n"}


@pytest.mark.parametrize("name", ["# a.py", "a.py", "", "# The program of\n# a.py"])
def test_a_fence_opened_twice_counts_once(name: str) -> None:
    answer = f"a.py\n\n```python\n{name}\n```python\nx = 1\n```\n```\n\nThat was it.\n"
    assert read(answer) == {"a.py": "x = 1\n"}


def test_the_name_in_the_first_of_two_opening_fences_counts() -> None:
    assert read("```python\n# a.py\n```python\nx = 1\n```\n") == {"a.py": "x = 1\n"}
    assert read("```python# a.py\n```python\nx = 1\n```\n") == {"a.py": "x = 1\n"}


def test_a_doubled_closing_fence_does_not_swallow_the_next_file() -> None:
    answer = "a.py\n```\nx = 1\n```\n```\n\nb.py\n```\ny = 2\n```\n```\n\n### c.py\n```python\nz = 3\n```\n"
    assert read(answer) == {"a.py": "x = 1\n", "b.py": "y = 2\n", "c.py": "z = 3\n"}


def test_two_blocks_without_a_gap_are_two() -> None:
    answer = "a.py\n```python\nx = 1\n```\n```\noutput\n```\nb.py\n```\ny = 2\n```\n"
    assert read(answer) == {"a.py": "x = 1\n", "b.py": "y = 2\n"}


@pytest.mark.parametrize(
    ("info", "text"),
    [
        ("pythonimport sys", "import sys\nx = 1\n"),
        ("python'''Says hello.'''", "'''Says hello.'''\nx = 1\n"),
        ("html<!DOCTYPE html>", "<!DOCTYPE html>\nx = 1\n"),
    ],
)
def test_code_glued_to_the_info_string_is_given_back(info: str, text: str) -> None:
    assert read(f"a.txt\n```{info}\nx = 1\n```\n") == {"a.txt": text}


README = "# Title\n\nInstall:\n\n```bash\npip install x\n```\n\n## Use\n\n```\npython a.py\n```\n\nThe end.\n"


@pytest.mark.parametrize("info", ["", "markdown", "md"])
def test_a_readme_keeps_the_fences_inside_of_it(info: str) -> None:
    answer = f"README.md\n```{info}\n{README}```\n\na.py\n```python\nx = 1\n```\n"
    assert read(answer) == {"README.md": README, "a.py": "x = 1\n"}
    assert "fences inside" in replies.files(answer)[0].doubts


def test_a_readme_without_blank_lines_keeps_its_fences() -> None:
    tight = "# Title\nInstall:\n```\npip install x\n```\nUse:\n```\npython a.py\n```\n"
    assert read(f"README.md\n```md\n{tight}```\n") == {"README.md": tight}


def test_blocks_after_a_readme_do_not_belong_to_it() -> None:
    answer = "README.md\n```md\n# Title\n```\n\nTo install:\n\n```bash\npip install x\n```\n\nThen:\n\n```\nok\n```\n"
    assert read(answer) == {"README.md": "# Title\n"}


def test_a_readme_whose_own_fence_was_forgotten_is_kept() -> None:
    assert read("README.md\n```md\n# Title\n```bash\npip install x\n```\n") == {
        "README.md": "# Title\n```bash\npip install x\n```\n"
    }
    (file,) = replies.files("README.md\n```\n# Title\n\n```\npip install x\n```\n\nThe end.\n")
    assert (file.text, file.cut) == ("# Title\n\n```\npip install x\n```\n\nThe end.\n", True)


def test_a_readme_that_was_never_closed_ends_where_the_next_file_begins() -> None:
    assert read("README.md\n```md\n# Title\n\na.py\n```python\nx = 1\n```\n") == {
        "README.md": "# Title\n",
        "a.py": "x = 1\n",
    }


def test_a_file_with_fences_that_ends_where_the_tokens_ended_is_cut() -> None:
    answer = "README.md\n```md\n# Title\n\n```bash\npip install x\n```\n\n## Use\n\n```\n"
    assert [file.cut for file in replies.files(answer, finish_reason="length")] == [True]


def test_python_called_markdown_is_still_python() -> None:
    assert read("a.py\n```markdown\nx = 1\n```\n\nRun:\n```\npython a.py\n```\n") == {"a.py": "x = 1\n"}


@pytest.mark.parametrize("quotes", ["'''", '"""'])
def test_fences_inside_a_string_belong_to_the_string(quotes: str) -> None:
    text = f"PROMPT = {quotes}\n```json\n{{}}\n```\nand\n```\nplain\n```\n{quotes}\nprint(PROMPT)\n"
    assert read(f"a.py\n```python\n{text}```\n\nb.py\n```python\ny = 2\n```\n") == {"a.py": text, "b.py": "y = 2\n"}


def test_a_string_that_never_ends_does_not_swallow_what_follows() -> None:
    answer = "a.py\n```python\nx = '''\n```\n\nb.py\n```python\ny = 2\n```\n\nRun:\n```\nok\n```\n"
    assert read(answer) == {"a.py": "x = '''\n", "b.py": "y = 2\n"}


def test_files_that_speak_of_triple_quotes_do_not_run_together() -> None:
    one, two = "x = s.startswith(\"'''\")\n", "# a lone ''' in a comment\n"
    answer = f"a.py\n```python\n{one}```\n\nb.py\n```python\n{two}```\n\nc.py\n```python\n{two}```\n"
    assert read(answer) == {"a.py": one, "b.py": two, "c.py": two}


def test_longer_and_tilde_fences_hold_shorter_ones() -> None:
    assert read("README.md\n````md\n```\nx\n```\n````\n") == {"README.md": "```\nx\n```\n"}
    assert read("README.md\n~~~\n```\nx\n```\n~~~\n") == {"README.md": "```\nx\n```\n"}
    assert read("a.py\n`````python\nx = 1\n`````\n") == {"a.py": "x = 1\n"}


def test_a_long_fence_closed_by_a_shorter_one_is_closed() -> None:
    assert read("a.py\n````python\nx = 1\n```\n\nb.py\n```\ny\n```\n") == {"a.py": "x = 1\n", "b.py": "y\n"}


def test_blocks_in_a_list_lose_the_lists_indent_and_nothing_else() -> None:
    answer = "1. a.py\n\n   ```python\n   if x:\n       y()\n\n  z\n   ```\n"
    assert read(answer) == {"a.py": "if x:\n    y()\n\nz\n"}
    assert read("- ```python a.py\n  x = 1\n  ```\n") == {"a.py": "x = 1\n"}


@pytest.mark.parametrize(
    "thought",
    [
        "<think>\nLet me write x.py\n```python\nwrong\n```\n</think>\n",
        "<think>one line</think>\n",
        "<thinking>\nhm\n</thinking>\n\n",
        "[THINK]hm\n```\n[/THINK]\n",
        "I should write it.\n```\nx.py\n```\n</think>\n",
        "an unclosed draft\n```python\nx\n</think>\n",
        "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>",
    ],
)
def test_thoughts_are_removed(thought: str) -> None:
    assert read(f"{thought}a.py\n```\nx = 1\n```\n") == {"a.py": "x = 1\n"}


def test_an_unclosed_thought_leaves_nothing() -> None:
    assert replies.read("<think>\na.py\n```\nx = 1\n```\n") == replies.ParsedReply()


def test_thinking_tags_inside_a_file_are_its_own() -> None:
    text = "<think>\nx\n</think> # not alone\nprint('<think>')\n"
    assert read(f"a.py\n```\n{text}```\n") == {"a.py": text}


@pytest.mark.parametrize(
    "leaked",
    [
        "<|im_end|>",
        "</s>",
        "<|eot_id|>\n\n",
        "<|im_end|>\n<|im_start|>user\nb.py\n```\ny = 2\n```\n",
        "\n<end_of_turn>\n<start_of_turn>user\nb.py\n```\ny = 2\n```\n",
        "\n[INST] b.py\n```\ny = 2\n```\n[/INST]",
        "\n<｜end▁of▁sentence｜>",
    ],
)
def test_leaked_template_tokens_end_the_answer(leaked: str) -> None:
    assert read(f"a.py\n```python\nx = 1\n```{leaked}") == {"a.py": "x = 1\n"}


def test_tokens_at_the_front_go_and_those_in_a_file_stay() -> None:
    text = "TOKENS = [\n'''\n<|im_end|>\n''']\n"
    assert read(f"<|im_start|>assistant\n<s> a.py\n```python\n{text}```\n") == {"a.py": text}


def test_a_token_behind_cut_code_goes() -> None:
    assert read("a.py\n```\nx = 1<|endoftext|>") == {"a.py": "x = 1\n"}


def test_half_characters_are_replaced() -> None:
    assert read("a.txt\n```\nx\ud83d\n\ud83d\ude00\n```\n") == {"a.txt": "x\ufffd\n😀\n"}


@pytest.mark.parametrize("answer", ["", "\n", "```", "```\n```", "just words", "~~~\n", "```python\n"])
def test_an_answer_without_a_file_has_none(answer: str) -> None:
    assert replies.files(answer) == ()
