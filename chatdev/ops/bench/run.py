"""A whole bench: whom it asks is met, what it costs is agreed to, and each endpoint is measured after the other."""

import asyncio
import datetime
from collections.abc import Callable, Sequence

import msgspec

import chatdev
from chatdev.ops.bench import contenders, figures, report
from chatdev.ops.bench.contenders import Contender, Met
from chatdev.ops.bench.figures import EndpointFigures
from chatdev.ops.bench.measure import Bench, Level, Plan
from chatdev.ops.bench.report import Report, figure
from chatdev.ops.bench.workload import Workload

Tell = Callable[[str], None]
Agree = Callable[[Sequence[str]], None]
"""Takes what the endpoints that take money may cost, a line each; raises if that is not agreed to."""


async def bench(whom: Sequence[Contender], workload: Workload, plan: Plan, *, tell: Tell, agree: Agree) -> Report:
    """Measure the endpoints, never two at once: they may share a machine. ``tell`` hears how it goes.

    On an endpoint that takes money each place in flight ends after one project, unless the plan says otherwise, so that
    the cost has an end too. Raises what ``agree`` raises, and SettingsError; an endpoint that fails is told of in the
    report.
    """
    try:
        met = await asyncio.gather(*map(contenders.meet, whom))
        alive = [each for each in met if each.facts]
        bounded = msgspec.structs.replace(plan, projects=plan.projects or 1)
        agree([contenders.estimate(each, workload, bounded.most) for each in alive if each.contender.paid])
        if alive:
            minutes = len(alive) * len(plan.levels) * plan.seconds / 60
            tell(f"{len(alive)} of {len(met)} endpoints answer; measuring them takes about {figure(minutes)} minutes.")
        measured = [await _measured(each, workload, bounded if each.contender.paid else plan, tell) for each in met]
    finally:
        for contender in whom:
            await contender.backend.aclose()
    return Report(
        date=datetime.date.today().isoformat(),
        version=chatdev.__version__,
        workload=workload.title,
        calls=len(workload.calls),
        tokens=workload.tokens,
        plan=plan,
        endpoints=tuple(measured),
        notes=report.notes(workload, plan),
    )


async def _measured(met: Met, workload: Workload, plan: Plan, tell: Tell) -> EndpointFigures:
    levels: tuple[Level, ...] = ()
    notes: tuple[str, ...] = ()
    if met.facts is None:
        tell(f"{met.name} does not answer.")
    else:
        levels = await Bench(met.contender, workload, plan, lambda text: tell(f"{met.name}: {text}")).run()
    if levels and met.contender.paid:
        notes = (f"It takes money: projects that followed one another in each place in flight: {plan.projects}.",)
    found = figures.of_endpoint(met, levels, workload)
    return msgspec.structs.replace(found, notes=(*found.notes, *notes))
