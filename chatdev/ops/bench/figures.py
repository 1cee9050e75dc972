"""Computes the reported figures from the samples. Pure functions; seconds, tokens and US dollars."""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import msgspec

from chatdev.ops.bench.contenders import MeasurableContender
from chatdev.ops.bench.measure import Level, Sample
from chatdev.ops.bench.workload import Workload

CROWDED = 0.8
"""Share of a core above which this process, not the server, may be the bottleneck."""

SHORT = 0.9
"""Share of the recorded size below which answers count as shorter: then tokens/s say more than projects per hour."""


class Spread(msgspec.Struct, frozen=True):
    """The median and the 95th percentile, by nearest rank: each is a value that was measured."""

    p50: float
    p95: float


class LevelFigures(msgspec.Struct, frozen=True):
    """One endpoint at one number of projects in flight.

    ``first_token`` and ``gap`` (inter-token latency) are seconds, over the answered calls. ``tokens_per_second`` counts
    completion tokens, including those of calls cut off at the end. ``prefix_hits`` is the share of all prompt tokens
    that came from the prefix cache, as reported by the answers (``usage``) or the server's own counters (``metrics``),
    else None. ``busy`` is the share of a core that measuring used on this machine.
    """

    in_flight: int
    seconds: float
    answered: int
    failed: int
    cut: int
    retries: int
    first_token: Spread | None
    gap: Spread | None
    tokens_per_second: float
    projects_per_hour: float
    projects_finished: int
    prefix_hits: float | None
    prefix_source: Literal["usage", "metrics", "not reported"]
    busy: float


class EndpointFigures(msgspec.Struct, frozen=True):
    """One endpoint. ``measured``: calls were answered; else ``why`` says what happened instead.

    ``own``: the user's own server, so its model, adapters and flags can be changed; ``models`` is how many it lists,
    ``window`` its context window in tokens; ``window_assumed``: the server did not report it. ``answered`` is the share
    of finished calls that were answered. Costs are in US dollars, None if a price is not known.
    """

    name: str
    base_url: str
    measured: bool
    why: str = ""
    model: str = ""
    engine: str = ""
    own: bool = False
    models: int = 0
    window: int | None = None
    window_assumed: bool = False
    levels: tuple[LevelFigures, ...] = ()
    answered: float | None = None
    cost_per_project: float | None = None
    cost_per_1k_tokens: float | None = None
    notes: tuple[str, ...] = ()


def spread(values: Iterable[float | None]) -> Spread | None:
    """Median and 95th percentile of the known values."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    return Spread(*(ordered[math.ceil(len(ordered) * percent / 100) - 1] for percent in (50, 95)))


def of_level(level: Level, workload: Workload) -> LevelFigures:
    """The figures of one level."""
    answered = [sample for sample in level.samples if sample.outcome == "answered"]
    failed = [sample for sample in level.samples if sample.outcome == "failed"]
    cut = [sample for sample in level.samples if sample.outcome == "cut"]
    done = sum(sample.limit for sample in answered) + sum(sample.tokens for sample in cut)
    hits, source = _prefix_hits(answered, level.counted)
    return LevelFigures(
        in_flight=level.in_flight,
        seconds=level.seconds,
        answered=len(answered),
        failed=len(failed),
        cut=len(cut),
        retries=sum(sample.tries - 1 for sample in answered + failed),
        first_token=spread(sample.first_token for sample in answered),
        gap=spread(sample.gap for sample in answered),
        tokens_per_second=sum(sample.tokens for sample in answered + cut) / level.seconds,
        projects_per_hour=3600 * done / workload.tokens / level.seconds,
        projects_finished=level.finished,
        prefix_hits=hits,
        prefix_source=source,
        busy=level.busy,
    )


def _prefix_hits(
    answered: Sequence[Sample], counted: float | None
) -> tuple[float | None, Literal["usage", "metrics", "not reported"]]:
    """The share, and its source. vLLM leaves the field out of an answer without hits, so if one call has it, all calls
    without it count as no hits."""
    if any(sample.cached_tokens is not None for sample in answered):
        prompts = sum(sample.prompt_tokens for sample in answered)
        return sum(sample.cached_tokens or 0 for sample in answered) / max(prompts, 1), "usage"
    return (None, "not reported") if counted is None else (counted, "metrics")


def of_endpoint(candidate: MeasurableContender, levels: Sequence[Level], workload: Workload) -> EndpointFigures:
    """The figures of an endpoint, or the reason why it could not be measured."""
    facts, base_url = candidate.facts, candidate.contender.backend.address.base_url
    if facts is None:
        return EndpointFigures(candidate.name, base_url, measured=False, why=candidate.why)
    samples = [sample for level in levels for sample in level.samples]
    answered = [sample for sample in samples if sample.outcome == "answered"]
    ended = sum(sample.outcome != "cut" for sample in samples)
    cost = _sum(sample.cost for sample in answered)
    tokens = sum(sample.prompt_tokens + sample.tokens for sample in answered)
    limits = sum(sample.limit for sample in answered)
    return EndpointFigures(
        name=candidate.name,
        base_url=base_url,
        measured=bool(answered),
        why="" if answered else _why_nothing(samples),
        model=facts.model,
        engine=facts.engine,
        own=not candidate.contender.paid,
        models=len(facts.served),
        window=facts.window,
        window_assumed=facts.assumed,
        levels=tuple(of_level(level, workload) for level in levels),
        answered=len(answered) / ended if ended else None,
        cost_per_project=None if cost is None or not limits else cost * workload.tokens / limits,
        cost_per_1k_tokens=None if cost is None or not tokens else 1000 * cost / tokens,
        notes=(*facts.notes, *_notes(levels, answered, samples)),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    listed = list(values)
    numbers = [value for value in listed if value is not None]
    return sum(numbers) if len(numbers) == len(listed) else None


def _why_nothing(samples: Sequence[Sample]) -> str:
    failed = [sample for sample in samples if sample.outcome == "failed"]
    if failed:
        return f"No call was answered. {failed[0].messages[0]}"
    return "No call was answered in time. Set a larger --seconds."


def _notes(levels: Sequence[Level], answered: Sequence[Sample], samples: Sequence[Sample]) -> Iterator[str]:
    """What a reader of an endpoint's figures must know, one sentence each."""
    failed = Counter(sample.messages[0] for sample in samples if sample.outcome == "failed")
    for why, number in failed.most_common(3):
        yield f"{number:,} calls failed: {why}"
    for message, number in Counter(each for sample in answered for each in sample.messages).most_common(5):
        yield f"In {number:,} calls: {message}."
    unfinished = [str(level.in_flight) for level in levels if not level.finished and level.samples]
    if unfinished:
        yield f"No project finished at {', '.join(unfinished)} in flight: those figures cover only first calls."
    limits = sum(sample.limit for sample in answered)
    written = sum(sample.tokens for sample in answered) / max(limits, 1)
    if answered and written < SHORT:
        yield f"Its answers were {100 * written:.0f} % as long as the recorded ones: projects per hour are too high."
    if any(sample.estimated for sample in answered):
        yield "The server does not count tokens, so they are estimated."
    if any(level.counted is not None for level in levels) and not any(s.cached_tokens is not None for s in answered):
        yield "Prefix-cache hits are from the server's own counters and include other clients' requests."
    for level in levels:
        if level.busy > CROWDED:
            yield (
                f"At {level.in_flight} in flight, measuring used {100 * level.busy:.0f} % of a core on this machine: "
                "the server may be faster than shown."
            )
