"""Runs a whole benchmark: queries the endpoints, lets the user confirm the cost, and measures one after the other."""

import asyncio
import datetime
from collections.abc import Callable, Sequence

import msgspec

import chatdev
from chatdev.ops.bench import contenders, figures, report
from chatdev.ops.bench.contenders import Contender, MeasurableContender
from chatdev.ops.bench.figures import EndpointFigures
from chatdev.ops.bench.measure import Bench, BenchPlan, Level
from chatdev.ops.bench.report import BenchReport, figure
from chatdev.ops.bench.workload import Workload

Show = Callable[[str], None]
Agree = Callable[[Sequence[str]], None]
"""Gets what the paid endpoints may cost, a line each; raises if the user does not agree."""


async def bench(
    whom: Sequence[Contender], workload: Workload, plan: BenchPlan, *, show: Show, agree: Agree
) -> BenchReport:
    """Measure the endpoints one after the other: they may share a machine. ``show`` gets progress messages.

    On a paid endpoint, each parallel slot stops after one project unless the plan says otherwise, so that the cost is
    limited too. Raises what ``agree`` raises, and SettingsError; the report names endpoints that fail.
    """
    try:
        candidates = await asyncio.gather(*map(contenders.query_facts, whom))
        alive = [each for each in candidates if each.facts]
        bounded = msgspec.structs.replace(plan, projects=plan.projects or 1)
        agree([contenders.estimate(each, workload, bounded.most) for each in alive if each.contender.paid])
        if alive:
            minutes = len(alive) * len(plan.levels) * plan.seconds / 60
            takes = f"measuring them takes about {figure(minutes)} minutes"
            show(f"{len(alive)} of {len(candidates)} endpoints answer; {takes}.")
        measured = [
            await _measured(each, workload, bounded if each.contender.paid else plan, show) for each in candidates
        ]
    finally:
        for contender in whom:
            await contender.backend.aclose()
    return BenchReport(
        date=datetime.date.today().isoformat(),
        version=chatdev.__version__,
        workload=workload.title,
        calls=len(workload.calls),
        tokens=workload.tokens,
        plan=plan,
        endpoints=tuple(measured),
        notes=report.notes(workload, plan),
    )


async def _measured(candidate: MeasurableContender, workload: Workload, plan: BenchPlan, show: Show) -> EndpointFigures:
    levels: tuple[Level, ...] = ()
    notes: tuple[str, ...] = ()
    if candidate.facts is None:
        show(f"{candidate.name} cannot be measured.")
    else:
        levels = await Bench(candidate.contender, workload, plan, lambda text: show(f"{candidate.name}: {text}")).run()
    if levels and candidate.contender.paid:
        notes = (f"It charges for tokens. Projects per parallel slot: {plan.projects}.",)
    found = figures.of_endpoint(candidate, levels, workload)
    return msgspec.structs.replace(found, notes=(*found.notes, *notes))
