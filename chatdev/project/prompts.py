"""Renders a company's templates and a state into the text of a question, the same to the byte each time."""

import re
from collections.abc import Mapping
from functools import lru_cache

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from chatdev.agents import fences, replies
from chatdev.agents.cleaning import clean
from chatdev.company.config import Company, CompanyError, Phase
from chatdev.company.kinds import KINDS
from chatdev.journal.events import ProductStarted, TestsRan
from chatdev.language_table import fence_names, table
from chatdev.product import examples, plumbing, rows
from chatdev.product.output import inert
from chatdev.product.rows import Row
from chatdev.project.state import REQUIREMENTS, State

_LANGUAGES = {"py": "python", "md": "markdown", "json": "json", "toml": "toml"} | fence_names(table())

_TICKS = re.compile(r"(?:^|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029])\s*(`+)")
"""Backticks at the beginning of a line, with lines as ``str.splitlines`` splits them."""

SHOWN = 8
"""How many rows of the task are shown again, in the form in which they are tested."""

REPORTED = 3
"""How many failing tests are shown with their reason; the others by name. A programmer fixes one cause at a time."""


def fenced(text: str, language: str = "") -> str:
    """The text in a fenced block that nothing inside it can close."""
    longest = max(map(len, _TICKS.findall(text)), default=0) if "`" in text else 0
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def listing(files: Mapping[str, str]) -> str:
    """Files in the form in which we ask for them: the path on a line, then a fenced block."""
    return "\n\n".join(f"{path}\n{block(path, text)}" for path, text in files.items())


def block(path: str, text: str) -> str:
    """A file in a fenced block with the name of its language."""
    return fenced(text, _LANGUAGES.get(path.rpartition(".")[2], ""))


def report_text(ran: TestsRan) -> str:
    """A run of the tests as text for a programmer: the count, the first failures with reasons, the rest by name."""
    failing = [result for result in ran.results if result.outcome not in ("passed", "skipped")]
    passed = sum(result.outcome == "passed" for result in ran.results)
    lines = [f"{passed} of {len(ran.results)} tests pass."]
    if ran.trouble:
        lines.append(ran.trouble)
    lines += [f"\n{result.outcome}: {result.id}\n{result.why}".rstrip() for result in failing[:REPORTED]]
    lines += [f"{result.outcome}: {result.id}" for result in failing[REPORTED:]]
    return inert("\n".join(lines))


def started_text(started: ProductStarted, makes: str = "") -> str:
    """A start of the product as text for a programmer; ``makes`` is the kind of file that it should have left."""
    heading = {
        "missing": f"It was not started: {started.why}.",
        "crashed": f"It crashed: {started.why}",
        "alive": "It runs.",
        "exited": f"It ended by itself with exit status {started.exit_status}.",
    }[started.how]
    if makes and not started.made and started.how in ("alive", "exited"):
        heading += f" It left no {makes} as a file in the current directory."
    return inert(f"{heading}\n{started.output}".rstrip())


def reason_text(why: str) -> str:
    """Why something could not be run, for use in a sentence: unchanged, or fenced if longer than a line."""
    why = inert(why).strip()
    return f"\n\n{fenced(why, 'text')}\n\nThat is all that it said" if "\n" in why else why


FORM = "the whole file"
"""Replaces a file's content where its form is shown: words that cannot be mistaken for a program."""


def form(path: str) -> str:
    """The form in which an answer must give a file, shown with the path that is wanted."""
    return listing({path: FORM})


@lru_cache(maxsize=512)
def _examples(template: str) -> frozenset[str]:
    """The fenced blocks of a template that contain no template code."""
    found = (replies.plain(block.lines) for block in fences.blocks(clean(template)))
    return frozenset(text for text in found if text and "{{" not in text and "{%" not in text)


class _Sandboxed(ImmutableSandboxedEnvironment):
    """Forbids the two operators that can make something huge out of a few characters."""

    intercepted_binops = frozenset(("*", "**"))

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        if operator == "**" or not (isinstance(left, int | float) and isinstance(right, int | float)):
            raise SecurityError(f"{operator} is not allowed in templates")
        return left * right


_ENVIRONMENT = _Sandboxed(undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)
_ENVIRONMENT.globals.update(fenced=fenced, form=form)


@lru_cache(maxsize=512)
def _compile(name: str, text: str) -> jinja2.Template:
    """A template, compiled once per process: it takes 0.6 ms, and many projects share a company."""
    try:
        return _ENVIRONMENT.from_string(text)
    except jinja2.TemplateSyntaxError as error:
        raise CompanyError(f"{name}, line {error.lineno}: {error.message}.") from error
    except Exception as error:  # Python's own compiler has limits, too
        raise CompanyError(f"{name} is not a usable template: {error}.") from error


