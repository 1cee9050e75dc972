"""``REPORT.md``: what a person reads first about a run, with the verdict on top."""

import shlex
from collections.abc import Iterable, Sequence, Set

from chatdev.journal import places
from chatdev.journal.store import Record
from chatdev.views import formatting, path, summary
from chatdev.views.path import Path
from chatdev.views.summary import Summary
from chatdev.views.text import code, indent, md

_OPTIONS = {"calls": "--max-calls", "tokens": "--max-tokens-total", "minutes": "--max-minutes"}

_LEGS = 20
"""Steps of the critical path that are shown: the longest ones."""

_MOST_LISTED = 5
"""Failures shown in full below the table of tests, and reasons for endpoint failures; the log has them all."""


def render(records: Sequence[Record], folded: Summary | None = None) -> str:
    """The report in Markdown. Text from models, servers and programs is escaped, cut and kept to one line. ``folded``
    is the summary of these records, if the caller has it already."""
    run = folded or summary.fold(records)
    blocks = [
        *_verdict(run),
        *_start(run),
        *_tests(run),
        *_answers(run),
        *_cost(run),
        *_path(path.critical(records)),
        *_races(run),
        *_notes(run),
        *_files(run),
        *_attempts(run),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _verdict(run: Summary) -> Iterable[str]:
    yield f"# {md(formatting.headline(run), 300)}"
    yield md(run.why, 1000)
    yield from _ended_early(run)
    if run.tests and run.tests.trouble:
        yield f"The test results are unreliable: {md(run.tests.trouble, 500)}"
    if not run.verdict and run.folder:
        yield f"Resume it with: {code(f'chatdev resume {shlex.quote(run.folder)}', 300)}"
    if run.started:
        start = run.started
        yield f"Task: {md(start.task, 1000)}"
        yield (
            f"Run {code(run.folder, 300)}, company {code(start.company)}, model {code(start.model)}, "
            f"ChatDev {code(start.version)}."
        )


def _ended_early(run: Summary) -> Iterable[str]:
    """The limit that ended the run, and how to continue with a higher one."""
    reached = next((limit for limit in run.limits if not limit.phase), None)
    if reached is None:
        return
    yield f"The run ended early: {md(formatting.limit(reached), 200)}. The partial result was delivered and judged."
    phase = places.nearest({phase.place: phase.name for phase in run.phases}, reached.place)
    if phase:
        option = f" {_OPTIONS[reached.limit]} NUMBER" if reached.limit in _OPTIONS else ""
        how = "with a higher limit" if option else "after raising the budget in `.chatdev/company/company.toml`"
        command = f"chatdev resume {shlex.quote(run.folder)} --from {phase}{option}"
        yield f"Continue in a new run {how}: {code(command, 300)}"


def _start(run: Summary) -> Iterable[str]:
    if not run.files:
        return
    yield "## Run and test it"
    paths = {file.path for file in run.files}
    commands = list(filter(None, [_start_command(paths)]))
    yield "In this folder:"
    yield "\n".join(f"    {command}" for command in [*commands, "chatdev test ."])
    if not commands:
        yield "There is no `main.py`, so the start command is unknown."
    if run.product:
        yield f"Start check: the product {md(formatting.started(run.product), 500)}."


def _start_command(paths: Set[str]) -> str:
    """How a Python product is started: its main file, or its only package with a ``__main__.py``."""
    if "main.py" in paths:
        return "python3 main.py"
    begins = [path.split("/") for path in paths if path.endswith("/__main__.py") and path.count("/") < 3]
    if len(begins) != 1:
        return ""
    *above, package, _ = begins[0]
    if above not in ([], ["src"]):
        return ""
    return f"{'PYTHONPATH=src ' if above else ''}python3 -m {shlex.quote(package)}"


def _tests(run: Summary) -> Iterable[str]:
    if run.tests is None:
        return
    passed, total = formatting.score(run.tests)
    yield f"## Acceptance tests: {passed} of {total} pass"
    if not run.verdict:
        yield "These are the latest results; the run is not finished."
    rows = []
    for result in run.tests.results:
        remarks = [
            result.cause,
            f"needs {result.needs}" if result.needs and result.needs not in result.why else "",
        ]
        remarks.append("passes without the product" if result.id in run.vacuous else "")
        rows.append((code(result.id), result.outcome, md("; ".join(remark for remark in remarks if remark))))
    yield _table(("test", "outcome", "why"), rows)
    explained = [result for result in run.tests.results if result.outcome != "passed" and "\n" in result.why]
    for result in explained[:_MOST_LISTED]:
        yield f"{code(result.id)}:\n\n{indent(result.why)}"


def _answers(run: Summary) -> Iterable[str]:
    if not run.voices:
        return
    yield "## Models by role"
    rows = []
    for voice in run.voices:
        work = voice.work
        about = "about " if work.estimated else ""
        counts = (
            f"{about}{work.prompt_tokens:,}",
            f"{about}{work.completion_tokens:,}",
            f"{work.rate:.0f}" if work.rate else "",
        )
        rows.append((md(voice.role), md(voice.model), md(voice.endpoint), str(work.calls), *counts))
    yield _table(("role", "model", "endpoint", "calls", "prompt tokens", "completion tokens", "tokens/s"), rows)
    if run.adapted:
        yield "Requests were adapted to the endpoint: " + "; ".join(md(change) for change in run.adapted) + "."
    if run.tried:
        yield (
            f"Endpoint failures: {run.fell_back} of {formatting.count(run.work.calls, 'call')} fell back to another "
            f"endpoint. All calls together took {formatting.count(run.work.requests, 'request')}."
        )
        yield "\n".join(
            f"- {formatting.count(number, 'call')}: {md(why, 300)}" for why, number in run.tried[:_MOST_LISTED]
        )
    if len(run.tried) > _MOST_LISTED:
        yield f"The log has {formatting.count(len(run.tried) - _MOST_LISTED, 'more reason')}."


def _cost(run: Summary) -> Iterable[str]:
    if run.started is None:
        return
    yield "## Tokens, time and cost"
    yield (
        f"- Tokens: {formatting.tokens(run.work)}\n"
        f"- Calls: {run.work.calls}, in {formatting.count(run.work.requests, 'request')}\n"
        f"- Time: {formatting.seconds(run.duration)}; the calls add up to {formatting.seconds(run.work.seconds)}\n"
        f"- Cost: {formatting.money(run.work.cost)}"
    )
    rows = [
        (
            md(phase.name) + ("" if phase.ended else " (unfinished)"),
            str(phase.work.calls),
            f"{phase.work.tokens:,}",
            formatting.seconds(phase.seconds),
            md(phase.conclusion, 80) + (" (after a reflection)" if phase.reflected else ""),
        )
        for phase in run.phases
    ]
    yield _table(("phase", "calls", "tokens", "time", "conclusion"), rows)


def _path(found: Path) -> Iterable[str]:
    if not found.legs:
        return
    yield "## Critical path"
    yield (f"The run's elapsed time, step by step: {formatting.critical(found)}. Everything else ran in parallel.")
    shown = sorted(found.legs, key=lambda leg: -leg.seconds)[:_LEGS]
    rows = [
        (f"{leg.began:.1f} s", formatting.seconds(leg.seconds), md(leg.what), md(leg.phase))
        for leg in sorted(shown, key=lambda leg: leg.began)
    ]
    yield _table(("start", "duration", "step", "phase"), rows)
    if len(found.legs) > _LEGS:
        yield f"Not shown: {formatting.count(len(found.legs) - _LEGS, 'shorter step')}."


def _races(run: Summary) -> Iterable[str]:
    if not run.races:
        return
    yield "## Candidates"
    yield "These candidates solved a phase in parallel. The winner's files were used."
    names = {phase.place: phase.name for phase in run.phases}
    rows = []
    for race in run.races:
        for each in race.candidates:
            number, _, how = formatting.standing(each.standing).partition(": ")
            spent = (str(each.calls), f"{each.tokens:,}", formatting.seconds(each.seconds))
            rows.append((md(names.get(race.place, race.place)), number, *spent, md(how, 300)))
    yield _table(("phase", "candidate", "calls", "tokens", "call time", "result"), rows)


def _notes(run: Summary) -> Iterable[str]:
    notes: list[tuple[str, str]] = [(note.kind, md(note.text, 300)) for note in run.notes]
    if run.started:
        notes += [("ignored", f"{code(each, 300)} of the company is not supported") for each in run.started.ignored]
    answers = formatting.count(run.work.calls, "answer")
    notes += [("empty answers", md(f"{n} of {answers}: {formatting.empty(where)}", 400)) for where, n in run.empty]
    notes += [("limit", md(formatting.limit(limit), 300)) for limit in run.limits if limit.phase]
    notes += [("refused", f"the file {code(refused.path)}: {md(refused.why)}") for refused in run.refused]
    if run.work.cut:
        notes.append(("cut", f"{formatting.count(run.work.cut, 'answer')} ended at the token limit"))
    if run.work.stopped:
        notes.append(("stopped early", f"{formatting.count(run.work.stopped, 'answer')}, with estimated token counts"))
    notes += [("cut to fit", f"{md(call.place, 120)}: {md('; '.join(call.cuts), 20_000)}") for call in run.fitted]
    if notes:
        yield "## Notes"
        yield "\n".join(f"- **{kind}**: {text}" for kind, text in sorted(notes, key=lambda note: note[0]))


def _files(run: Summary) -> Iterable[str]:
    if run.files:
        yield f"## Files: {len(run.files)}, with {formatting.count(sum(file.lines for file in run.files), 'line')}"
        rows = sorted((code(file.path), str(file.lines), f"{file.size:,}") for file in run.files)
        yield _table(("file", "lines", "bytes"), rows)


def _attempts(run: Summary) -> Iterable[str]:
    stops = {stop.number: stop.why for stop in run.stops}
    if not run.attempts:
        return
    yield f"## Attempts: {len(run.attempts)}"
    rows = []
    for attempt in run.attempts:
        window = f"{attempt.window:,}" if attempt.window else "unknown"
        remarks = "; ".join((*attempt.notes, stops.get(attempt.number, ""))).strip("; ")
        where = (md(attempt.endpoint), md(attempt.model), window, md(attempt.sandbox))
        rows.append((str(attempt.number), *where, md(remarks, 400)))
    yield _table(("attempt", "endpoint", "model", "window", "sandbox", "remarks"), rows)
    counters = [
        f"- attempt {each.number}: {formatting.server(each)}" for each in run.servers if formatting.server(each)
    ]
    if counters:
        yield "Model server counters during each attempt, other clients' traffic included:"
        yield "\n".join(counters)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table of cells that are already Markdown; empty without rows."""
    if not rows:
        return ""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))
