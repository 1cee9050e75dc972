"""What feeds the placeholders of a company's templates. Another source is one more class, listed in ``SOURCES``.

A source whose text does not follow from the state must take it from an effect in the log: a resume needs the same text
again, and a question that differs from the recorded one goes to the model a second time.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from chatdev.company.config import Phase
from chatdev.company.kinds import KINDS
from chatdev.product import examples, plumbing, rows
from chatdev.product.output import inert
from chatdev.product.rows import Row
from chatdev.project.prompt_texts import fenced, listing, report_text, started_text
from chatdev.project.state import REQUIREMENTS, State

SHOWN = 8
"""How many rows of the task are shown again, in the form in which they are tested."""


class Question(NamedTuple):
    """What a text is for: the phase, the state when it begins, and the role that reads the question."""

    phase: Phase
    state: State
    role: str


class PromptSource(Protocol):
    """Gives the texts of some placeholders."""

    @property
    def names(self) -> Sequence[str]:
        """The placeholders that it feeds. No two sources feed the same one."""
        ...

    def texts(self, question: Question) -> Mapping[str, str]:
        """A text for each of its placeholders, empty if there is nothing to say. The same question gives the same
        texts; a program's output in them must be ``inert``."""
        ...


class Conclusions:
    """What the phases concluded, and the company's own values. A company may use any name; those of other sources win.

    ``fixed`` are the company's values, and an empty text for each conclusion that is not there yet.
    """

    def __init__(self, fixed: Mapping[str, str]) -> None:
        self.fixed = fixed
        self.names = ("modality", "language", "requirements", *fixed)

    def texts(self, question: Question) -> Mapping[str, str]:
        state = question.state
        files = {"requirements": state.files.get(REQUIREMENTS, "")}
        return {"modality": "", "language": "", **files, **self.fixed, **state.values}


class TaskText:
    """The task, and the project's name."""

    names = ("task", "name")

    def texts(self, question: Question) -> Mapping[str, str]:
        return {"task": question.state.task, "name": question.state.name}


class Files:
    """The files of the tests and of the program."""

    names = ("tests", "program")

    def texts(self, question: Question) -> Mapping[str, str]:
        return {"tests": listing(question.state.acceptance_tests), "program": listing(question.state.program)}


class Results:
    """How this version was tested and started, the broken tests, and what was not accepted."""

    names = ("report", "started", "faults", "remarks", "makes")

    def texts(self, question: Question) -> Mapping[str, str]:
        state = question.state
        return {
            "report": report_text(state.tests) if state.tests is not None and state.tested else "",
            "started": started_text(state.started, state.makes) if state.started is not None and state.watched else "",
            "faults": inert(plumbing.text(state.faulty_tests)),
            "remarks": state.remarks,
            "makes": state.makes,
        }


class LanguageTexts:
    """File names, the start command and the form of tests in the product's language; empty if it is not supported."""

    names = ("main", "command", "test_file", "testing")

    def texts(self, question: Question) -> Mapping[str, str]:
        language = question.state.language_support
        return {**of_language(question.state), "testing": language.how if language else ""}


class Rows:
    """``examples`` are the rows of the task, each with separate input and output; ``json`` says whether their output is
    JSON. ``rows`` are those of the tester, as a session in a terminal. For these, ``arguments`` is where the program
    finds its arguments, if they are its only input, and ``remembers`` says whether one start depends on another.
    ``testing_rows`` says whether rows can test the product at all."""

    names = ("testing_rows", "rows", "arguments", "remembers", "examples", "json")

    def texts(self, question: Question) -> Mapping[str, str]:
        state = question.state
        language = state.language_support
        command = language.command if language else ""
        read = rows.parse(state.files.get(rows.FILE, ""), command).rows if command else ()
        trusted = [row for row in read if row.tier == "trusted"]
        doubtful = [row for row in read if row.tier in ("agreed", "doubtful", "open")]
        shown = [rows.session(Row(row.steps[-1:]), command) for row in doubtful]
        calls = [step.call for row in doubtful for step in row.steps]
        started = any(call.args for call in calls) and not any(call.stdin for call in calls)
        return {
            "testing_rows": "yes" if state.judged_by_rows else "",
            "rows": fenced("\n\n".join(shown), "text") if shown else "",
            "arguments": language.arguments if language and started else "",
            "remembers": "yes" if any(len(row.steps) > 1 for row in doubtful) else "",
            "examples": "\n\n".join(_apart(row, command) for row in trusted[:SHOWN]),
            "json": "yes" if examples.as_json(trusted) else "",
        }


class PhaseTexts:
    """The options of a choice, the first unfinished file, and what a phase adds when it asks."""

    names = ("options", "unfinished", "unfinished_why", "further")

    def texts(self, question: Question) -> Mapping[str, str]:
        unfinished = question.state.unfinished if KINDS[question.phase.kind].one_file else None
        path, why = unfinished or ("", "")
        return {
            "options": ", ".join(question.phase.options),
            "unfinished": path,
            "unfinished_why": why,
            "further": "",
        }


SOURCES: tuple[PromptSource, ...] = (TaskText(), Files(), Results(), LanguageTexts(), Rows(), PhaseTexts())
"""All sources besides ``Conclusions``: that one belongs to a company."""


def _apart(row: Row, command: str) -> str:
    """One row as text; as a session if it is more than an input and an output."""
    step = row.steps[0]
    if len(row.steps) > 1 or step.call.args or step.status is not None or not step.call.stdin:
        return fenced(rows.session(row, command))
    return f"When it reads\n{fenced(step.call.stdin)}\nit prints exactly\n{fenced(step.expected)}"


def of_language(state: State) -> dict[str, str]:
    """File names and the start command in the state's language; empty if the language is not supported."""
    language = state.language_support
    return {
        "main": language.main if language else "",
        "command": language.command if language else "",
        "test_file": language.test_file if language else "",
    }