class Prompts:
    """A company's templates. Making and rendering them raises a CompanyError that names the file."""

    def __init__(self, company: Company) -> None:
        conclusions = (phase.sets for phase in company.phases.values() if phase.sets)
        self._fixed = {**dict.fromkeys(conclusions, ""), **company.values}
        sources = {
            "background.md": company.background,
            "context.md": company.context,
            **{f"roles/{name}.md": text for name, text in company.roles.items()},
            **{f"phases/{name}.md": phase.question for name, phase in company.phases.items()},
            **{
                f"company.toml: requests.{name}": getattr(company.requests, name)
                for name in company.requests.__struct_fields__
            },
        }
        self._templates = {name: _compile(name, text) for name, text in sources.items()}
        self.examples = frozenset((FORM,)).union(*map(_examples, sources.values()))
        """The company's own example files, as ``replies.plain`` has them: an answer that holds one has copied it."""

    def background(self, state: State) -> str:
        """The background for all roles; the same for every call once the language is chosen."""
        return self._render("background.md", **self._fixed, **_places(state), task=state.task, name=state.name)

    def question(self, phase: Phase, state: State, role: str, **more: str) -> str:
        """What ``role`` reads at the start of a phase: what is known, who it is, and the question, in this order."""
        values = self._values(phase, state) | more
        parts = [
            self._render("context.md", **values) if phase.context else "",
            self._render(f"roles/{role}.md", **values),
            self._render(f"phases/{phase.name}.md", **values),
        ]
        return "\n\n".join(part for part in parts if part)

    def request(self, name: str, *, paths: str = "", why: str = "", options: str = "", talk: str = "") -> str:
        """The request for what an answer lacks."""
        return self._render(f"company.toml: requests.{name}", paths=paths, why=why, options=options, talk=talk)

    def _values(self, phase: Phase, state: State) -> dict[str, str]:
        unfinished = state.unfinished if KINDS[phase.kind].one_file else None
        way = state.way
        return {
            "modality": "",
            "language": "",
            "requirements": state.files.get(REQUIREMENTS, ""),
            **self._fixed,
            **state.values,
            "task": state.task,
            "name": state.name,
            "tests": listing(state.acceptance_tests),
            "program": listing(state.program),
            "report": report_text(state.tests) if state.tests is not None and state.tested else "",
            "started": started_text(state.started, state.makes) if state.started is not None and state.watched else "",
            "faults": inert(plumbing.text(state.faulty_tests)),
            "remarks": state.remarks,
            "further": "",
            "makes": state.makes,
            **_places(state),
            "testing": way.how if way else "",
            "testing_rows": "yes" if state.judged_by_rows else "",
            **_of_rows(state),
            "options": ", ".join(phase.options),
            "unfinished": unfinished[0] if unfinished else "",
            "unfinished_why": unfinished[1] if unfinished else "",
        }

    def _render(self, name: str, /, **values: str) -> str:
        try:
            return self._templates[name].render(values).strip()
        except jinja2.UndefinedError as error:
            raise CompanyError(
                f"{name}: {error.message}.",
                do=f"Use one of these placeholders: {', '.join(sorted(values))}.",
            ) from error
        except Exception as error:  # a template is a program, and can fail in any way
            raise CompanyError(f"{name}: {error}.") from error


def _of_rows(state: State) -> dict[str, str]:
    """``examples`` are the rows of the task, each with separate input and output; ``json`` says whether their output is
    JSON. ``rows`` are those of the tester, as a session in a terminal. For these, ``arguments`` is where the program
    finds its arguments, if they are its only input, and ``remembers`` says whether one start depends on another."""
    way = state.way
    command = way.command if way else ""
    read = rows.parse(state.files.get(rows.FILE, ""), command).rows if command else ()
    trusted = [row for row in read if row.tier == "trusted"]
    doubtful = [row for row in read if row.tier in ("agreed", "doubtful", "open")]
    shown = [rows.session(Row(row.steps[-1:]), command) for row in doubtful]
    calls = [step.call for row in doubtful for step in row.steps]
    started = any(call.args for call in calls) and not any(call.stdin for call in calls)
    return {
        "rows": fenced("\n\n".join(shown), "text") if shown else "",
        "arguments": way.arguments if way and started else "",
        "remembers": "yes" if any(len(row.steps) > 1 for row in doubtful) else "",
        "examples": "\n\n".join(_apart(row, command) for row in trusted[:SHOWN]),
        "json": "yes" if examples.as_json(trusted) else "",
    }


def _apart(row: Row, command: str) -> str:
    """One row as text; as a session if it is more than an input and an output."""
    step = row.steps[0]
    if len(row.steps) > 1 or step.call.args or step.status is not None or not step.call.stdin:
        return fenced(rows.session(row, command))
    return f"When it reads\n{fenced(step.call.stdin)}\nit prints exactly\n{fenced(step.expected)}"


def _places(state: State) -> dict[str, str]:
    """File names and the start command in the state's language; empty if the language is not supported."""
    way = state.way
    return {
        "main": way.main if way else "",
        "command": way.command if way else "",
        "test_file": way.test_file if way else "",
    }


def checked(company: Company) -> Company:
    """The company, if each of its templates can be rendered. Raises a CompanyError that names the file.

    Checked once before the first call, so that a misspelt placeholder does not end a run halfway.
    """
    prompts = Prompts(company)
    state = State(task="a task", name="Name", files={"main.py": "pass\n"})
    prompts.background(state)
    for phase in company.phases.values():
        prompts.question(phase, state, phase.assistant)
    for request in company.requests.__struct_fields__:
        prompts.request(request)
    return company
