"""One question, one answer, and the code in it: what a model does without a company."""

from chatdev.agents import snippets
from chatdev.agents.chat_agent import Answer, Lack
from chatdev.project.languages import PYTHON
from chatdev.project.meeting import Meeting
from chatdev.project.state import State
from chatdev.project.writing import NoProgram


async def write(meeting: Meeting) -> State:
    """Write the first code block of a single answer to the program's main file; there is no retry. Raises NoProgram if
    there is no code."""
    way = meeting.state.way
    if way is None:
        raise NoProgram(f"No program was written: nobody here can run {meeting.state.language}.")
    return meeting.write({way.main: await code(meeting)})


async def code(meeting: Meeting) -> str:
    """The first block of code of the only answer; an answer without a fence is taken whole if it is a program in
    Python. Raises NoProgram if there is no code."""

    async def read(answer: Answer) -> Lack | None:
        return None

    answer = await meeting.insist(read, attempts=1)
    found = snippets.first_block(answer.text)
    if found is None and meeting.state.language == PYTHON:
        found = snippets.bare_python(answer.text)
    if not found:
        raise NoProgram("No program was written: the answer holds no code.")
    return found
