"""One question, one answer, and the code in it: what a model does without a company."""

from chatdev.agents import snippets
from chatdev.agents.chat_agent import Missing, RoleAnswer
from chatdev.models.types import Enough
from chatdev.product.languages import PYTHON
from chatdev.project import early_stop
from chatdev.project.context import PhaseContext
from chatdev.project.state import State
from chatdev.project.writing import NoProgram


async def write(context: PhaseContext) -> State:
    """Write the first code block of a single answer to the program's main file; there is no retry. Raises NoProgram if
    there is no code."""
    language = context.state.language_support
    if language is None:
        raise NoProgram(f"No program was written: ChatDev cannot run {context.state.language}.")
    # The baseline ``once`` reads the whole answer: it stands for one question without any of our means.
    enough = early_stop.program if context.run.plain else None
    return context.write({language.main: await code(context, enough)})


async def code(context: PhaseContext, enough: Enough | None = None) -> str:
    """The first code block of the only answer, read until ``enough`` of it has arrived; an answer without a fence is
    used whole if it is a Python program. Raises NoProgram if there is no code."""

    async def read(answer: RoleAnswer) -> Missing | None:
        return None

    answer = await context.insist(read, attempts=1, enough=enough)
    found = snippets.first_block(answer.text)
    if found is None and context.state.language == PYTHON:
        found = snippets.bare_python(answer.text)
    if not found:
        raise NoProgram("No program was written: the answer contains no code.")
    return found
