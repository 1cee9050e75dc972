"""Renders a company's templates and a state into the text of a question, the same to the byte each time."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from chatdev.agents import fences, replies
from chatdev.agents.cleaning import clean
from chatdev.company.config import Company, CompanyError, Phase
from chatdev.project.prompt_sources import SOURCES, Conclusions, PromptSource, Question, of_language
from chatdev.project.prompt_texts import FORM, fenced, form
from chatdev.project.state import State


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
    """A company's templates, and the sources of their placeholders. Making and rendering them raises a CompanyError
    that names the file, and ValueError if two of the ``sources`` feed one placeholder."""

    def __init__(self, company: Company, sources: Sequence[PromptSource] = SOURCES) -> None:
        conclusions = (phase.sets for phase in company.phases.values() if phase.sets)
        self._conclusions = Conclusions({**dict.fromkeys(conclusions, ""), **company.values})
        self._sources = (self._conclusions, *sources)
        fed = Counter(name for source in sources for name in source.names)
        if twice := [name for name, count in fed.items() if count > 1]:
            raise ValueError(f"two sources feed the placeholder {twice[0]}")
        templates = {
            "background.md": company.background,
            "context.md": company.context,
            **{f"roles/{name}.md": text for name, text in company.roles.items()},
            **{f"phases/{name}.md": phase.question for name, phase in company.phases.items()},
            **{
                f"company.toml: requests.{name}": getattr(company.requests, name)
                for name in company.requests.__struct_fields__
            },
        }
        self._templates = {name: _compile(name, text) for name, text in templates.items()}
        self.examples = frozenset((FORM,)).union(*map(_examples, templates.values()))
        """The company's own example files, as ``replies.plain`` has them: an answer that holds one has copied it."""

    def background(self, state: State) -> str:
        """The background for all roles; the same for every call once the language is chosen."""
        values = {**self._conclusions.fixed, **of_language(state), "task": state.task, "name": state.name}
        return self._render("background.md", **values)

    def question(self, phase: Phase, state: State, role: str, **more: str) -> str:
        """What ``role`` reads at the start of a phase: what is known, who it is, and the question, in this order."""
        question = Question(phase, state, role)
        values = {name: text for source in self._sources for name, text in source.texts(question).items()} | more
        parts = [
            self._render("context.md", **values) if phase.context else "",
            self._render(f"roles/{role}.md", **values),
            self._render(f"phases/{phase.name}.md", **values),
        ]
        return "\n\n".join(part for part in parts if part)

    def request(self, name: str, *, paths: str = "", why: str = "", options: str = "", talk: str = "") -> str:
        """The request for what an answer lacks."""
        return self._render(f"company.toml: requests.{name}", paths=paths, why=why, options=options, talk=talk)

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


def checked(company: Company, sources: Sequence[PromptSource] = SOURCES) -> Company:
    """The company, if each of its templates can be rendered. Raises a CompanyError that names the file.

    Checked once before the first call, so that a misspelt placeholder does not end a run halfway.
    """
    prompts = Prompts(company, sources)
    state = State(task="a task", name="Name", files={"main.py": "pass\n"})
    prompts.background(state)
    for phase in company.phases.values():
        prompts.question(phase, state, phase.assistant)
    for request in company.requests.__struct_fields__:
        prompts.request(request)
    return company
