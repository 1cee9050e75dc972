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
from chatdev.ops.bench.report import Report
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
        plans = [_bounded(plan) if each.contender.paid else plan for each in met]
        agree(
            [
                _estimate(each, workload, its)
                for each, its in zip(met, plans, strict=True)
                if each.facts and each.contender.paid
            ]
        )
        measured = [await _measured(each, workload, its, tell) for each, its in zip(met, plans, strict=True)]
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


def _bounded(plan: Plan) -> Plan:
    """The plan for an endpoint that takes money."""
    return msgspec.structs.replace(plan, projects=plan.projects or 1)


def _estimate(met: Met, workload: Workload, plan: Plan) -> str:
    return contenders.estimate(met, workload, plan.most)


async def _measured(met: Met, workload: Workload, plan: Plan, tell: Tell) -> EndpointFigures:
    levels: tuple[Level, ...] = ()
    if met.facts:
        levels = await Bench(met.contender, workload, plan, lambda text: tell(f"{met.name}: {text}")).run()
    else:
        tell(f"{met.name}: {met.why}")
    return figures.of_endpoint(met, levels, workload)
