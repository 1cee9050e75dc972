"""Conclusions, choices, requirements and loops out of free text."""

import pytest

from chatdev.agents import replies


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Python fits well.\n\n<INFO> Python", "Python"),
        ("<INFO> Website\nThat is my view.", "Website"),
        ("**<INFO> Website**", "Website"),
        ("`<INFO> Website`", "Website"),
        ('"<INFO> Website"', "Website"),
        ('I answer "<INFO> Website".', "Website"),
        ("<INFO> **Website**", "Website"),
        ("<INFO> *JavaScript*", "JavaScript"),
        ("- <INFO>: Website", "Website"),
        ("> <INFO> Website", "Website"),
        ("<info> Website", "Website"),
        ("<INFO>Website</INFO>", "Website"),
        ("CEO: <INFO> Website", "Website"),
        ("It should be an app. <INFO> Application", "Application"),
        ("(INFO) Website", "Website"),
        ("INFO> Website", "Website"),
        ("**INFO**: Finished.", "Finished."),
        ("<INFO> Website\n<INFO> Application", "Application"),
        ("First <INFO> Website in a sentence.\n<INFO> Application\nOr <INFO> Chart?", "Application"),
        ("<INFO> The method `add` returns the *sum*.", "The method `add` returns the *sum*."),
        ("```\n<INFO> Finished\n```", "Finished"),
        ("<think>maybe <INFO> Chart</think>\nWell: <INFO> Website", "Website"),
        ("<INFO> Website<|im_end|>", "Website"),
        ("<INFO> Website\r\n", "Website"),
        ("<INFO>", None),
        ("<INFO> *", None),
        ("Reply with one line, <INFO> *, please.\n<INFO>", None),
        ("It prints:\n```\n<INFO> Finished\n```\nwhich is wrong.", None),
        ("It prints:\n```text\nwords\n<INFO> Finished\n```", None),
        ("It prints:\n````\n```\n<INFO> Finished\n```\n````\nMend that.\n<INFO> Mend the output", "Mend the output"),
        ("```\nwords\n```\n<INFO> Website", "Website"),
        ("```\nnever closed\n<INFO> Website", "Website"),
        ("> <INFO> Finished\n\nsays its output, which is wrong.", None),
        ("It prints `<INFO> Finished`, which is wrong.\nMend it.", None),
        ('The output "<INFO> Finished" is wrong.\nMend it.', None),
        ("Use Python.", None),
        ("INFO:root:started", None),
        ("logging.info('x')", None),
        ("(INFO) Website\nis what I would say.", None),
        ("", None),
    ],
)
def test_a_conclusion_is_the_rest_of_the_marked_line(answer: str, expected: str | None) -> None:
    assert replies.conclusion(answer) == expected


@pytest.mark.parametrize(
    ("answer", "is_finished"),
    [
        ("<INFO> Finished", True),
        ("All is well.\n**<INFO> finished.**", True),
        ("<INFO> Finished\n\nmain.py\n```python\nx = 1\n```\n", True),
        ("<INFO> Finish the loop in main.py", False),
        ("We are finished.", False),
        ("", False),
    ],
)
def test_finished_is_only_what_is_marked(answer: str, is_finished: bool) -> None:
    assert replies.finished(answer) is is_finished


OPTIONS = ["Application", "Web Application", "Website", "C", "C++", "command line"]


@pytest.mark.parametrize(
    ("answer", "option"),
    [
        ("<INFO> website", "Website"),
        ("<INFO> A website, I think.", "Website"),
        ("<INFO> Web Application", "Web Application"),
        ("a web application it is", "Web Application"),
        ("<INFO> C++", "C++"),
        ("I would write it in C.", "C"),
        ("Application", "Application"),
        ("**Command  Line**.", "command line"),
        ("Not an application and no chart.\n\nWebsite", "Website"),
        ("We weighed website and application.\n<INFO> application", "Application"),
        ("<INFO> something else", None),
        ("A website or an application?", None),
        ("websites are nice", None),
        ("nothing of the kind", None),
        ('{"choice": "C"}', "C"),
        ('Thus:\n```json\n{ "choice" : "Website" }', "Website"),
        ('{"choice": "something else"}', None),
        ("That was decision c) of the plan.", None),
        ("Option\nC is the third.", None),
        ("", None),
    ],
)
def test_a_choice_is_one_option_or_none(answer: str, option: str | None) -> None:
    assert replies.choice(answer, OPTIONS) == option


def test_a_choice_needs_options() -> None:
    assert replies.choice("<INFO> Website", []) is None


