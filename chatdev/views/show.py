"""``chatdev show`` and ``chatdev runs``: a run from its log, as text, as JSON, and in one line."""

import shlex
from collections.abc import Sequence
from typing import Any

import msgspec

from chatdev.journal.store import Record
from chatdev.views import formatting, lines, path, summary, text


def render(records: Sequence[Record]) -> str:
    """The verdict, then the course of the run (phases, answers, files, tests), then its totals. Plain, clean text."""
    run = summary.fold(records)
    course = [line for record in records for line in course_of(record)]
    return "\n".join([*_verdict(run), *course, *_totals(run, records)]) + "\n"


def course_of(record: Record) -> list[str]:
    """The lines of the course of the run that describe one record. Plain, clean text."""
    return [line.text for line in lines.of(record.event)]


def totals(records: Sequence[Record]) -> str:
    """The verdict and the totals of a run whose course was shown before. Plain, clean text."""
    run = summary.fold(records)
    return "\n".join([*_verdict(run), *_totals(run, records)]) + "\n"


def _verdict(run: summary.Summary) -> list[str]:
    return [each for each in (text.one_line(formatting.headline(run), 300), text.one_line(run.why, 300)) if each]


def _totals(run: summary.Summary, records: Sequence[Record]) -> list[str]:
    return [
        f"files: {len(run.files)}, with {formatting.count(sum(file.lines for file in run.files), 'line')}",
        f"calls: {run.work.calls}, {formatting.tokens(run.work)}",
        f"time:  {formatting.seconds(run.duration)} in {formatting.count(len(run.attempts), 'attempt')}",
        *([f"path:  {formatting.critical(found)}"] if (found := path.critical(records)).legs else []),
        f"cost:  {formatting.money(run.work.cost)}",
    ]


def one_line(folder_name: str, records: Sequence[Record]) -> str:
    """A run's row in ``chatdev runs``: its folder, the verdict or how to resume it, and what it used."""
    run = summary.fold(records)
    if run.verdict:
        state = text.one_line(run.verdict)
    elif run.started:
        how = text.one_line(run.stopped.why) if run.stopped else "interrupted"
        state = f"{how}; resume with: chatdev resume {shlex.quote(folder_name)}"
    else:
        state = "empty"
    took = [formatting.count(run.work.calls, "call"), formatting.count(run.work.tokens, "token")]
    took.append(formatting.seconds(run.duration))
    return f"{text.one_line(folder_name, 200)}  {state}  ({', '.join(took)})"


def as_json(records: Sequence[Record]) -> dict[str, Any]:
    """The same for programs: builtin types only. Seconds, US dollars (None where unknown), tokens."""
    run = summary.fold(records)
    facts = {
        "run": run.folder,
        "task": run.started.task if run.started else "",
        "headline": formatting.headline(run),
        "finished": run.finished is not None,
        "verdict": run.verdict,
        "why": run.why,
        "tests": [
            {"id": test.id, "outcome": test.outcome, "why": test.why, "vacuous": test.id in run.vacuous}
            for test in (run.tests.results if run.tests else ())
        ],
        "phases": run.phases,
        "answered_by": run.voices,
        "work": run.work,
        "files": [{"path": file.path, "lines": file.lines, "size": file.size} for file in run.files],
        "refused": [{"path": file.path, "why": file.why} for file in run.refused],
        "notes": [{"kind": note.kind, "text": note.text, "place": note.place} for note in run.notes],
        "limits": [{"limit": formatting.limit(limit), "place": limit.place} for limit in run.limits],
        "races": run.races,
        "critical_path": path.critical(records),
        "attempts": len(run.attempts),
        "duration": run.duration,
        "utterances": run.utterances,
        "reflections": run.reflections,
    }
    built: dict[str, Any] = msgspec.to_builtins(facts)
    return built
