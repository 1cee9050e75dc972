"""What stands around an answer and is not part of it: thoughts, template tokens, quotation marks."""

import pytest

from chatdev.agents import replies

DRAFT = "Let me draft main.py\n```python\nwrong = 1\n```\n"
ANSWER = "main.py\n```python\nx = 1\n```\n"


def read(answer: str) -> dict[str, str]:
    return {file.path: file.text for file in replies.files(answer, expected=["main.py"])}


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<seed:think>\n", "</seed:think>\n"),
        ("<longcat_think>\n", "</longcat_think>\n"),
        ("<mm:think>\n", "</mm:think>\n"),
        ("<think_fast>\n", "</think_fast>\n"),
        ('<thinking budget="high">\n', "</thinking>\n"),
        ("<scratchpad>\n", "</scratchpad>\n"),
        ("<inner_monologue>\n", "</inner_monologue>\n"),
        ("<|thinking|>\n", "<|/thinking|>\n"),
        ("<|begin_of_thought|>\n", "<|end_of_thought|>\n\n<|begin_of_solution|>\n"),
        ("<|START_THINKING|>", "<|END_THINKING|>\n<|START_RESPONSE|>"),
        ("<|channel>thought\n", "<channel|>"),
        ("<unused94>thought\n", "<unused95>"),
        ("<|inner_prefix|>", "<|inner_suffix|>"),
        ("<s><|im_start|>assistant<think>\n", "</think>\n"),
        ("Certainly! <think>\n", "</think>\n"),
        ("<think\n", "</think>\n"),
        ("<chain_of_thought>\n", "</chain_of_thought>\n"),
        ("<reasoning_content>\n", "</reasoning_content>\n"),
        ("Thinking...\n", "...done thinking.\n\n"),
        ("Here is my thought process:\n", "Here is my response:\n"),
    ],
)
def test_a_draft_in_a_thought_is_not_the_answer(opening: str, closing: str) -> None:
    assert read(f"{opening}{DRAFT}{closing}{ANSWER}") == {"main.py": "x = 1\n"}


@pytest.mark.parametrize("opening", ["<seed:think>\n", "<|channel>thought\n", "<unused94>", "<|thinking|>", "<think\n"])
def test_a_thought_that_never_ends_leaves_nothing(opening: str) -> None:
    assert read(f"{opening}{DRAFT}{ANSWER}") == {}


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (f"<|channel|>analysis<|message|>{DRAFT}", None),
        (f"<|start|>assistant<|channel|>analysis<|message|>{DRAFT}{ANSWER}", None),
        (
            f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final<|message|>{ANSWER}",
            "x = 1\n",
        ),
        (f"<|channel|>analysis<|message|>{DRAFT}<|end|><|channel|>commentary<|message|>{ANSWER}<|end|>", "x = 1\n"),
        (f"<|channel|>final <|constrain|>text<|message|>{ANSWER}<|return|>", "x = 1\n"),
        (f"analysisWe need a file. {DRAFT}assistantfinal{ANSWER}", "x = 1\n"),
        (f"analysisWe need a file.\n{DRAFT}", None),
    ],
)
def test_only_the_channels_for_the_user_are_the_answer(answer: str, text: str | None) -> None:
    assert read(answer) == ({"main.py": text} if text else {})


def test_a_program_about_channels_or_thoughts_stays_as_it_is() -> None:
    text = 'MARK = "<|channel|>final<|message|>"\nTAG = "<seed:think>"\n'
    assert read(f"main.py\n```python\n{text}```\n") == {"main.py": text}
    assert read("A model writes `<think>` first. It ends with `</think>`.\n" + ANSWER) == {"main.py": "x = 1\n"}
    assert read("analysisTool.py\n```python\nx = 1\n```\n") == {"analysisTool.py": "x = 1\n"}


@pytest.mark.parametrize(
    "token",
    [
        "[gMASK]",
        "[gMASK]<sop>",
        "<sop>",
        "<|assistant|>\n",
        "[|assistant|]",
        "<bos>",
        "<|begin_of_box|>",
        "<answer>\n",
        "<tool_call>\n",
        "<｜Assistant｜>",
        "<|turn>model\n",
        "\ufeff",
    ],
)
def test_a_token_at_the_start_is_removed(token: str) -> None:
    assert read(token + ANSWER) == {"main.py": "x = 1\n"}


@pytest.mark.parametrize(
    "token",
    [
        "[|endofturn|]",
        "<end_of_utterance>",
        "</tool_call>",
        "<|end_of_box|>",
        "<|user|>",
        "<eos>",
        "<eop>",
        "</answer>",
        "<turn|>",
        "[e~[",
        "<|im_end",
        "<|im_end|",
        "<|im_end>",
        "<EOT>",
        "<im_end>",
        "<reserved_106>",
        "<|fim_end|>",
    ],
)
@pytest.mark.parametrize("gap", ["", "\n"])
def test_a_token_at_the_end_is_removed(token: str, gap: str) -> None:
    assert read(ANSWER.rstrip() + gap + token) == {"main.py": "x = 1\n"}
    (cut,) = replies.files("main.py\n```python\nx = 1" + token)
    assert (cut.text, cut.cut) == ("x = 1\n", True)


def test_tokens_inside_a_file_are_its_own() -> None:
    text = "TOKENS = '''\n[gMASK]\n<sop>\n[|endofturn|]\n<tool_call>\n'''\n"
    assert read(f"main.py\n```python\n{text}```\n") == {"main.py": text}


def test_a_call_of_a_tool_does_not_end_the_turn() -> None:
    assert read(f"Let me see.\n<|tool_call_begin|>\n{ANSWER}") == {"main.py": "x = 1\n"}


def test_an_answer_in_quotation_marks_is_read() -> None:
    quoted = "".join(f"> {line}\n" for line in "main.py\n```python\nif x:\n    y()\n\nz()\n```".split("\n"))
    assert read(quoted.replace("> \n", ">\n")) == {"main.py": "if x:\n    y()\n\nz()\n"}


def test_what_is_quoted_beside_the_answer_is_not_read() -> None:
    quoted = "> old.py\n> ```python\n> wrong = 1\n> ```\n"
    assert read(f"You wrote:\n{quoted}\nHere it is:\n\n{ANSWER}") == {"main.py": "x = 1\n"}


def test_a_quoted_diff_is_not_read() -> None:
    assert read("> main.py\n> ```diff\n> - x = 1\n> + x = 2\n> ```\n") == {}


@pytest.mark.parametrize("mark", ["'''", "´´´", "｀｀｀", "‘‘‘"])
def test_fences_of_other_marks_are_read(mark: str) -> None:
    assert read(f"main.py\n{mark}python\nx = 1\n{mark}\n\nutil.py\n{mark}python\ny = 2\n{mark}\n") == {
        "main.py": "x = 1\n",
        "util.py": "y = 2\n",
    }


def test_quotes_of_python_are_no_fences() -> None:
    text = "'''\nA program.\n'''\nprint(1)\n"
    assert read(f"main.py\n```python\n{text}```\n") == {"main.py": text}
    assert read(text) == {"main.py": text}
