"""The readable log: every question and answer, every change to a file, every test, and what each call used.

ChatDev's own lines begin at the margin with a time (UTC) in brackets. Text from models and programs is indented by four
spaces, so that neither can be mistaken for the other.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from chatdev.journal import events, places
from chatdev.journal.store import Record
from chatdev.views import formatting, lines, statistics, summary
from chatdev.views.summary import PhaseSummary
from chatdev.views.text import indent, one_line


def render(records: Sequence[Record], folded: summary.Summary | None = None) -> str:
    """The whole log as text, with ChatDev 1.0's Software Info at its end. ``folded`` is the summary of these records,
    if the caller has it already."""
    run = folded or summary.fold(records)
    phases = {phase.place: phase for phase in run.phases}
    questions = summary.questions(records)
    entries = [f"ChatDev run {one_line(run.folder, 300)}"]
    for record in records:
        when = datetime.fromtimestamp(record.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
        entries += [f"[{when}] {entry}".rstrip() for entry in _entries(record, phases, questions)]
    entries.append(statistics.render(statistics.software_info(records, run)))
    return "\n\n".join(entries) + "\n"


def _entries(record: Record, phases: dict[str, PhaseSummary], questions: dict[int, str]) -> Iterator[str]:
    event = record.event
    match event:
        case events.RunStarted():
            yield f"{one_line(event.name)}, company {one_line(event.company)}:\n{indent(event.task)}"
        case events.ModelAnswered():
            phase = places.nearest(phases, event.place)
            name = one_line(phase.name) if phase else "no phase"
            if record.n in questions:
                asker = one_line(phase.user) if phase and event.role == phase.assistant else ""
                yield f"{asker or 'ChatDev'} ({name}):\n{indent(questions[record.n])}"
            yield f"{one_line(event.role)} ({name}):\n{indent(event.text)}"
            if event.cuts:
                yield f"cut to fit the context window: {one_line('; '.join(event.cuts), 20_000)}"
            who = f"{one_line(event.model)} at {one_line(event.endpoint)}"
            yield f"{formatting.call(event)}, {formatting.money(event.cost)}, {who}, {one_line(event.finish_reason)}"
        case events.FileWritten():
            yield f"{one_line(event.path)}: +{event.added} -{event.removed}, {event.lines} lines\n{indent(event.diff)}"
        case events.TestsRan():
            passed, total = formatting.score(event)
            trouble = f" ({one_line(event.trouble, 300)})" if event.trouble else ""
            where = " without the product" if summary.is_baseline(event) else ""
            results = "\n".join(f"{test.outcome}  {test.id}  {test.why}".rstrip() for test in event.results)
            yield f"tests{where}: {passed} of {total} pass{trouble}\n{indent(results)}"
        case _:
            described = [line.text.strip() for line in lines.of(event)]
            if described:
                yield "\n    ".join(described)
