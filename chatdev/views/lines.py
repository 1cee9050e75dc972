"""A run in terse lines: the terminal shows them as they happen, ``chatdev show`` shows them later."""

import msgspec

from chatdev.journal import events, places
from chatdev.views import formatting, races
from chatdev.views.summary import is_baseline
from chatdev.views.text import cut, one_line

_DIFF_LINES = 12
_WHYS = 5
_COLOURS = {"passed": "bold green", "failed": "bold red"}


class Line(msgspec.Struct, frozen=True):
    """One line of clean text, its style in rich's syntax, and whether quiet mode shows it."""

    text: str
    style: str = ""
    loud: bool = False


def of(event: events.Any) -> list[Line]:
    """The lines that describe an event; none for an event that only the log needs."""
    match event:
        case events.ModelAnswered():
            who = ", ".join(filter(None, (one_line(event.role, 40), races.candidate(event.place))))
            answer = Line(f"  {who}: {_before_code(event.text)}  ({formatting.call(event)})")
            where = [Line(f"  empty answer: {formatting.empty(event.text_in)}", "yellow")] if event.text_in else []
            return [*_before_answer(event), answer, *where]
        case events.FileWritten():
            return _file(event)
        case events.PhaseBegan():
            return [Line(_phase(event), "bold cyan", loud=True)]
        case events.TestsRan():
            return _tests(event)
        case events.ProductStarted():
            style = "red" if event.how in ("crashed", "missing") else ""
            return [Line(f"  the product {one_line(formatting.started(event), 160)}", style)]
        case events.VerdictReached():
            return _verdict(event)
        case _:
            return _aside(event)


def ignored(event: events.RunStarted) -> list[Line]:
    """A line for each part of the company that the run leaves out."""
    return [Line(f"ignored (not supported): {one_line(each, 200)}", "yellow", loud=True) for each in event.ignored]


def _aside(event: events.Any) -> list[Line]:
    match event:
        case events.PhaseEnded(conclusion=conclusion) if conclusion:
            how = "  (after a reflection)" if event.reflected else ""
            return [Line(f"  => {one_line(conclusion)}{how}", "green")]
        case events.FileRemoved():
            return [Line(f"  removed {one_line(event.path, 60)}", "yellow")]
        case events.FileRefused():
            return [Line(f"  refused {one_line(event.path, 60)}: {one_line(event.why)}", "yellow")]
        case events.Diagnostic():
            return [Line(f"  {event.kind}: {one_line(event.text, 160)}", "yellow")]
        case events.RunStarted():
            task = Line(f"{one_line(event.name)}: {one_line(event.task, 200)}", "bold", loud=True)
            return [task, *ignored(event)]
        case events.AttemptStarted():
            return _attempt(event)
        case events.RaceDecided():
            results = map(formatting.standing, event.standings)
            return [Line(f"  {one_line(each, 300)}", "green" if each.endswith("won") else "dim") for each in results]
        case events.LimitReached():
            return [Line(f"  limit: {one_line(formatting.limit(event), 160)}", "yellow", loud=True)]
        case events.ClockJumped():
            return [Line(f"  {formatting.jump(event)}", "dim")]
        case events.AttemptStopped():
            return [Line(f"stopped: {one_line(event.why, 200)}", "bold red")]
        case events.ServerCounted() if formatting.server(event):
            return [Line(f"server counters of this attempt, all clients: {formatting.server(event)}", "dim")]
        case _:
            return []


def _before_answer(event: events.ModelAnswered) -> list[Line]:
    """What happened before an answer: what was cut from the prompt, and which endpoints failed."""
    cuts = [Line(f"  cut to fit: {one_line('; '.join(event.cuts), 240)}", "yellow")] if event.cuts else []
    if not event.passed_over:
        return cuts
    why = one_line("; ".join(event.passed_over), 240)
    return [
        *cuts,
        Line(f"  fell back to {one_line(event.model, 60)} at {one_line(event.endpoint)} ({why})", "yellow"),
    ]


def _before_code(text: str) -> str:
    """The text of an answer before its first code block, or its beginning."""
    head = text[:600].strip()
    return one_line(head.partition("```")[0].strip() or head) or "(nothing)"


def _phase(event: events.PhaseBegan) -> str:
    rounds = max((segment.ordinal for segment in places.parse(event.place)), default=0)
    again = f", round {rounds}" if rounds > 1 else ""
    talk = " and ".join(one_line(role, 40) for role in (event.user, event.assistant) if role)
    talk += f", up to {event.candidates} candidates" if event.candidates > 1 else ""
    return f"{one_line(event.phase, 60)}{again}" + (f": {talk}" if talk else "")


def _file(event: events.FileWritten) -> list[Line]:
    lines = [Line(f"  wrote {one_line(event.path)}  +{event.added} -{event.removed}", "bold")]
    _, found, body = event.diff[:8000].partition("@@ ")
    if not found or body.startswith("-0,0"):
        return lines  # a new file: the line count is enough
    changes = [line for line in body.split("\n")[1:] if line[:1] in ("+", "-")][:_DIFF_LINES]
    lines += [Line(f"    {cut(line)}", "green" if line[0] == "+" else "red") for line in changes]
    if (more := event.added + event.removed - len(changes)) > 0:
        lines.append(Line(f"    ... {formatting.count(more, 'more changed line')}", "dim"))
    return lines


def _tests(event: events.TestsRan) -> list[Line]:
    passed, total = formatting.score(event)
    if is_baseline(event):
        return [Line(f"  tests without the product: {total - passed} of {total} fail (all should)", loud=True)]
    good = passed == total > 0 and not event.trouble
    whose = races.candidate(event.place)
    score = f"  {f'{whose}, ' if whose else ''}tests: {passed} of {total} pass"
    lines = [Line(score, "green" if good else "red", loud=True)]
    if event.trouble:
        lines.append(Line(f"    {one_line(event.trouble, 160)}", "red"))
    bad = [result for result in event.results if result.outcome != "passed"]
    for result in bad[:_WHYS]:
        lines.append(Line(f"    {result.outcome} {one_line(result.id)}: {one_line(result.cause)}"))
    if len(bad) > _WHYS:
        lines.append(Line(f"    ... {len(bad) - _WHYS} more", "dim"))
    return lines


def _verdict(event: events.VerdictReached) -> list[Line]:
    style = _COLOURS.get(event.verdict.partition(" ")[0], "bold yellow")
    lines = [Line(f"verdict: {one_line(event.verdict, 200)}", style, loud=True)]
    if event.why:
        lines.append(Line(f"  {one_line(event.why, 300)}", loud=True))
    return lines


def _attempt(event: events.AttemptStarted) -> list[Line]:
    again = f"attempt {event.number}: " if event.number > 1 else ""
    window = f", window {event.window:,} tokens" if event.window else ""
    where = f" at {one_line(event.endpoint)}" if event.endpoint else ""
    who = f"{again}{one_line(event.model)}{where}{window}, sandbox {one_line(event.sandbox)}"
    return [Line(who, "dim"), *(Line(one_line(note, 200), "yellow", loud=True) for note in event.notes)]
