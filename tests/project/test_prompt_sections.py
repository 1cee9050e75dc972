"""What may be cut out of a conversation, and in which order."""

from collections.abc import Sequence

import msgspec
import pytest

from chatdev.company import config
from chatdev.journal.events import ProductStarted, TestResult, TestsRan
from chatdev.models.types import Message
from chatdev.project.prompt_sections import LEFT_OUT, named
from chatdev.project.prompts import Prompts
from chatdev.project.state import State

COMPANY = config.load(config.find("full"))
BODY = "\n".join(f"    x{number} = {number}  # a line of the body" for number in range(30))
STATE = State(
    task="greet",
    name="Greeting",
    files={
        "main.py": f"def main():\n{BODY}\n",
        "words.py": f"def greeting():\n{BODY}\n    return x1\n",
        "voice/loud.py": f"def shout():\n{BODY}\n",
        "tests/test_words.py": f"import words\n\n\ndef test_greeting():\n{BODY}\n",
        "tests/test_other.py": f"def test_other():\n{BODY}\n",
        "manual.md": "Not shown. " * 20,
    },
)


def asked(state: State, phase: str = "CodeReviewComment", **values: str) -> list[Message]:
    for name, value in values.items():
        state = state.with_value(name, value)
    question = Prompts(COMPANY).question(COMPANY.phases[phase], state, "Programmer")
    return [Message("system", Prompts(COMPANY).background(state)), Message("user", question)]


def order(messages: Sequence[Message], state: State = STATE, said: Sequence[str] = ()) -> list[str]:
    """The names of what may be cut, first to last."""
    parts = [part for message in named(messages, state, said) for part in message.parts if part.shorten]
    return [part.name for part in sorted(parts, key=lambda part: part.rank)]


def test_the_parts_make_up_the_message_to_the_byte() -> None:
    before = asked(STATE)
    after = named(before, STATE, [])
    assert [message.content for message in after] == [message.content for message in before]
    assert ["".join(part.text for part in message.parts) for message in after] == ["", before[1].content]


def test_tests_go_before_the_program_and_long_files_before_short_ones() -> None:
    assert order(asked(STATE)) == [
        "tests/test_words.py",
        "tests/test_other.py",
        "words.py",
        "voice/loud.py",
        "main.py",
    ]


@pytest.mark.parametrize("words", ["words.py is wrong", "In `words.py`, line 3", "see ./words.py:4"])
def test_a_file_that_the_question_names_is_never_cut(words: str) -> None:
    assert "words.py" not in order(asked(STATE, "CodeReviewModification", comments=words))


@pytest.mark.parametrize("words", ["crosswords.py", "words.pyc", "Nothing to say."])
def test_a_file_is_not_named_by_what_only_looks_like_it(words: str) -> None:
    assert "words.py" in order(asked(STATE, "CodeReviewModification", comments=words))


def test_a_failing_test_and_what_it_imports_are_kept_longest() -> None:
    results = (TestResult("tests/test_words.py::test_greeting", "failed", "AssertionError"),)
    state = msgspec.structs.replace(STATE, tests=TestsRan("p", STATE.digest, results))
    assert order(asked(state), state)[-2:] == ["tests/test_words.py", "words.py"]


def test_long_outputs_are_shown_by_their_ends() -> None:
    state = msgspec.structs.replace(
        STATE, started=ProductStarted("p", STATE.digest, "alive", output="\n".join(map(str, range(1, 301))))
    )
    messages = named(asked(state, "StartModification"), state, [])
    output = next(part for part in messages[1].parts if part.name == "the product's output")
    assert output.shorten
    lines = output.shorten().splitlines()
    assert (lines[0], lines[12], lines[-1], len(lines)) == ("It runs.", LEFT_OUT, "300", 25)
    assert order(asked(state, "StartModification"), state)[-1] == "the product's output"


def test_a_short_output_stays_as_it_is() -> None:
    state = msgspec.structs.replace(STATE, started=ProductStarted("p", STATE.digest, "alive", output="x" * 200))
    parts = named(asked(state, "StartModification"), state, [])[1].parts
    assert all(part.shorten is None or part.shorten() == part.text for part in parts if "output" in part.name)


def test_the_oldest_talk_goes_first_and_the_latest_after_the_files() -> None:
    said = [f"{letter * 200} says something about it" for letter in "abc"]
    talk = [*asked(STATE), *(Message("assistant", text) for text in said), Message("user", "And now?")]
    parts = [part for message in named(talk, STATE, said) for part in message.parts if part.shorten]
    first = [part.text[0] for part in sorted(parts, key=lambda part: part.rank)]
    assert (first[:2], first[-1]) == (["a", "b"], "c")
    assert {part.shorten() for part in parts if part.name == "an earlier answer" and part.shorten} == {LEFT_OUT}


def test_a_talk_inside_one_message_is_found_there() -> None:
    talk = ["What about colours? " * 20, "Blue. " * 50]
    text = f"Question\n\nCTO: {talk[0].strip()}\n\nCEO: {talk[1].strip()}\n\nReply."
    parts = named([Message("user", text)], STATE, [each.strip() for each in talk])[0].parts
    assert [part.name for part in parts] == ["", "an earlier answer", "", "an earlier answer", ""]


def test_what_everyone_must_know_and_small_things_are_never_cut() -> None:
    state = State(task="x" * 5000, name="n", files={"a.py": "x = 1\n"})
    assert order([Message("system", "x" * 5000), Message("user", "a.py\n```\nx = 1\n```")], state, ["x" * 5000]) == []


def test_a_file_without_the_heading_that_we_write_is_found_too() -> None:
    part = named([Message("user", f"The code:\n\n{STATE.files['main.py']}")], STATE, [])[0].parts[1]
    assert (part.name, part.text) == ("main.py", STATE.files["main.py"].rstrip())
