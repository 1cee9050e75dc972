"""How fast the endpoint is: to the first token, between tokens, with a cached prompt, and with parallel calls."""

import asyncio
import secrets
import time

import msgspec

from chatdev.models import metrics
from chatdev.models.errors import ModelError
from chatdev.models.stream import ServerAnswer
from chatdev.models.transport import Reply
from chatdev.ops.doctor.answers import PROSE
from chatdev.ops.doctor.findings import Finding
from chatdev.ops.doctor.subject import Subject

TALE = "Tell a tale of a programmer and a tester, in five sentences."
LONG = 4_000
"""Characters of a prompt that is long enough for a prefix cache: about 1,000 tokens, in blocks of 16 to 128."""

LEVELS = (2, 4, 8, 16, 32)
NOISE = 0.05
"""Seconds of waiting that do not indicate a queue."""

PATIENCE = 20.0
"""Seconds for one level of calls, so that a slow machine is not kept busy for minutes."""


async def latency(subject: Subject) -> Finding:
    """Time to first token, and between tokens, of one answer without other load."""
    try:
        answer, reply = await subject.ask("latency", TALE, max_tokens=64)
    except ModelError as error:
        return Finding("latency", "bad", error.what, error.do)
    if reply.first_token is None or answer.pieces < 2:
        seen = f"The answer came in one piece after {reply.seconds:.2f} s: too short, or not streamed."
        return Finding("latency", "not known", seen)
    tokens = _tokens(answer)
    between = (reply.seconds - reply.first_token) / max(tokens - 1, 1)
    rate = f", {1 / between:.0f} tokens/s" if between > 0 else ""
    seen = f"First token after {reply.first_token:.2f} s, then one every {1000 * between:.1f} ms{rate}."
    if between > 0.2:
        return Finding(
            "latency", "warning", f"{seen} A small project of 15,000 tokens takes {15_000 * between / 3600:.1f} hours.",
            "Use a smaller or quantised model, or check with nvidia-smi that the GPU is used at all.",
        )  # fmt: skip
    return Finding("latency", "good", seen)


def _tokens(answer: ServerAnswer) -> int:
    return answer.usage.completion_tokens if answer.usage and answer.usage.completion_tokens else answer.pieces


async def prefix_cache(subject: Subject) -> Finding:
    """Whether a long prompt that is sent again comes from the cache."""
    window = subject.facts.window or 8_192
    length = min(LONG, window)  # even at one token per character it fits beside the answer
    text = f"Note {secrets.token_hex(8)}. " + (PROSE * (1 + LONG // len(PROSE)))[: max(length - 64, 100)]
    try:
        _, cold = await subject.ask("cache", text, max_tokens=2)
        before = await metrics.read(subject.line)
        again, warm = await subject.ask("cache", text, max_tokens=2)
    except ModelError as error:
        return Finding("prefix cache", "warning", f"Not measured: {error.what}", error.do)
    prompt = again.usage.prompt_tokens if again.usage else 0
    cached = again.usage.cached_tokens if again.usage else None
    times = f"first token after {_first(cold):.2f} s, then {_first(warm):.2f} s"
    if cached:
        return Finding(
            "prefix cache", "good", f"{cached:,} of {prompt:,} prompt tokens came from it on a second call; {times}."
        )
    share = metrics.prefix_share(before, await metrics.read(subject.line))
    if cached is None and share:
        return Finding(
            "prefix cache",
            "good",
            f"{100 * share:.0f} % of the prompt came from it on a second call, by the server's metrics; {times}.",
            "To see this for each call, start vLLM with --enable-prompt-tokens-details.",
        )
    if _first(warm) < 0.5 * _first(cold) and _first(cold) > 0.05:
        return Finding(
            "prefix cache",
            "good",
            f"A second call was faster, so the cache works ({times}). The server does not report cached tokens.",
            "To see them in the report, start vLLM with --enable-prompt-tokens-details.",
        )
    how = (
        "The server reports 0 cached tokens"
        if cached == 0
        else "No cached tokens reported, and a second call was not faster"
    )
    return Finding(
        "prefix cache",
        "warning",
        f"{how}: {times}.",
        "Turn it on (vLLM: --enable-prefix-caching, and --enable-prompt-tokens-details to see it; SGLang and llama.cpp "
        "have it on by default): most of a run's prompts share a prefix.",
    )


def _first(reply: Reply) -> float:
    return reply.seconds if reply.first_token is None else reply.first_token


async def in_flight(subject: Subject) -> Finding:
    """How many calls the server handles in parallel, before calls wait for each other or more gain nothing."""
    best, rates, stopped = 1, [], ""
    alone = await _level(subject, 1)
    if alone is None:
        return Finding("in flight", "warning", "Not measured: a short call failed or did not end in time.")
    rates.append(f"1: {alone.rate:.0f}")
    top = alone.rate
    for level in LEVELS:
        measured = await _level(subject, level)
        if measured is None:
            stopped = f"at {level}, some calls failed or took longer than {PATIENCE:.0f} s"
            break
        rates.append(f"{level}: {measured.rate:.0f}")
        if measured.first > max(0.8 * measured.seconds, alone.first + NOISE):  # as long as another call took
            stopped = f"at {level}, some calls waited for others to end"
            break
        if measured.rate < 1.1 * top:
            stopped = f"no gain at {level}"
            break
        best, top = level, measured.rate
    subject.profile = msgspec.structs.replace(subject.profile, in_flight=best)
    load = await metrics.read(subject.line)
    now = f" Now: {load_text}." if load and (load_text := load.text()) else ""
    seen = (
        f"{best} in parallel{f'; {stopped}' if stopped else ''}. Tokens/s by calls in flight: {', '.join(rates)}.{now}"
    )
    if best == 1:
        return Finding(
            "in flight",
            "warning",
            seen,
            "Let the server handle several calls in parallel (vLLM: --max-num-seqs, llama.cpp: --parallel, Ollama: "
            "OLLAMA_NUM_PARALLEL): a project makes calls in parallel, and projects run in parallel too.",
        )
    return Finding("in flight", "good", seen)


class _Measured(msgspec.Struct, frozen=True):
    """One level: tokens per second over all calls, the latest first token, and the shortest call, in seconds."""

    rate: float
    first: float
    seconds: float


async def _level(subject: Subject, calls: int) -> _Measured | None:
    """Make ``calls`` calls in parallel; None if one of them failed or the time ran out."""
    began = time.monotonic()
    requests = [
        subject.ask("flight", f"{number}. {TALE}", max_tokens=32, temperature=0.8) for number in range(1, calls + 1)
    ]
    try:
        async with asyncio.timeout(PATIENCE):
            answered = await asyncio.gather(*requests)
    except (ModelError, TimeoutError):
        return None
    seconds = time.monotonic() - began
    tokens = sum(_tokens(answer) for answer, _ in answered)
    return _Measured(
        rate=tokens / max(seconds, 1e-6),
        first=max(_first(reply) for _, reply in answered),
        seconds=min(reply.seconds for _, reply in answered),
    )
