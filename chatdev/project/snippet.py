"""One question, one answer, and the code in it: what a model does without a company."""

from chatdev.agents import snippets
from chatdev.agents.chat_agent import Answer, Lack
from chatdev.project.languages import PYTHON
from chatdev.project.meeting import Meeting
from chatdev.project.state import State
from chatdev.project.writing import NoProgram


async def write(meeting: Meeting) -> State:
    """Take the first block of code of the only answer for the program's main file; nothing is asked again.

    An answer without a fence is taken whole if it is a program in Python. Raises NoProgram if there is no code.
    """

    async def read(answer: Answer) -> Lack | None:
        return None

    answer = await meeting.insist(read, attempts=1)
    code = snippets.first_block(answer.text)
    if code is None and meeting.state.language == PYTHON:
        code = snippets.bare_python(answer.text)
    way = meeting.state.way
    if way is None:
        raise NoProgram(f"No program was written: nobody here can run {meeting.state.language}.")
    if not code:
        raise NoProgram("No program was written: the answer holds no code.")
    return meeting.write({way.main: code})
