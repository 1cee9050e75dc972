"""An evaluation as Markdown and as JSON."""

from collections.abc import Iterator, Sequence

import msgspec

from chatdev.evaluation.figures import EvalReport, Solved
from chatdev.views.text import code, md

NOTHING = "–"


def as_json(report: EvalReport) -> str:
    """The report as JSON with its keys in a fixed order; times are in seconds, shares from 0 to 1."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def markdown(report: EvalReport) -> str:
    """Tables that read well on a terminal and on a page, and notes that explain them."""
    times = "each built once" if report.repeat == 1 else f"each built {report.repeat} times"
    tables = [_solved(report), _spent(report), _by_difficulty(report)]
    if any(arm.says for arm in report.arms):
        tables.append(_verdicts(report))
    lines = [f"{md(report.set)}: {report.tasks} tasks, {times}, {code(report.model)}, {report.date}."]
    for table in tables:
        lines += ["", *_table(table)]
    return "\n".join([*lines, "", *_notes(report), ""])


def _solved(report: EvalReport) -> Iterator[Sequence[str]]:
    yield ("arm", "solved", "share", "cases", "won vs once", "lost", "p")
    for arm in report.arms:
        pair = arm.paired
        against = (str(pair.won), str(pair.lost), f"{pair.p:.3f}") if pair else (NOTHING,) * 3
        yield (code(arm.name), f"{arm.solved} of {arm.runs}", _percent(arm.share), _percent(arm.cases), *against)
    if top := report.ceiling:
        share = _percent(top.solved / top.of)
        yield (f"any of {top.answers} answers", f"{top.solved} of {top.of}", share, *[NOTHING] * 4)


def _spent(report: EvalReport) -> Iterator[Sequence[str]]:
    yield ("spent per task", "prompt tokens", "completion tokens", "calls", "seconds", "tokens per solved task")
    for arm in report.arms:
        spent, solved = arm.per_task, arm.per_solved
        each = f"{solved.prompt_tokens + solved.completion_tokens:,.0f}" if solved else NOTHING
        tokens = f"{spent.prompt_tokens:,.0f}", f"{spent.completion_tokens:,.0f}"
        yield (code(arm.name), *tokens, f"{spent.calls:,.1f}", f"{spent.seconds:,.0f}", each)


def _verdicts(report: EvalReport) -> Iterator[Sequence[str]]:
    yield ("verdict reliability", "passed", "precision", "recall", "wrong tests")
    for arm in report.arms:
        reliability, own = arm.says, arm.own_tests
        if reliability and own:
            wrong = f"{own.failed} of {own.ran}" if own.ran else NOTHING
            yield (
                code(arm.name),
                str(reliability.passed),
                _percent(reliability.precision),
                _percent(reliability.recall),
                wrong,
            )


def _percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.0f} %"


def _by_difficulty(report: EvalReport) -> Iterator[Sequence[str]]:
    rows: list[tuple[str, tuple[Solved, ...]]] = [(code(arm.name), arm.by_difficulty) for arm in report.arms]
    if report.ceiling:
        rows.append((f"any of {report.ceiling.answers}", report.ceiling.by_difficulty))
    levels = rows[0][1] if rows else ()
    yield (
        "solved by difficulty",
        *("not given" if each.difficulty is None else str(each.difficulty) for each in levels),
    )
    for name, solved in rows:
        yield (name, *(f"{each.solved} of {each.of}" for each in solved))


def _table(rows: Iterator[Sequence[str]]) -> Iterator[str]:
    """The lines of a Markdown table, with aligned columns; its first row is the heading."""
    table = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for number, row in enumerate(table):
        yield f"| {' | '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))} |"
        if number == 0:
            yield f"| {' | '.join('-' * width for width in widths)} |"


def _notes(report: EvalReport) -> Iterator[str]:
    yield "- Solved: all hidden cases pass. Cases: the share of hidden cases that pass, a mean over the tasks."
    p = "McNemar's exact two-sided test" if report.repeat == 1 else "an exact two-sided sign-flip test over the tasks"
    yield f"- Won: tasks that only this arm solved. Lost: tasks that only `once` solved. p: p-value of {p}."
    yield "- Tokens, calls and seconds (elapsed time) are means and include all answers that an arm takes."
    if any(arm.says for arm in report.arms):
        yield "- Precision: share of `passed` runs that are solved. Recall: share of solved runs that are `passed`."
        yield "- Wrong tests: the company's own acceptance tests that fail on a solution known to be correct."
    if errors := [f"{code(arm.name)} {arm.errors}" for arm in report.arms if arm.errors]:
        yield f"- Runs with an error: {', '.join(errors)}. They count as solved only if they delivered a solution."
    yield f"- Measured by `chatdev eval` {report.version}. Digest of the set: {report.set_digest}."
