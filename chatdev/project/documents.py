"""Phases that write a document: the requirements, which are mostly told by the imports, and the manual."""

from collections.abc import Sequence

from chatdev.agents import replies
from chatdev.agents.chat_agent import Answer, Lack, quoted
from chatdev.agents.reflection import reflect
from chatdev.company.config import COUNSELOR
from chatdev.journal.events import ModelAnswered
from chatdev.project import manual, sufficient
from chatdev.project.languages import PYTHON
from chatdev.project.meeting import Meeting
from chatdev.project.packages import needed, vouched
from chatdev.project.state import MANUAL, REQUIREMENTS, State


async def document(meeting: Meeting) -> tuple[State, bool]:
    """One named document is written: the requirements, or the manual. A bare text counts as the document. Nobody is
    asked for requirements that the program's imports tell.

    Gives the next state, and whether it took a reflection on the talk.
    """
    phase, prompts = meeting.phase, meeting.office.prompts
    target = phase.writes
    if target == REQUIREMENTS and meeting.state.language != PYTHON:
        return meeting.state, False
    if target == REQUIREMENTS and (packages := _told_by_imports(meeting)) is not None:
        return meeting.write({target: _listed(packages)}), False
    found: list[str] = []

    async def read(answer: Answer) -> Lack | None:
        if text := _concluded(meeting, answer):
            found[:] = [text]
            return None
        return Lack(prompts.request("document", paths=target), f"no {target} could be read out of the answer")

    answer = await meeting.insist(read, attempts=min(2, phase.attempts), enough=sufficient.file(lambda: (target,)))
    if reflected := not found and phase.reflect:
        said = f"{phase.assistant}: {quoted(answer)}"
        question = prompts.request("reflect", talk=said, paths=target)
        text = await reflect(
            meeting.ask, meeting.seat(COUNSELOR), question, lambda text: _concluded(meeting, Answer(text)) or None
        )
        found = [text] if text else []
    if not found and target == MANUAL and (text := manual.of(meeting.state)):
        meeting.note("cut", 1, f"no answer held a {target}: it was made of the task and the acceptance tests")
        found = [text]
    if not found:
        meeting.note("cut", 1, f"{target} was not written: no answer held one")
        return meeting.state, reflected
    return meeting.write({target: found[0]}), reflected


def _concluded(meeting: Meeting, answer: Answer) -> str:
    target = meeting.phase.writes
    return _requirements(meeting, answer) if target == REQUIREMENTS else _document(meeting, answer)


def _requirements(meeting: Meeting, answer: Answer) -> str:
    """The packages that are some; the report hears of each line that is not taken."""
    if _copies(_read(meeting, answer)):
        return ""
    read = replies.requirements(answer.text)
    unknown = {line for line in read.lines if not vouched(line, meeting.state.product)}
    lost = [
        *read.dropped,
        *(f"{line}: no package that we know, and the program does not import it" for line in unknown),
    ]
    for number, line in enumerate(sorted(lost), 1):
        meeting.note("refused", number, f"{REQUIREMENTS}, {line}")
    lines = [line for line in read.lines if line not in unknown]
    return _listed(lines) if answer.text.strip() else ""


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(lines or ("# nothing beyond the standard library",)) + "\n"


def _told_by_imports(meeting: Meeting) -> tuple[str, ...] | None:
    """The packages, where they are plain to see; None where the programmer is asked, as also once an answer is in the
    log, or where the product has its requirements already."""
    answered = meeting.desk.at(meeting.phase.assistant, 1).at("ask", 1).known(ModelAnswered)
    if answered or REQUIREMENTS in meeting.state.files:
        return None
    return needed(meeting.state.files)


def _read(meeting: Meeting, answer: Answer) -> replies.Reading:
    expected, examples = (meeting.phase.writes,), meeting.office.prompts.examples
    return replies.read(answer.text, finish_reason=answer.finish_reason, expected=expected, examples=examples)


def _copies(reading: replies.Reading) -> bool:
    return any(skipped.why == replies.COPIED for skipped in reading.skipped)


def _document(meeting: Meeting, answer: Answer) -> str:
    """The document by its name, else the one text that the answer names or consists of, else the answer itself."""
    target = meeting.phase.writes
    reading = _read(meeting, answer)
    whole = [file for file in reading.files if not file.cut]
    named = [file for file in whole if "name guessed" not in file.doubts]
    for file in named:
        if file.path.rpartition("/")[2].lower() == target.lower():
            return file.text
    texts = [file for file in named if file.path.lower().endswith((".md", ".txt", ".rst"))]
    if len(texts) == 1:
        meeting.note("aligned", 1, f"{texts[0].path} was taken for {target}")
        return texts[0].text
    for file in whole:
        if file not in named and 2 * len(file.text) > len(answer.text):
            return file.text
    prose = answer.text.strip()
    is_prose = len(prose) > 80 and not named and answer.finish_reason == "stop" and not replies.looping(prose)
    return prose + "\n" if is_prose and not _copies(reading) else ""
