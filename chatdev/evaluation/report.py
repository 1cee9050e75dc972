"""An evaluation as Markdown and as JSON."""

from collections.abc import Iterator, Sequence

import msgspec

from chatdev.evaluation.figures import Report, Solved
from chatdev.views.text import code, md

NOTHING = "–"


def as_json(report: Report) -> str:
    """The report as JSON, its keys in the same order each time; times in seconds, shares from 0 to 1."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def markdown(report: Report) -> str:
    """Tables for a terminal and for a page, and under them what their reader must know."""
    times = "each built once" if report.repeat == 1 else f"each built {report.repeat} times"
    tables = [_solved(report), _spent(report), _by_difficulty(report)]
    if any(arm.says for arm in report.arms):
        tables.append(_verdicts(report))
    lines = [f"{md(report.set)}: {report.tasks} tasks, {times}, {code(report.model)}, {report.date}."]
    for table in tables:
        lines += ["", *_table(table)]
    return "\n".join([*lines, "", *_notes(report), ""])


def _solved(report: Report) -> Iterator[Sequence[str]]:
    yield ("arm", "solved", "share", "cases", "won of once", "lost", "p")
    for arm in report.arms:
        pair = arm.paired
        against = (str(pair.won), str(pair.lost), f"{pair.p:.3f}") if pair else (NOTHING,) * 3
        yield (code(arm.name), f"{arm.solved} of {arm.runs}", _percent(arm.share), _percent(arm.cases), *against)
    if top := report.ceiling:
        share = _percent(top.solved / top.of)
        yield (f"any of {top.answers} answers", f"{top.solved} of {top.of}", share, *[NOTHING] * 4)


def _spent(report: Report) -> Iterator[Sequence[str]]:
    yield ("spent per task", "prompt tokens", "completion tokens", "calls", "seconds", "tokens per solved task")
    for arm in report.arms:
        spent, solved = arm.per_task, arm.per_solved
        each = f"{solved.prompt_tokens + solved.completion_tokens:,.0f}" if solved else NOTHING
        tokens = f"{spent.prompt_tokens:,.0f}", f"{spent.completion_tokens:,.0f}"
        yield (code(arm.name), *tokens, f"{spent.calls:,.1f}", f"{spent.seconds:,.0f}", each)


def _verdicts(report: Report) -> Iterator[Sequence[str]]:
    yield ("what its verdict says", "passed", "precision", "recall", "wrong tests")
    for arm in report.arms:
        says, own = arm.says, arm.own_tests
        if says and own:
            wrong = f"{own.failed} of {own.ran}" if own.ran else NOTHING
            yield (code(arm.name), str(says.passed), _percent(says.precision), _percent(says.recall), wrong)


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.0f} %"


def _by_difficulty(report: Report) -> Iterator[Sequence[str]]:
    rows: list[tuple[str, tuple[Solved, ...]]] = [(code(arm.name), arm.by_difficulty) for arm in report.arms]
    if report.ceiling:
        rows.append((f"any of {report.ceiling.answers}", report.ceiling.by_difficulty))
    levels = rows[0][1] if rows else ()
    yield (
        "solved, by difficulty",
        *("not told" if each.difficulty is None else str(each.difficulty) for each in levels),
    )
    for name, solved in rows:
        yield (name, *(f"{each.solved} of {each.of}" for each in solved))


def _table(rows: Iterator[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table, aligned for the eye as well; its first row is the heading."""
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for number, row in enumerate(table):
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        if number == 0:
            yield f"| {' | '.join('-' * width for width in widths)} |"


def _notes(report: Report) -> Iterator[str]:
    yield "- Solved: all hidden cases hold. Cases: the share of them that holds, a mean over the tasks."
    yield "- Won and lost: tasks that only this arm or only `once` solved; p is of McNemar's exact two-sided test."
    yield "- Tokens, calls and seconds of wall time are means, and count all answers that an arm takes."
    if any(arm.says for arm in report.arms):
        yield "- Precision: of the runs with the verdict `passed`, those that solve. Recall: the other way round."
        yield "- Wrong tests: the company's own acceptance tests that a known solution fails."
    if errors := [f"{code(arm.name)} {arm.errors}" for arm in report.arms if arm.errors]:
        yield f"- Runs that ended in an error, which count as not solved unless they delivered: {', '.join(errors)}."
    yield f"- Measured by `chatdev eval` {report.version}; the set is {report.set_digest}."
