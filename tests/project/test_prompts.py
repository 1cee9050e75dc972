"""Questions are the same to the byte each time, and hold what the role must know."""

import shutil
from pathlib import Path

import msgspec
import pytest

from chatdev.company import config
from chatdev.company.config import Company, CompanyError
from chatdev.journal.events import ProductStarted, TestResult, TestsRan
from chatdev.project.prompt_sources import SOURCES, PromptSource, Question
from chatdev.project.prompt_texts import fenced, listing, report_text, started_text
from chatdev.project.prompts import Prompts
from chatdev.project.state import State

COMPANY = config.load(config.find("full"))
STATE = State(
    task="create a calculator",
    name="Calculator",
    files={"main.py": "print('```')\n", "tests/test_a.py": "def test_sum(): ...\n"},
    values={"modality": "command line", "language": "Python"},
)


@pytest.mark.parametrize(
    ("text", "fence"),
    [("plain", "```"), ("has\n```\ninside", "````"), ("  `````x", "``````"), ("a ``` in line", "```")],
)
def test_nothing_inside_a_fence_can_close_it(text: str, fence: str) -> None:
    assert fenced(text).splitlines()[0] == fence
    assert fenced(text).splitlines()[-1] == fence


def test_files_are_shown_in_the_form_in_which_they_are_asked_for() -> None:
    assert listing({"src/a.py": "x = 1\n"}) == "src/a.py\n```python\nx = 1\n```"


def test_all_roles_and_phases_share_their_beginning() -> None:
    prompts = Prompts(COMPANY)
    questions = [
        prompts.question(COMPANY.phases[name], STATE.with_value("comments", "c"), COMPANY.phases[name].assistant)
        for name in ("CodeReviewComment", "CodeReviewModification", "Manual", "EnvironmentDoc")
    ]
    shared = questions[0].partition("You are the")[0]
    assert "main.py" in shared
    assert "def test_sum" in shared
    assert all(question.startswith(shared) for question in questions)
    assert prompts.background(STATE) == Prompts(COMPANY).background(STATE)


@pytest.mark.parametrize("name", ["default", "full"])
def test_every_phase_and_request_of_a_company_renders(name: str) -> None:
    company = config.load(config.find(name))
    prompts = Prompts(company)
    for phase in company.phases.values():
        for role in (phase.assistant, phase.user):
            assert prompts.question(phase, STATE, role)
    unused = set() if any(phase.repairs for phase in company.phases.values()) else {"broken"}
    for request in set(company.requests.__struct_fields__) - unused:
        assert prompts.request(request, paths="p", why="w", options="o", talk="t")


def test_results_stand_in_the_question_only_while_they_are_true() -> None:
    results = (TestResult("a", "passed"), TestResult("b", "failed", "AssertionError: 1 != 2"))
    state = msgspec.structs.replace(STATE, tests=TestsRan("p", STATE.digest, results))
    phase = COMPANY.phases["TestModification"]
    assert "AssertionError: 1 != 2" in Prompts(COMPANY).question(phase, state, "Programmer")
    changed = state.having({"main.py": "print(2)\n"})
    assert "AssertionError" not in Prompts(COMPANY).question(phase, changed, "Programmer")


def test_a_report_counts_explains_the_first_and_names_the_rest() -> None:
    results = (*(TestResult(f"t{i}", "failed", f"why {i}") for i in range(5)), TestResult("ok", "passed"))
    text = report_text(TestsRan("p", "d", results, trouble="The program left early."))
    assert text.startswith("1 of 6 tests pass.\nThe program left early.")
    assert "why 2" in text
    assert "why 3" not in text
    assert "failed: t4" in text


@pytest.mark.parametrize(
    ("how", "expected"),
    [("missing", "not started: KeyError"), ("crashed", "crashed: KeyError"), ("alive", "runs"), ("exited", "status 3")],
)
def test_a_start_is_reported_in_words(how: str, expected: str) -> None:
    started = ProductStarted("p", "d", how, exit_status=3, why="KeyError")  # type: ignore[arg-type]
    assert expected in started_text(started)


def altered(tmp_path: Path, name: str, text: str) -> Company:
    folder = Path(shutil.copytree(config.BUILT_IN / "full", tmp_path / "mine"))
    (folder / name).write_text(text)
    return config.load(folder)


def test_an_unknown_placeholder_is_an_error_that_names_the_file_and_those_that_exist(tmp_path: Path) -> None:
    company = altered(tmp_path, "roles/Programmer.md", "You are {{ programer }}.")
    with pytest.raises(CompanyError, match=r"roles/Programmer\.md: 'programer' is undefined") as caught:
        Prompts(company).question(company.phases["Coding"], STATE, "Programmer")
    assert "modality" in str(caught.value)


def test_a_broken_template_is_reported_when_the_company_is_opened(tmp_path: Path) -> None:
    with pytest.raises(CompanyError, match=r"context\.md, line 2"):
        Prompts(altered(tmp_path, "context.md", "fine\n{% if %}"))


def test_a_template_cannot_reach_into_python(tmp_path: Path) -> None:
    company = altered(tmp_path, "background.md", "{{ task.__class__.__mro__ }}")
    with pytest.raises(CompanyError, match=r"background\.md"):
        Prompts(company).background(STATE)


class Memory:
    """What earlier runs found, for a company that asks for it."""

    names = ("memory",)

    def texts(self, question: Question) -> dict[str, str]:
        return {"memory": f"{question.role} wrote a {question.state.values['modality']} program before."}


def test_another_source_feeds_a_placeholder_of_its_own(tmp_path: Path) -> None:
    head = "assistant = 'Programmer'\nuser = 'Code Reviewer'\nkind = 'code'"
    company = altered(tmp_path, "phases/Coding.md", f"+++\n{head}\n+++\nNote: {{{{ memory }}}}")
    messages = Prompts(company, (*SOURCES, Memory())).question(company.phases["Coding"], STATE, "Programmer")
    assert messages.endswith("Note: Programmer wrote a command line program before.")
    with pytest.raises(CompanyError, match="memory"):
        Prompts(company).question(company.phases["Coding"], STATE, "Programmer")


def test_two_sources_for_one_placeholder_are_refused() -> None:
    with pytest.raises(ValueError, match="two sources feed the placeholder memory"):
        Prompts(COMPANY, (*SOURCES, Memory(), Memory()))


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_a_source_feeds_the_placeholders_that_it_names(source: PromptSource) -> None:
    question = Question(COMPANY.phases["Coding"], STATE, "Programmer")
    assert sorted(source.texts(question)) == sorted(source.names)
