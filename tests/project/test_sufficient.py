"""When an answer is left before its end: only where nothing that may still come could matter."""

from pathlib import Path

import pytest
from helpers.support import ANSWERS, PACKAGES, UNHEARD_OF, WORDS, recording, run

from chatdev.journal.events import ModelAnswered
from chatdev.playback import demo
from chatdev.playback.faults import FaultSpec
from chatdev.project import early_stop

OPTIONS = ("Python", "C++", "command line")
CODE = 'calc.py\n```python\n"""Adds."""\n\n\ndef add(a, b):\n    return a + b\n```\n'


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        ("Because.\n<INFO> Python\n", True),
        ("<INFO> command line.\n", True),
        ("<INFO> something else\n", False),
        ("I could write <INFO> Python\n", False),
        ("<INFO>\n", False),
        ("It prints:\n```\n<INFO> Python\n", False),
        ("It prints:\n```\n<INFO> Python\n```\n", False),
    ],
)
def test_a_choice_is_settled_by_its_last_line(text: str, enough: bool) -> None:
    assert early_stop.settled(OPTIONS)(text) is enough


def test_a_talk_is_settled_by_any_conclusion() -> None:
    assert early_stop.settled()("We agree.\n<INFO> a small calculator\n")
    assert not early_stop.settled()("We agree.\n")


@pytest.mark.parametrize(
    ("text", "enough"),
    [("<INFO> Finished\n", True), ("Rename it.\n<INFO> Finished\n", False), ("<INFO> Rename it\n", False)],
)
def test_a_review_is_heard_out_unless_nothing_must_change(text: str, enough: bool) -> None:
    assert early_stop.nothing_to_change(text) is enough


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        (CODE, True),
        (f"It adds now.\n\n{CODE}", True),
        (f"`calc.py` adds now.\n\n{CODE}", True),
        (f"`main.py` changes, too.\n\n{CODE}", False),
        (f"The `data` file changes, too.\n\n{CODE}", False),
        (f"{CODE}\nmain.py\n```python\nprint(1)\n```\n", False),
        (CODE.replace("calc.py", "other.py"), False),
        (CODE.replace("return a + b\n", 'return """\n'), False),
        (CODE.replace("    return a + b\n", "    ...  # as before\n"), False),
        (CODE.removesuffix("```\n"), False),
        ("```python\nprint(1)\n```\n", False),
    ],
)
def test_the_one_file_asked_for_is_enough_if_nothing_else_was_spoken_of(text: str, enough: bool) -> None:
    assert early_stop.file(lambda: ("calc.py",), ("calc.py", "main.py", "data"))(text) is enough


def test_where_no_file_or_several_are_asked_for_it_is_never_enough() -> None:
    assert not early_stop.file(lambda: ())(CODE)
    assert not early_stop.file(lambda: ("calc.py", "main.py"))(CODE)


def test_a_fence_of_three_in_another_language_may_be_inside_the_file() -> None:
    manual = "manual.md\n```markdown\n# Manual\n```\n"
    assert not early_stop.file(lambda: ("manual.md",))(manual)
    assert early_stop.file(lambda: ("manual.md",))(manual.replace("```", "````"))
    examples = manual.replace("```", "````").replace("# Manual", "# Manual\n```\nrun\n```")
    assert early_stop.file(lambda: ("manual.md",))(examples)
    assert not early_stop.file(lambda: ("manual.md",))(examples.replace("\n```\nrun\n```", "\n````\nrun\n````"))
    assert early_stop.file(lambda: ("requirements.txt",))("requirements.txt\n```text\nnumpy\n```\n")


@pytest.mark.parametrize(
    ("text", "enough"),
    [
        ("Here it is.\n```python\nprint(1)\n```\n", True),
        ("```\nprint(1)\n```\n", True),
        ("```python\nprint(1)\n", False),
        ("```python\nprint(1)\n```\nIt prints 1.\n", False),
        ('```python\nprint("""\n```\n', False),  # the fence is in a string
        ("```sh\npip install x\n```\n", False),
        ("```python\n```\n", False),
    ],
)
def test_a_plain_question_is_answered_by_the_first_whole_program(text: str, enough: bool) -> None:
    assert early_stop.program(text) is enough


def test_no_recorded_answer_is_cut_before_its_last_block() -> None:
    for played in demo.recordings():
        for entry in played.entries:
            ends = [number for number, letter in enumerate(entry.text) if letter == "\n"]
            for early in (early_stop.file(lambda: ("manual.md",)), early_stop.file(lambda: ("requirements.txt",))):
                cut = next((end for end in ends if early(entry.text[: end + 1])), None)
                assert cut is None or not entry.text[cut:].strip(), entry.title


async def test_talkative_answers_are_left_and_the_product_is_the_same(tmp_path: Path) -> None:
    chat = "\n\n" + "I hope that this helps; tell me if anything else is wanted. " * 40
    coding, manual = "Coding.1/Programmer.1/ask.1", "Manual.1/ChiefProductOfficer.1/ask.1"
    answers = ANSWERS | {coding: f"{WORDS}\n{UNHEARD_OF}", PACKAGES: "requirements.txt\n```\nrequests\n```\n"}
    talkative = answers | {place: answers[place].rstrip("\n") + chat for place in (PACKAGES, manual)}
    ran = await run(tmp_path, recording(talkative), FaultSpec(per_token=0.0005))
    assert ran.verdict.verdict == "passed"
    assert (ran.folder / "manual.md").read_text() == "# Greeting\n\nRun main.py.\n"
    stopped = {call.place for call in ran.events(ModelAnswered) if call.stopped}
    assert stopped == {PACKAGES, manual}
    assert all(call.estimated for call in ran.events(ModelAnswered) if call.stopped)
    assert "**stopped early**: 2 answers" in (ran.folder / "REPORT.md").read_text()
