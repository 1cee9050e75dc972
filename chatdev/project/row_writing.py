"""The tester writes acceptance tests as rows; examples in the task are read by rule."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import msgspec

from chatdev.agents.cleaning import clean
from chatdev.language_table import interpreters, table
from chatdev.models.types import Message
from chatdev.product import acceptance, compare, examples, rows
from chatdev.product.languages import PYTHON, Product
from chatdev.product.rows import Row, RowStep, UnreadCommand
from chatdev.product.sessions import Invocation
from chatdev.project import writing
from chatdev.project.context import PhaseContext
from chatdev.project.spending import Exhausted
from chatdev.project.state import State

MOST = 5
"""Most rows that are taken from a tester. A small model's first examples are its best."""
_TRACEBACK = "Traceback (most recent call last)"
_ALIKE = 2
_FORM = "OUTPUT"
"""The placeholder for an output in our question."""
_INTERPRETERS = "|".join(map(re.escape, interpreters(table())))
_START = re.compile(rf"\s*(?:echo|printf|python[\d.]*|{_INTERPRETERS}|sh|\./)\b.*")
_OUTPUT = re.compile(r"\s*(?:#\s*)?(?:Expected )?Output:\s*(.*)\Z", re.I)
_WORD = re.compile(r"[^\W\d_]{3,}")


async def write(context: PhaseContext) -> State:
    """The state with rows as its acceptance tests.

    If the task itself has as many examples as the phase calls enough, the tester's are kept separately, as
    ``State.further``. If there are rows already, none are added. A product that is not started from a command line has
    tests that are programs instead.
    """
    language = context.state.language_support
    if language is None or not context.state.judged_by_rows:
        return await writing.tests(context)
    if rows.FILE in context.state.files:
        return context.state
    trusted = examples.of_task(context.state.task, language.command, calls=context.state.language == PYTHON)
    if trusted:
        context.note("tests", 1, f"{len(trusted)} from the task itself")
    enough = 0 < context.phase.examples <= len(trusted)
    doubtful = await _from_tester(context, language, trusted, enough=enough)
    found = trusted if enough else (*trusted, *doubtful)
    if not found:
        context.note("tests", 2, "no acceptance test was written; the product cannot be judged")
        return context.state
    state = context.write({rows.FILE: rows.render(found, language.command)})
    return msgspec.structs.replace(
        state, baseline=acceptance.baseline_of(state.product, language.command), further=doubtful if enough else ()
    )


async def _from_tester(
    context: PhaseContext, language: Product, trusted: tuple[Row, ...], *, enough: bool
) -> tuple[Row, ...]:
    """The tester's rows in addition to those of the task, from the first answer that holds any.

    Each attempt puts the same question with another seed: a small model that sees its own answer repeats it.
    """
    role, attempts = context.phase.assistant, context.phase.attempts if not trusted else 1
    question = context.question(role, further="yes" if enough else "")
    messages = (*context.participant(role).beginning, Message("user", question))
    trusted_calls = {step.call for row in trusted for step in row.steps}
    for attempt in range(1, attempts + 1):
        asking = replace(context, run=replace(context.run, candidate=attempt))
        try:
            answer = await asking.ask(role, 1, attempt, messages)
        except Exhausted:
            if attempt == 1 and not trusted:
                raise
            return ()
        lines = clean(answer.text)
        if enough and (like := examples.like("\n".join(lines), context.state.task, trusted)):
            return like[:MOST]
        text = "\n".join(_in_form(line, language.command) for line in lines)
        written = rows.commands(text, language.command)
        steps = [each for each in written if isinstance(each, RowStep) and each.call not in trusted_calls]
        if found := in_order(steps):
            return tuple(list(_varied(found))[:MOST])
        if attempt < attempts:
            context.note("asked again", attempt, f"no example could be read ({_why(written)})")
    return ()


def _why(written: Sequence[RowStep | UnreadCommand]) -> str:
    if any(isinstance(each, RowStep) for each in written):
        return "the commands have no output below them"
    return next((each.why for each in written if isinstance(each, UnreadCommand)), "no line begins with $")


def _in_form(line: str, command: str) -> str:
    """A line of a tester's answer in our form: models leave out the ``$``, and put a label before the output."""
    if _START.match(line) and command.rpartition(" ")[2] in line:
        return f"$ {line.strip()}"
    if found := _OUTPUT.match(line):
        return found[1]
    return "" if line.startswith("# ") else line


def in_order(steps: Iterable[RowStep]) -> list[Row]:
    """A row for each command with an expected result, from commands that were written as used one after another.

    Of a repeated command, the first counts. If the output of one command mentions the input of an earlier one, the
    program remembers, and each row begins with all the commands before its own. An output that repeats the input, or
    our placeholder, does not count: a small model writes that if it does not know the output.
    """
    first: dict[Invocation, RowStep] = {}
    for step in steps:
        first.setdefault(step.call, step)
    found = list(first.values())
    remembers = any(_mentions_earlier(step, found[:number]) for number, step in enumerate(found))
    made: list[Row] = []
    for number, step in enumerate(found):
        before = tuple(RowStep(each.call) for each in found[:number]) if remembers else ()
        row = Row((*before, step))
        if row.is_meaningful and _TRACEBACK not in step.expected:  # no program should end in a traceback
            made.append(Row((*before, RowStep(step.call)), "open") if _repeats(step) else row)
    return made


def _repeats(step: RowStep) -> bool:
    given = " ".join(step.call.args), step.call.stdin
    return step.expected == _FORM or any(compare.repeats(step.expected, each) for each in given)


def _varied(found: Iterable[Row]) -> Iterator[Row]:
    """The rows, at most ``_ALIKE`` of them for each word that a command line begins with."""
    shown: Counter[str] = Counter()
    for row in found:
        word = next(iter(row.steps[-1].call.args), "")
        shown[word] += 1
        if not word.isalpha() or shown[word] <= _ALIKE:
            yield row


def _mentions_earlier(step: RowStep, before: Sequence[RowStep]) -> bool:
    """Whether the output holds a word from the input of an earlier command that is not in its own."""
    earlier = {word for each in before for word in _input_words(each)} - _input_words(step)
    return bool(earlier & set(_WORD.findall(step.expected.casefold())))


def _input_words(step: RowStep) -> set[str]:
    return set(_WORD.findall(f"{' '.join(step.call.args)} {step.call.stdin}".casefold()))
