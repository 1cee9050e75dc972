"""What phases of each kind do: one function for each kind of ``chatdev.company.kinds``."""

from collections.abc import Awaitable, Callable, Mapping

from chatdev.project import choosing, documents, race, row_writing, sketch, snippet, talking, writing
from chatdev.project.context import PhaseContext
from chatdev.project.phase_result import PhaseResult, of_files
from chatdev.project.state import State

Performer = Callable[[PhaseContext], Awaitable[PhaseResult]]
"""Performs a phase. Raises ModelError, JournalError, Exhausted, and NoProgram if there is no program to go on with."""


def _files(write: Callable[[PhaseContext], Awaitable[State]]) -> Performer:
    """A phase whose conclusion is the list of files that it changed."""

    async def perform(context: PhaseContext) -> PhaseResult:
        return of_files(context.state, await write(context))

    return perform


PERFORMERS: Mapping[str, Performer] = {
    "talk": talking.hold,
    "choice": choosing.hold,
    "code": _files(race.code),
    "complete": _files(writing.complete),
    "rows": _files(row_writing.write),
    "tests": _files(writing.tests),
    "amend": _files(writing.amend),
    "document": documents.document,
    "snippet": _files(snippet.write),
    "sketch": sketch.decide,
}
