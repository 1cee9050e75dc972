"""Phases that write a document: the requirements (mostly derived from the imports) and the manual."""

from collections.abc import Sequence

from chatdev.agents import replies
from chatdev.agents.chat_agent import Missing, RoleAnswer, quoted
from chatdev.agents.cleaning import clean
from chatdev.agents.reflection import reflect
from chatdev.company.config import COUNSELOR
from chatdev.journal import places
from chatdev.journal.events import ModelAnswered
from chatdev.product.languages import PYTHON
from chatdev.product.packages import needed, vouched
from chatdev.project import early_stop, manual
from chatdev.project.context import PhaseContext
from chatdev.project.phase_result import PhaseResult, of_files
from chatdev.project.state import MANUAL, REQUIREMENTS, State


async def document(context: PhaseContext) -> PhaseResult:
    """Write one named document: the requirements or the manual. A bare text counts as the document. If the program's
    imports determine the requirements, no model is called.

    Raises ModelError and Exhausted.
    """
    phase, prompts = context.phase, context.run.prompts
    target = phase.writes
    if target == REQUIREMENTS and context.state.language != PYTHON:
        return of_files(context.state, context.state)
    if target == REQUIREMENTS and (packages := _packages_of_imports(context)) is not None:
        return of_files(context.state, context.write({target: _listed(packages)}))
    if phase.only_if and not context.state.holds(phase.only_if):
        return of_files(context.state, _without_a_model(context))
    found: list[str] = []

    async def read(answer: RoleAnswer) -> Missing | None:
        if text := _concluded(context, answer):
            found[:] = [text]
            return None
        return Missing(prompts.request("document", paths=target), f"the answer contains no {target}")

    answer = await context.insist(read, attempts=min(2, phase.attempts), enough=early_stop.file(lambda: (target,)))
    if reflected := not found and phase.reflect:
        talk = f"{phase.assistant}: {quoted(answer)}"
        question = prompts.request("reflect", talk=talk, paths=target)
        text = await reflect(
            context.ask,
            context.participant(COUNSELOR),
            question,
            lambda text: _concluded(context, RoleAnswer(text)) or None,
        )
        found = [text] if text else []
    if not found and (text := _from_tests(context)):
        context.note("cut", 1, f"no answer contained a {target}: it was made from the task and the acceptance tests")
        found = [text]
    if not found:
        context.note("cut", 1, f"{target} was not written: no answer contained one")
        return of_files(context.state, context.state, reflected)
    return of_files(context.state, context.write({target: found[0]}), reflected)


def _without_a_model(context: PhaseContext) -> State:
    """The state with a document made without a model, for when the phase's ``only_if`` does not hold."""
    target = context.phase.writes
    why = f"the product is not {context.phase.only_if}"
    if not (text := _from_tests(context)):
        context.note("cut", 1, f"{target} was not written: {why}")
        return context.state
    context.note("cut", 1, f"{target} was made from the task and the passing tests: {why}")
    return context.write({target: text})


def _from_tests(context: PhaseContext) -> str:
    """A manual made from the acceptance tests; empty for another document, or if there is no test to show."""
    return manual.of(context.state) if context.phase.writes == MANUAL else ""


def _concluded(context: PhaseContext, answer: RoleAnswer) -> str:
    target = context.phase.writes
    return _requirements(context, answer) if target == REQUIREMENTS else _document(context, answer)


def _requirements(context: PhaseContext, answer: RoleAnswer) -> str:
    """The lines that name known packages; each rejected line is noted in the report."""
    if _copies(_read(context, answer)):
        return ""
    read = replies.requirements(answer.text)
    unknown = {line for line in read.lines if not vouched(line, context.state.product)}
    lost = [
        *read.dropped,
        *(f"{line}: unknown package, and the program does not import it" for line in unknown),
    ]
    for number, line in enumerate(sorted(lost), 1):
        context.note("refused", number, f"{REQUIREMENTS}, {line}")
    lines = [line for line in read.lines if line not in unknown]
    return _listed(lines) if answer.text.strip() else ""


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(lines or ("# nothing beyond the standard library",)) + "\n"


def _packages_of_imports(context: PhaseContext) -> tuple[str, ...] | None:
    """The packages that the imports determine. None if the programmer must answer: if the imports do not suffice, the
    log holds an answer already, or the product has its requirements already."""
    answered = context.scope.at(context.phase.assistant, 1).at(places.ASK, 1).recorded(ModelAnswered)
    if answered or REQUIREMENTS in context.state.files:
        return None
    return needed(context.state.files)


def _read(context: PhaseContext, answer: RoleAnswer) -> replies.ParsedReply:
    expected, examples = (context.phase.writes,), context.run.prompts.examples
    return replies.read(answer.text, finish_reason=answer.finish_reason, expected=expected, examples=examples)


def _copies(reading: replies.ParsedReply) -> bool:
    return any(skipped.why == replies.COPIED for skipped in reading.skipped)


def _document(context: PhaseContext, answer: RoleAnswer) -> str:
    """The file with the document's name, else the answer's only text file or main block, else the answer itself."""
    target = context.phase.writes
    reading = _read(context, answer)
    whole = [file for file in reading.files if not file.cut]
    named = [file for file in whole if "name guessed" not in file.doubts]
    for file in named:
        if file.path.rpartition("/")[2].lower() == target.lower():
            return file.text
    texts = [file for file in named if file.path.lower().endswith((".md", ".txt", ".rst"))]
    if len(texts) == 1:
        context.note("aligned", 1, f"{texts[0].path} was used as {target}")
        return texts[0].text
    for file in whole:
        if file not in named and 2 * len(file.text) > len(answer.text):
            return file.text
    prose = "\n".join(clean(answer.text)).strip()
    is_prose = len(prose) > 80 and not named and answer.finish_reason == "stop" and not replies.looping(prose)
    return prose + "\n" if is_prose and not _copies(reading) else ""