@pytest.mark.parametrize(
    ("answer", "lines"),
    [
        ("requirements.txt\n```\nflask==2.0.1\nnumpy>=1.19,<2\n```\nThat is all.", ("flask==2.0.1", "numpy>=1.19,<2")),
        ("```\nflask\n```", ("flask",)),
        ("```bash\npip install flask 'requests[socks]>=2'\n```", ("flask", "requests[socks]>=2")),
        ("```bash\nflask\n```", ("flask",)),
        ("flask\nnumpy==1.0 # for arrays\n", ("flask", "numpy==1.0")),
        ("requirements.txt\n\nflask\n", ("flask",)),
        ("- flask\n- numpy\n", ("flask", "numpy")),
        ("```txt\nFlask\nflask==2\nruamel.yaml\nruamel-yaml\n```", ("Flask", "ruamel.yaml")),
        ("```\nx; python_version < '3.12'\n```", ("x; python_version < '3.12'",)),
        ("```\nflask,\ny [a] ()\n0,\n```", ("flask", "y [a]", "0")),
        ("```\nflask==1.0rc1\nx==1!2.0.post1+local\ny==2.*\n```", ("flask==1.0rc1", "x==1!2.0.post1+local", "y==2.*")),
        ("```\n# nothing is needed\n```", ()),
        ("```\nflask\nevil.whl\nevil-1.0.tar.gz\n./x\n../y.zip\ngit+https://h/x\nx @ file:///y\n-r z\n```", ("flask",)),
        (
            "```\nflask\n--index-url https://h/\n-e .\nx; python_version<'3' --hash=sha256:0\n/abs\n```",
            ("flask",),
        ),
        ("```\n```", ()),
        ("No packages are needed, since all is in the standard library.", ()),
        ("Use this:\n```xml\n<dependency>x</dependency>\n```\n", ()),
        ("```\nflask\n```\nYou may also like:\n```\nnumpy\npandas\n```", ("flask",)),
        ("Run:\n```bash\npython main.py\n```\nrequirements.txt\n```\nflask\n```", ("flask",)),
        ("pom.xml\n```\nflask\n```", ()),
        ("", ()),
    ],
)
def test_requirements_are_read_fenced_or_not(answer: str, lines: tuple[str, ...]) -> None:
    assert replies.requirements(answer).lines == lines


@pytest.mark.parametrize(
    ("line", "kept", "why"),
    [
        ("tkinter==8.6", (), "standard library"),
        ("xml.etree.ElementTree", (), "standard library"),
        ("python>=3.8", (), "not a package"),
        ("pygame==2.x", ("pygame",), "without its version"),
        ("pygame[all]>=new", ("pygame[all]",), "without its version"),
        ("git+https://example.org/x.git", (), "not a requirement"),
        ("-r other.txt", (), "not a requirement"),
        ("some words in a row", (), "not a requirement"),
        ("flask; ???", (), "not a requirement"),
        ("flask; colour == 'red'", (), "not a requirement"),
        ("pygame>=2.*", ("pygame",), "without its version"),
        ("pygame=2.1", ("pygame",), "without its version"),
        ("x[a] @ https://example.org/x.zip", (), "not a requirement"),
        ("x" * 400, (), "not a requirement"),
    ],
)
def test_what_is_dropped_from_requirements_is_reported(line: str, kept: tuple[str, ...], why: str) -> None:
    read = replies.requirements(f"requirements.txt\n```\n{line}\nflask\n```\n")
    assert read.lines == (*kept, "flask")
    assert len(read.dropped) == 1 and read.dropped[0].startswith(line[:80]) and why in read.dropped[0]


@pytest.mark.parametrize(
    "tail",
    [
        "The window is drawn by the class.\n" * 20,
        "First line of a part.\n\nSecond line of it, longer.\n\n" * 12,
        "the game to see if there are " * 30,
        "a.py\n```python\n" + "".join(f"x = {number}\n" for number in range(40)) + "```\n" + "",
    ],
)
def test_an_answer_that_ends_in_a_repetition_loops(tail: str) -> None:
    looped = "An opening.\n" + tail * (4 if "```" in tail else 1)
    assert replies.looping(looped)
    assert replies.looping(looped + tail[: len(tail) // 3])


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "ha ha ha",
        "one\ntwo\nthree\n",
        "}\n" * 20,
        "The window is drawn by the class.\n" * 20 + "And that is the end of it, truly.\nGoodbye.\n",
        "a.py\n```python\nLEVEL = [\n"
        + "    [0, 0, 0, 0, 0, 0, 0],\n" * 30
        + "]\nprint(LEVEL)\n```\nHave fun with it.\n",
    ],
)
def test_an_answer_that_ends_otherwise_does_not_loop(answer: str) -> None:
    assert not replies.looping(answer)
